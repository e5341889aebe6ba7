"""The contract between a sandbox and everything that uses one.

Above it: sessions and graders, which know `Sandbox` alone. Below it: a backend, which is any
``open(spec)`` that is an async context manager: it starts a machine, yields a `Sandbox`, and
removes every trace of it on the way out, however that comes about. Every backend launches the
same helper (`proctor.sandbox_backends.helper`) and speaks to it through the same channel
(`proctor.sandbox_backends.channel`); a backend file says only how to launch.

What raises and what is data: a command that fails, is killed or times out is an `ExecResult`.
A path that is missing, of the wrong kind or leads out of its root raises the builtin that says
so. `SandboxLostError` means that the machine is gone, and nothing else does.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import BinaryIO, Literal, Protocol

from proctor.schemas.base import Value
from proctor.schemas.sandbox import (
    ExecResult,
    FileEntry,
    Job,
    JobOutput,
    SandboxInfo,
    SandboxSpec,
)

OUTPUT_LIMIT = 32_000
"""Bytes of each output stream that a result carries; more than a model can use at once."""


class FileSlice(Value):
    """Some lines of a file."""

    data: bytes
    last_line: int
    """The number of the last line in `data`, counted from 1."""
    whole: bool
    """Whether the file ends there."""
    size: int
    """Bytes of the whole file."""


class SnapshotInfo(Value):
    """What a snapshot holds."""

    files: int
    """Plain files alone; directories and links are in it, too."""
    bytes: int
    """Content alone, without the archive's headers."""
    skipped: tuple[str, ...] = ()
    """What could not be kept: devices, sockets, FIFOs, unreadable files."""


class BytesSink(Protocol):
    """Anything that bytes can be written to."""

    def write(self, data: bytes, /) -> object:
        """Write all of `data`."""
        ...


class Sandbox(Protocol):
    """A live machine with a workspace in it.

    Paths are relative to `root`, which is the workspace unless named; symbolic links are
    followed only while they stay below it.
    """

    @property
    def info(self) -> SandboxInfo:
        """What this sandbox is."""
        ...

    async def exec(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        foreground_s: float | None = None,
        preloaded: bool = False,
    ) -> ExecResult:
        """Run a command to its end; a timeout or cancellation kills its whole process tree.

        Args:
            argv: The program and its arguments; no shell is involved.
            timeout_s: Wall-clock seconds; `math.inf` for none.
            cwd: An absolute path in the sandbox; the workspace by default.
            env: Added to the sandbox's own environment.
            foreground_s: If it still runs after this time, it goes on as a job, and the result
                says so; 0 starts a job. Its timeout goes on to hold.
            preloaded: `argv` is `info.python`, a script's path and the script's arguments; the
                script may be run by a fork of an interpreter that has imported what it needs.
                Never for grading: such an interpreter outlives the command.
        """
        ...

    async def jobs(self) -> tuple[Job, ...]:
        """Every job of this sandbox, in the order in which they were started."""
        ...

    async def job_output(
        self,
        job_id: int,
        *,
        stream: Literal["stdout", "stderr"] = "stdout",
        offset: int | None = None,
        max_bytes: int = OUTPUT_LIMIT,
        wait_s: float = 0,
    ) -> tuple[Job, JobOutput]:
        """What a job wrote, from `offset` on; by default the last of it.

        Args:
            job_id: The job's number.
            stream: Which of its streams.
            offset: A byte's number, counted from 0.
            max_bytes: How much at most.
            wait_s: How long to wait for the job's end first.

        Raises:
            LookupError: There is no such job.
        """
        ...

    async def job_stop(self, job_id: int) -> Job:
        """Kill a job with its whole process tree; one that has ended is left as it is.

        Raises:
            LookupError: There is no such job.
        """
        ...

    async def read(
        self, path: str, *, offset: int = 1, limit: int | None = None, max_bytes: int
    ) -> FileSlice:
        """Read lines of a file of the workspace, from line `offset` on, counted from 1."""
        ...

    async def fetch(self, path: str, *, max_bytes: int, root: str | None = None) -> bytes:
        """Read a whole file.

        Raises:
            OSError: With EFBIG, where it is larger than `max_bytes`.
        """
        ...

    async def write(
        self, path: str, source: BinaryIO, *, root: str | None = None, mode: int | None = None
    ) -> None:
        """Write a file whole or not at all; parent directories are made.

        Args:
            path: Where to.
            source: Read to its end.
            root: What `path` is relative to; the workspace by default.
            mode: Permission bits; those of the file that is replaced by default.
        """
        ...

    async def list(
        self, path: str, *, root: str | None = None, max_entries: int = 10_000
    ) -> tuple[tuple[FileEntry, ...], int]:
        """The entries of a directory, sorted by name, and how many there are in all."""
        ...

    async def snapshot(
        self, target: BytesSink, *, max_bytes: int, max_files: int = 20_000
    ) -> SnapshotInfo:
        """Write the workspace to `target` as a tar stream; equal content gives equal bytes.

        Raises:
            SubmissionError: The workspace holds more than the limits allow.
        """
        ...

    async def restore(self, archive: BinaryIO, *, root: str | None = None) -> None:
        """Unpack a tar stream, of `snapshot` or `pack`, over what is there."""
        ...

    async def kill_all(self) -> None:
        """Kill everything that runs in the sandbox, and wait until it is gone."""
        ...


class Backend(Protocol):
    """Opens sandboxes."""

    def __call__(self, spec: SandboxSpec) -> AbstractAsyncContextManager[Sandbox]:
        """Open a machine for as long as the context lasts.

        Raises:
            SandboxStartError: It did not come up; nothing is left behind.
        """
        ...
