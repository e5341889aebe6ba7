"""What a sandbox should be, what it turned out to be, and what a command in it did."""

import itertools
from ipaddress import ip_network
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import (
    BeforeValidator,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

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


HostName: TypeAlias = Annotated[
    str, Field(pattern=r"^(\*\.)?([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]([a-z0-9-]*[a-z0-9])$")
]
"""A host's full name in lower case, such as ``pypi.org``; ``*.`` before it names what is below."""
HOST_NAMES = TypeAdapter[tuple[str, ...]](tuple[HostName, ...])


def _is_a_network(value: object) -> object:
    try:
        known = value in ("none", "internet") or bool(HOST_NAMES.validate_python(value))
    except ValidationError:
        known = False
    if not known:
        raise ValueError(
            'use "none", "internet", or a list of host names in lower case, such as '
            '["pypi.org", "*.pythonhosted.org"]'
        )
    return value


Network: TypeAlias = Annotated[
    Literal["none", "internet"] | Annotated[tuple[HostName, ...], Field(min_length=1)],
    BeforeValidator(_is_a_network),
]
"""What a sandbox can reach: nothing, the public internet, or the hosts named."""


class Mount(Value):
    """A directory of the host that a sandbox sees, read-only: data too large to copy."""

    source: str = Field(min_length=1)
    """An absolute path on the machine that runs the sandbox; whoever works there must be allowed to
    read it. In ``task.toml``, a path below the task's own directory."""
    target: str = Field(pattern=r"^(/[A-Za-z0-9._-]+)+$")
    """Where it lies in the sandbox, an absolute path."""
    digest: str = ""
    """The SHA-256 of its files, computed as the task is read; empty where nobody has."""

    @field_validator("target")
    @classmethod
    def _target_is_no_place_of_the_system(cls, target: str) -> str:
        if PurePosixPath(target).is_relative_to("/tmp"):  # noqa: S108 - the sandbox's own
            raise ValueError(f"{target!r} is no place for a mount; use one such as '/data'")
        return _no_place_of_the_system(target, "a mount")


class SandboxSpec(Value):
    """The machine that a task asks for."""

    workdir: str = Field(default="/workspace", pattern=r"^(/[A-Za-z0-9._-]+)+$")
    """Where the workspace lies, an absolute path in the sandbox."""
    memory_bytes: int = Field(default=4096 * MEBIBYTE, gt=0)
    """Memory for everything in the sandbox, its in-memory files included."""
    workspace_bytes: int = Field(default=1024 * MEBIBYTE, gt=0)
    """How much the workspace may hold; half of the memory at most where that is where it lies."""
    pids: int = Field(default=512, gt=0)
    """Processes and threads at once."""
    cpus: float | None = Field(default=None, gt=0)
    """CPU time per wall-clock time; None leaves it unlimited."""
    script_cwd: Literal["workspace", "script"] = "workspace"
    """Where ``run_python`` starts a script: in the workspace, or beside the script."""
    foreground_s: float = Field(default=50.0, gt=0, le=600)
    """When a command goes on as a job. MCP clients give up on a call after 60 to 240 s."""
    isolation_required: bool = False
    """Refuse a sandbox whose isolation is ``none``."""
    network: Network = "none"
    """What the agent can reach, over HTTP and HTTPS alone."""
    gpus: int = Field(default=0, ge=0)
    """GPUs for this sandbox alone."""
    never_gpus: bool = False
    """Open it without GPUs, whatever is set over it: verdict code, say, must not hold the one that
    the code it judges waits for."""
    image: str | None = Field(default=None, min_length=1)
    """The container image; None takes the backend's own."""
    mounts: tuple[Mount, ...] = ()
    """Data that the task declares; never writable."""

    @property
    def workspace_limit(self) -> int:
        """What the workspace may hold where it lies in memory, which it must never exhaust.

        What is in files outlives every process that could be killed for it.
        """
        return min(self.workspace_bytes, self.memory_bytes // 2)

    @field_validator("workdir")
    @classmethod
    def _workdir_is_no_place_of_the_system(cls, workdir: str) -> str:
        return _no_place_of_the_system(workdir, "a workspace")

    @model_validator(mode="after")
    def _mounts_cover_nothing(self) -> Self:
        places = [self.workdir, *(mount.target for mount in self.mounts)]
        for one, other in itertools.permutations(map(PurePosixPath, places), 2):
            if one.is_relative_to(other):
                raise ValueError(f"'{one}' lies in '{other}'; mount data beside it, at '/data'")
        return self


def _no_place_of_the_system(path: str, what: str) -> str:
    if path.split("/")[1] in SYSTEM_PLACES or {".", ".."} & set(path.split("/")):
        raise ValueError(f"{path!r} is no place for {what}; use one such as '/app'")
    return path


class Overrides(Value):
    """What an operator sets over every task's spec: part of every result, never a task's."""

    cpus: float | None = Field(default=None, gt=0)
    memory_bytes: int | None = Field(default=None, gt=0)
    gpus: int | None = Field(default=None, ge=0)
    image: str | None = Field(default=None, min_length=1)
    """The container image of every sandbox."""
    gpu_driver: str | None = Field(default=None, min_length=1)
    """The driver of the container engine's device requests; ``nvidia`` by default."""
    allow_private: tuple[str, ...] = ()
    """Private networks, in CIDR notation, that a task's network may lead to: where a mirror is."""
    container: dict[str, Any] = Field(default_factory=dict[str, Any])
    """Settings of the container engine, as docker-py's ``containers.create`` names them; merged
    last, at every depth."""

    @field_validator("allow_private")
    @classmethod
    def _are_networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(str(ip_network(each)) for each in networks)

    def if_any(self) -> "Overrides | None":
        """These, or None where nothing is set."""
        return None if self == Overrides() else self

    def applied_to(self, spec: SandboxSpec) -> SandboxSpec:
        """`spec` with what is set here."""
        own = {
            "cpus": self.cpus,
            "memory_bytes": self.memory_bytes,
            "gpus": self.gpus,
            "image": self.image,
        }
        if spec.never_gpus:
            own["gpus"] = 0
        return spec.model_copy(update={k: v for k, v in own.items() if v is not None})


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
    network: Network = "none"
    """What can be reached from it; without isolation, everything that the host reaches."""
    image: str | None = None
    """The container image that it was made of, with its digest where the engine knows one."""
    gpus: tuple[str, ...] = ()
    """The GPUs that it holds, by UUID."""
    overrides: Overrides | None = None
    """What the operator set over the task's spec."""
    memory_bytes: int = 0
    """Memory for everything in it; where ``limits`` is ``partial``, for each process."""
    foreground_s: float = 50.0
    """When a command goes on as a job."""


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
    """How a command ended, or that it goes on as a job. A failing command is data, not an error."""

    exit_code: int | None
    """As the shell reports it: 128 + n after signal n. None while it runs."""
    stdout: Captured
    stderr: Captured
    timed_out: bool = False
    oom_killed: bool = False
    """Whether the kernel killed a process of this sandbox meanwhile because memory ran out."""
    duration_s: float
    job: int | None = None
    """Its number, where it is a job: it outlived its foreground limit, or was started as one."""


class Job(Value):
    """A command that runs, or ran, in the background of a sandbox."""

    id: int
    argv: tuple[str, ...]
    running: bool
    exit_code: int | None
    """None while it runs, and where it was stopped or timed out before it ended."""
    timed_out: bool = False
    duration_s: float
    stdout_bytes: int
    """Bytes written so far."""
    stderr_bytes: int


class JobOutput(Value):
    """Some of what a job wrote to one of its streams."""

    data: bytes
    offset: int
    """Where `data` begins in the stream, counted from 0; later than asked for where what was
    asked for is no longer kept."""
    total: int
    """Bytes written so far."""


class FileEntry(Value):
    """One entry of a directory."""

    name: str
    kind: Literal["file", "directory", "symlink", "other"]
    size: int
    """Bytes; 0 for anything but a file."""
