"""The verdict sandbox: a task's own verdict code runs there, and agent code never does.

It holds ``grading/`` and Proctor's kits, and is handed plain data files. One serves a whole
submission: it opens when the first grader asks for it, and is replaced if it is lost, or if what
ran there failed.
"""

import itertools
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.resources import files
from typing import TypeAlias, TypeVar

import anyio
from anyio.abc import TaskGroup, TaskStatus
from pydantic import TypeAdapter, ValidationError

from proctor.sandbox_backends.archive import pack
from proctor.sandbox_backends.base import Backend, Sandbox
from proctor.sandbox_backends.concurrency import task_group
from proctor.schemas.errors import (
    GradingError,
    SandboxError,
    SandboxLostError,
    SubmissionError,
)
from proctor.schemas.sandbox import ExecResult
from proctor.schemas.task import FileTree, Task

VERDICT_WITHIN_S = 600.0
"""Three times the processor time that a kit gives itself: whoever needs longer waits for a machine
that is busy elsewhere."""
MAX_FILE_BYTES = 16 << 20
KITS = ("probe_kit.py", "tests_kit.py", "custom_kit.py")
STEADY = {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
"""The environment in which equal code gives equal numbers."""
T = TypeVar("T")
Given = TypeVar("Given")

logger = logging.getLogger(__name__)


class BusyError(GradingError):
    """Verdict code got too little of the machine, whatever it was given."""


class VerdictSandbox:
    """A machine that holds ``grading/``; whoever uses it works in a place of its own."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._numbers = itertools.count()

    def place(self) -> str:
        """A directory that nobody else uses, relative to where verdict code runs."""
        return f"made/{next(self._numbers)}"

    async def put(self, tree: FileTree) -> None:
        """Lay plain data files down.

        Raises:
            GradingError: There is no room for them.
        """
        try:
            await self._sandbox.restore(pack(tree))
        except OSError as error:
            raise GradingError(f"the verdict code cannot be given its data: {error}") from error

    async def run_kit(self, kit: str, about: str, *arguments: str) -> None:
        """Run one of the kits.

        Args:
            kit: Its file's name.
            about: What it does, for the error.
            arguments: On its command line.

        Raises:
            GradingError: It failed: the task's verdict code did.
            BusyError: It did not come to its end.
        """
        result = await self._sandbox.exec(
            [self._sandbox.info.python, kit, *arguments], timeout_s=VERDICT_WITHIN_S, env=STEADY
        )
        if result.timed_out:
            raise BusyError(f"{about}: {ending(result)}")
        if result.exit_code != 0:
            raise GradingError(f"{about}: {ending(result)}")

    async def names(self, path: str) -> tuple[str, ...]:
        """What a directory holds; nothing where there is none."""
        try:
            entries, _ = await self._sandbox.list(path)
        except FileNotFoundError:
            return ()
        return tuple(entry.name for entry in entries)

    async def fetch_tree(self, path: str) -> FileTree:
        """The plain files of a directory.

        Raises:
            GradingError: One is too large.
        """
        entries, _ = await self._sandbox.list(path)
        found = [entry.name for entry in entries if entry.kind == "file"]
        return {name: await self._fetch(f"{path}/{name}") for name in found}

    async def fetch_as(self, kind: TypeAdapter[T], path: str) -> T:
        """A JSON file that verdict code wrote, validated.

        Raises:
            GradingError: It is too large, or not of that kind.
        """
        try:
            return kind.validate_json(await self._fetch(path))
        except ValidationError as error:
            raise GradingError(f"the verdict code gave no usable verdict: {error}") from error

    async def _fetch(self, path: str) -> bytes:
        try:
            return await self._sandbox.fetch(path, max_bytes=MAX_FILE_BYTES)
        except OSError as error:
            raise GradingError(f"what the verdict code made cannot be read: {error}") from error


async def verdict_on(given: Given, nothing: Given, judge: Callable[[Given], Awaitable[T]]) -> T:
    """What verdict code makes of data that an agent's work left.

    Verdict code that fails on the data and copes with none has met something odd in the hand-in:
    that must not pay better than an honest failure.

    Args:
        given: The data.
        nothing: What work that left nothing would be judged by.
        judge: Hands data to the verdict code, in a verdict sandbox that it opens.

    Raises:
        GradingError: The verdict code fails on nothing, too, or the machine is too busy.
        SubmissionError: It failed on the data, twice.
    """
    failure = ""
    for _ in range(2):  # once may be bad luck
        try:
            return await judge(given)
        except BusyError:
            raise
        except GradingError as error:
            failure = str(error)
    await judge(nothing)
    raise SubmissionError(f"what the hand-in left brought its verdict down, twice: {failure}")


OpensVerdicts: TypeAlias = Callable[[], AbstractAsyncContextManager[VerdictSandbox]]


@asynccontextmanager
async def open_verdict_sandbox(backend: Backend, task: Task) -> AsyncGenerator[VerdictSandbox]:
    """Open a verdict sandbox with the task's ``grading/`` in it.

    Raises:
        SandboxError: It does not come up.
    """
    spec = task.sandbox.model_copy(update={"network": "none", "gpus": 0, "never_gpus": True})
    async with backend(spec) as sandbox:
        await sandbox.restore(pack({**task.grading, **{name: _kit(name) for name in KITS}}))
        yield VerdictSandbox(sandbox)


@asynccontextmanager
async def shared_verdict_sandbox(backend: Backend, task: Task) -> AsyncGenerator[OpensVerdicts]:
    """What gives everybody who asks the same verdict sandbox, opened when the first does."""
    async with task_group() as tasks:
        shared = _Shared(backend, task, tasks)
        yield shared.borrowed
        shared.done.set()


class _Shared:
    """A sandbox that a task of its own holds open, since its borrowers come and go."""

    def __init__(self, backend: Backend, task: Task, tasks: TaskGroup) -> None:
        self.done = anyio.Event()
        self._backend = backend
        self._task = task
        self._tasks = tasks
        self._lock = anyio.Lock()
        self._open: VerdictSandbox | None = None

    @asynccontextmanager
    async def borrowed(self) -> AsyncGenerator[VerdictSandbox]:
        async with self._lock:
            sandbox = self._open = self._open or await self._tasks.start(self._hold)
        try:
            yield sandbox
        except (SandboxLostError, GradingError):  # what failed there may have filled its disk
            if self._open is sandbox:
                self._open = None
            raise

    async def _hold(self, *, task_status: TaskStatus[VerdictSandbox]) -> None:
        held = False
        try:
            async with open_verdict_sandbox(self._backend, self._task) as sandbox:
                held = True
                task_status.started(sandbox)
                await self.done.wait()
        except SandboxError as error:
            if not held:
                raise
            logger.warning("a verdict sandbox did not close well: %s", error)


def ending(result: ExecResult) -> str:
    """How a command ended that did not end well."""
    if result.timed_out:
        return f"it was stopped after {result.duration_s:.0f} s"
    said = result.stderr.text().strip()[-600:]
    return f"it ended with exit code {result.exit_code}: {said}"


def _kit(name: str) -> bytes:
    """A kit's source, as it runs in a sandbox: beside the others, without Proctor."""
    source = files("proctor.evaluator").joinpath(name).read_bytes()
    return source.replace(b"from proctor.evaluator.", b"from ")
