"""Leases of GPUs: each belongs to one sandbox at a time, of all that this machine's servers open.

A lease is a lock on a file that is named after the GPU, held open for as long. The kernel lets go
of it when its holder dies, however that comes about, so nothing is ever left to clean up; the
files themselves stay.
"""

import fcntl
import logging
import os
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import anyio
from anyio.to_thread import run_sync

from proctor.sandbox_backends.base import Backend, Sandbox
from proctor.sandbox_backends.nvml import MEMORY_MANAGER, Gpu, installed_gpus
from proctor.schemas.errors import SandboxStartError
from proctor.schemas.sandbox import SandboxSpec

logger = logging.getLogger(__name__)

Opener: TypeAlias = Callable[[SandboxSpec, Sequence[Gpu]], AbstractAsyncContextManager[Sandbox]]
"""Opens a sandbox that may use these GPUs, and no other."""
PLACES = (Path("/run/lock"), Path("/tmp"))  # noqa: S108 - the same for every user, by intent
"""Where locks may lie: in the first that every user may write to, so that all agree on it."""
LOOK_AGAIN_S = 1.0
"""How often to look for a GPU that another process held; one of this process tells."""


class GpuPool:
    """Leases this machine's GPUs, in the order of asking."""

    def __init__(
        self,
        installed: Callable[[], Sequence[Gpu]] = installed_gpus,
        directory: Path | None = None,
    ) -> None:
        """Make a pool; nothing is asked of the driver before a lease is.

        Args:
            installed: Tells what there is; may block.
            directory: Where the locks lie.
        """
        self._installed = installed
        self._directory = directory
        self._queue: deque[object] = deque()
        self._changed = anyio.Event()

    @asynccontextmanager
    async def lease(self, n: int) -> AsyncGenerator[tuple[Gpu, ...]]:
        """Have `n` GPUs for as long as the context lasts, those with most free memory.

        Waits until as many are free and all who asked before have theirs.

        Raises:
            SandboxStartError: There will never be as many.
        """
        if not n:
            yield ()
            return
        with ExitStack() as locks:
            locks.callback(self._tell)  # first in, so last out: once all is given back
            yield await self._taken(n, locks)

    async def _taken(self, n: int, locks: ExitStack) -> tuple[Gpu, ...]:
        place = object()
        self._queue.append(place)
        try:
            gpus = await self._best(n)  # who asks for too many need not queue to be told
            if self._queue[0] is place and (taken := self._locked(gpus, n, locks)):
                return taken
            logger.info("waiting for %d GPUs; sessions that wait: %d", n, len(self._queue))
            while self._queue[0] is not place:
                await self._changed.wait()
            return await self._first_taken(n, locks)
        finally:
            self._queue.remove(place)
            self._tell()

    async def _first_taken(self, n: int, locks: ExitStack) -> tuple[Gpu, ...]:
        while True:
            changed = self._changed  # from before the look, so that nothing is missed
            if taken := self._locked(await self._best(n), n, locks):
                return taken
            with anyio.move_on_after(LOOK_AGAIN_S):
                await changed.wait()

    async def _best(self, n: int) -> list[Gpu]:
        """All GPUs, those with most free memory first."""
        gpus = await run_sync(self._installed)
        if n > len(gpus):
            raise SandboxStartError(
                f"{n} GPUs are wanted, and this machine has {len(gpus)}; ask for fewer"
            )
        return sorted(gpus, key=lambda gpu: gpu.memory_free_bytes, reverse=True)

    def _locked(self, gpus: Sequence[Gpu], n: int, locks: ExitStack) -> tuple[Gpu, ...] | None:
        """Lock `n` of `gpus`, or none: two who each held a part could wait for ever."""
        directory = self._directory or _common_place()
        taken: list[Gpu] = []
        with ExitStack() as tried:
            for gpu in gpus:
                name = gpu.uuid.replace("/", "_")
                if _lock(directory / f"proctor-gpu-{name}.lock", tried):
                    taken.append(gpu)
                if len(taken) == n:
                    locks.enter_context(tried.pop_all())
                    return tuple(taken)
        return None

    def _tell(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


def on_gpus(pool: GpuPool, opener: Opener) -> Backend:
    """A backend that leases what a spec asks for before it opens the sandbox."""

    @asynccontextmanager
    async def opened(spec: SandboxSpec) -> AsyncGenerator[Sandbox]:
        async with pool.lease(spec.gpus) as gpus, opener(spec, gpus) as sandbox:
            yield sandbox

    return opened


def refuse_without_lease(spec: SandboxSpec, gpus: Sequence[Gpu]) -> None:
    """See to it that a sandbox gets what its task asks for.

    Raises:
        SandboxStartError: These are not as many GPUs.
    """
    if len(gpus) != spec.gpus:
        raise SandboxStartError(
            f"this task asks for {spec.gpus} GPUs, and {len(gpus)} are leased to it; "
            "open it on a backend that on_gpus makes"
        )


def refuse_without_memory_manager(gpus: Sequence[Gpu]) -> None:
    """See to it that CUDA can start where it cannot call ``nvidia-modprobe`` itself.

    Raises:
        SandboxStartError: The node of the driver's memory manager is not there.
    """
    for gpu in gpus:
        if MEMORY_MANAGER not in (node.name for node in gpu.nodes):
            raise SandboxStartError(
                f"{gpu.name} cannot be used without /dev/{MEMORY_MANAGER}, which is missing; "
                "'nvidia-modprobe -c 0 -u', as root, makes it"
            )


def _lock(path: Path, held: ExitStack) -> bool:
    """Lock a file until `held` closes, unless somebody else has."""
    descriptor = _opened(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return False
    held.callback(os.close, descriptor)
    held.callback(fcntl.flock, descriptor, fcntl.LOCK_UN)  # a child being forked may hold it open
    return True


def _opened(path: Path) -> int:
    """A descriptor of a file that may be another user's: reading is enough to lock it."""
    only_read = os.O_RDONLY | os.O_NOFOLLOW
    try:
        try:
            return os.open(path, only_read)
        except FileNotFoundError:
            made = os.open(path, only_read | os.O_CREAT, 0o644)
            os.fchmod(made, 0o644)  # whatever the umask: servers of other users lock it, too
            return made
    except OSError as error:
        raise SandboxStartError(f"the GPU's lock {path} cannot be opened: {error}") from error


def _common_place() -> Path:
    for place in PLACES:
        if place.is_dir() and place.stat().st_mode & 0o002:
            return place
    raise SandboxStartError(f"none of {', '.join(map(str, PLACES))} can hold the GPUs' locks")
