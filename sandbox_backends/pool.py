"""Warm sandboxes: opened before anybody asks, so that a session need not wait for one to start.

A sandbox serves one session and is never put back: what is taken is replaced by a new one. Only
what can be foreseen is kept warm: a spec with mounts, GPUs or a network of its own is opened when
it is asked for.
"""

import logging
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import anyio
from anyio.abc import TaskGroup

from proctor.sandbox_backends.base import Backend, Sandbox
from proctor.sandbox_backends.concurrency import task_group
from proctor.schemas.errors import SandboxError
from proctor.schemas.sandbox import SandboxSpec

logger = logging.getLogger(__name__)

STARTS_AT_ONCE = 2
"""Starting takes the machine's time, of which those who work should keep most."""
CHECK_WITHIN_S = 5.0


@dataclass
class _Warm:
    """One sandbox, held open by a task of its own."""

    spec: SandboxSpec
    sandbox: Sandbox | None = None
    ready: anyio.Event = field(default_factory=anyio.Event)
    """Set once there is a sandbox, or will be none."""
    done: anyio.Event = field(default_factory=anyio.Event)
    """Set to have the sandbox closed."""
    closed: anyio.Event = field(default_factory=anyio.Event)


class Pool:
    """A backend that keeps sandboxes of another one warm."""

    def __init__(self, backend: Backend, size: int, tasks: TaskGroup) -> None:
        self._backend = backend
        self._size = size
        self._tasks = tasks
        self._starts = anyio.CapacityLimiter(STARTS_AT_ONCE)
        self._waiting: deque[_Warm] = deque()

    @classmethod
    @asynccontextmanager
    async def warming(
        cls, backend: Backend, size: int, specs: Sequence[SandboxSpec]
    ) -> AsyncGenerator["Pool"]:
        """Keep `size` sandboxes warm for as long as the context lasts.

        Args:
            backend: What opens them.
            size: How many, of all specs together.
            specs: What sessions will ask for, the likeliest first.
        """
        async with task_group() as tasks:
            pool = cls(backend, size, tasks)
            likely = [spec for spec in dict.fromkeys(specs) if _can_be_foreseen(spec)]
            for number in range(size if likely else 0):
                pool._warm(likely[number % len(likely)])
            try:
                yield pool
            finally:
                tasks.cancel_scope.cancel()

    @asynccontextmanager
    async def __call__(self, spec: SandboxSpec) -> AsyncGenerator[Sandbox]:
        """Hand out a warm sandbox where there is one for `spec`, and open one elsewhere."""
        warm = await self._taken(spec) if _can_be_foreseen(spec) else None
        if warm is None or warm.sandbox is None:
            async with self._backend(spec) as sandbox:
                yield sandbox
            return
        try:
            yield warm.sandbox
        finally:
            warm.done.set()
            with anyio.CancelScope(shield=True):
                await warm.closed.wait()

    async def _taken(self, spec: SandboxSpec) -> _Warm | None:
        """Take a living sandbox out of the pool, and have another started in its place.

        One that is being started is waited for: that takes less than to start another now.
        """
        for _ in range(self._size):  # more may have died, such as with their engine
            warm = next((each for each in self._waiting if each.spec == spec), None)
            if warm is None:
                return None
            self._waiting.remove(warm)
            self._warm(spec)
            try:
                await warm.ready.wait()
                if warm.sandbox is not None and await _lives(warm.sandbox):
                    return warm
            except BaseException:
                warm.done.set()
                raise
            warm.done.set()
        return None

    def _warm(self, spec: SandboxSpec) -> None:
        warm = _Warm(spec)
        self._waiting.append(warm)
        self._tasks.start_soon(self._hold, warm)

    async def _hold(self, warm: _Warm) -> None:
        """Keep one sandbox open until it is done with."""
        try:
            async with AsyncExitStack() as stack:
                async with self._starts:
                    warm.sandbox = await stack.enter_async_context(self._backend(warm.spec))
                warm.ready.set()
                await warm.done.wait()
        except SandboxError as error:  # whoever asks for one is told by an attempt of its own
            logger.warning("no sandbox could be kept warm: %s", error)
        finally:
            warm.ready.set()
            warm.closed.set()


def _can_be_foreseen(spec: SandboxSpec) -> bool:
    return not spec.mounts and not spec.gpus and spec.network == "none"


async def _lives(sandbox: Sandbox) -> bool:
    """Whether a sandbox that has waited still answers."""
    try:
        with anyio.fail_after(CHECK_WITHIN_S):
            await sandbox.list("")
    except (SandboxError, TimeoutError):
        return False
    return True
