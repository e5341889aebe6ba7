"""What a sandbox should be, what it turned out to be, and what a command in it did."""

from typing import Literal, TypeAlias

from pydantic import Field, field_validator

from proctor.schemas.base import Value

MEBIBYTE = 1 << 20
SYSTEM_PLACES = frozenset(
    ("bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "sbin", "sys", "usr")
)

Isolation: TypeAlias = Literal["namespaces", "container", "none"]
"""What stands between the agent and the host."""

LimitsHeld: TypeAlias = Literal["full", "partial", "none"]
"""Whether memory, process and disk limits hold for the sandbox as a whole (``full``), for each
process alone (``partial``), or not at all."""


class SandboxSpec(Value):
    """The machine that a task asks for."""

    workdir: str = Field(default="/workspace", pattern=r"^(/[A-Za-z0-9._-]+)+$")
    """Where the workspace lies, an absolute path in the sandbox."""
    memory_bytes: int = Field(default=4096 * MEBIBYTE, gt=0)
    """Memory for everything in the sandbox, its in-memory files included."""
    workspace_bytes: int = Field(default=1024 * MEBIBYTE, gt=0)
    """How much the workspace may hold."""
    pids: int = Field(default=512, gt=0)
    """Processes and threads at once."""
    cpus: float | None = Field(default=None, gt=0)
    """CPU time per wall-clock time; None leaves it unlimited."""
    script_cwd: Literal["workspace", "script"] = "workspace"
    """Where ``run_python`` starts a script: in the workspace, or beside the script."""
    isolation_required: bool = False
    """Refuse a sandbox whose isolation is ``none``."""

    @field_validator("workdir")
    @classmethod
    def _workdir_is_no_place_of_the_system(cls, workdir: str) -> str:
        if workdir.split("/")[1] in SYSTEM_PLACES or {".", ".."} & set(workdir.split("/")):
            raise ValueError(f"{workdir!r} is no place for a workspace; use one such as '/app'")
        return workdir


class SandboxInfo(Value):
    """What a live sandbox is; part of every result."""

    backend: str
    isolation: Isolation
    limits: LimitsHeld
    workdir: str
    """Where the workspace really lies; differs from the spec's only without isolation."""
    scratch: str
    """A directory outside the workspace, no part of any snapshot."""
    python: str
    """The interpreter that ``run_python`` uses, as a path in the sandbox."""
    script_cwd: Literal["workspace", "script"] = "workspace"
    """Where ``run_python`` starts a script."""


class Captured(Value):
    """What a command wrote to one stream: all of it, or its head and tail."""

    head: bytes = b""
    tail: bytes = b""
    total: int = 0
    """Bytes written in all, as far as they were counted."""
    spool: str | None = None
    """A file in the sandbox with the whole, where it did not fit; outside the workspace."""

    @property
    def dropped(self) -> int:
        """Bytes that are in neither head nor tail."""
        return self.total - len(self.head) - len(self.tail)

    def text(self) -> str:
        """The output as text; undecodable bytes show as U+FFFD, a gap says what is missing."""
        head = self.head.decode("utf-8", "replace")
        if not self.dropped:
            return (self.head + self.tail).decode("utf-8", "replace")
        where = f"; the whole output is in {self.spool}" if self.spool else ""
        tail = self.tail.decode("utf-8", "replace")
        return f"{head}\n[... {self.dropped} bytes left out{where} ...]\n{tail}"


class ExecResult(Value):
    """How a command ended. A failing command is data, not an error."""

    exit_code: int
    """As the shell reports it: 128 + n after signal n."""
    stdout: Captured
    stderr: Captured
    timed_out: bool = False
    duration_s: float


class FileEntry(Value):
    """One entry of a directory."""

    name: str
    kind: Literal["file", "directory", "symlink", "other"]
    size: int
    """Bytes; 0 for anything but a file."""
