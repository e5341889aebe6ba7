"""The command line that opens a bubblewrap sandbox: what it sees, and as whom it runs.

Started as root, bubblewrap would keep the host's root behind its user mapping, so root first
drops to a user that owns nothing. That user may be unable to reach the interpreter, such as one
below /root; so root, in a mount namespace of the sandbox's own, first binds what lies out of
reach to a place within reach.
"""

import itertools
import os
import shlex
import sys
import sysconfig
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path

from typing_extensions import override

from proctor.schemas.errors import SandboxStartError
from proctor.schemas.sandbox import SandboxSpec

TMP_BYTES = 1 << 30
SHARED_MEMORY_BYTES = 1 << 28
FIRST_USER = 0x6000_0000
"""Host users of sandboxes count from here, far above any that a system allocates."""
STAGES = (Path("/mnt"), Path("/media"), Path("/srv"))
"""One of these is covered, in the sandbox's own mount namespace, to bind things within reach."""
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
ETC = (
    "alternatives",
    "ca-certificates",
    "fonts",
    "ld.so.cache",
    "localtime",
    "mime.types",
    "ssl/certs",
)
OOM_COUNTERS = {
    "/sys/fs/cgroup/memory.events": "memory.events",
    "/sys/fs/cgroup/memory/memory.oom_control": "memory.oom_control",
}
"""Where a sandbox finds its control group's counters, by version of the kernel's interface."""
FOR_ALL = 0o005
"""That anybody may list a directory and enter it."""
OWN_ETC = ("passwd", "group", "hosts")
DISTRIBUTION = "mle_proctor*"
PACKAGE = Path(__file__).parent.parent

_users = itertools.count(FIRST_USER + os.getpid() % 10_000 * 10_000)


class Walls(ABC):
    """What every launch has in common: namespaces, nobody's rights, a read-only system."""

    def __init__(self, seccomp: int, join: Sequence[Path] = ()) -> None:
        """Prepare a launch.

        Args:
            seccomp: The descriptor, to be inherited, of the system-call filter.
            join: Files to which the first process inside writes its id: control groups.
        """
        self._seccomp = seccomp
        self._join = join
        self._root = os.geteuid() == 0
        self._staged: dict[Path, Path] = {}

    @staticmethod
    def programs() -> tuple[str, ...]:
        """The programs that a launch calls."""
        return ("bwrap", "sh", "setpriv", "unshare", "mount") if os.geteuid() == 0 else ("bwrap",)

    def command(self, inside: Sequence[str]) -> list[str]:
        """The command line that runs `inside` behind the walls."""
        bwrap = ["bwrap", *self._namespaces(), *self._view(), "--", *inside]
        if not self._root:
            return bwrap
        user = str(next(_users))
        drop = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--no-new-privs"]
        script = "\n".join(["set -e", *self._preparations(), shlex.join(["exec", *drop, *bwrap])])
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script]

    def _namespaces(self) -> Iterator[str]:
        yield from ("--unshare-all", "--unshare-user", "--disable-userns")
        yield from ("--cap-drop", "ALL", "--uid", "1000", "--gid", "1000")
        yield from ("--new-session", "--die-with-parent", "--hostname", "sandbox")
        yield from ("--seccomp", str(self._seccomp))

    @abstractmethod
    def _view(self) -> Iterator[str]:
        """Every mount inside. What comes later covers what came before."""

    def _hidden(self) -> Sequence[Path]:
        """What nobody inside may see, wherever it lies."""
        return own_places()

    @staticmethod
    def _volatile(shared: int, temporary: int) -> Iterator[str]:
        """What is the kernel's or in memory, so that other mounts may lie in it."""
        yield from ("--proc", "/proc", "--dev", "/dev")
        yield from ("--perms", "1777", "--size", str(shared), "--tmpfs", "/dev/shm")  # noqa: S108 - inside
        yield from ("--perms", "1777", "--size", str(temporary), "--tmpfs", "/tmp")  # noqa: S108 - inside

    def _system(self) -> Iterator[str]:
        """The system's programs and this interpreter with its packages, without what is ours."""
        shown: list[Path] = []
        for name in SYSTEM:
            path = Path(name)
            if path.is_symlink():
                yield from ("--symlink", str(path.readlink()), name)
            elif path.is_dir():
                yield from self._bind(path, path)
                shown.append(path)
        yield from self._cover(shown)
        for prefix in _prefixes():
            if not any(prefix.is_relative_to(path) for path in shown) or self._covered(prefix):
                yield from self._bind(prefix, prefix)
                shown.append(prefix)
        yield from self._cover([path for path in shown if str(path) not in SYSTEM])

    @staticmethod
    def _system_places() -> tuple[Path, ...]:
        """The directories that `_system` shows."""
        return (*(path for path in map(Path, SYSTEM) if path.is_dir()), *_prefixes())

    def _etc(self, shared: Sequence[str], own: Sequence[str]) -> Iterator[str]:
        """What programs look for in /etc: the host's files, and some of our own."""
        for name in shared:
            if (path := Path("/etc") / name).exists():
                yield from self._bind(path.resolve(), path)
        for name in own:
            yield from self._bind(
                Path(__file__).resolve().parent / "etc" / name, Path("/etc") / name
            )

    def _bind(self, source: Path, target: Path) -> tuple[str, str, str]:
        return ("--ro-bind", str(self._within_reach(source)), str(target))

    def _cover(self, shown: Sequence[Path]) -> Iterator[str]:
        for place in self._hidden():
            if any(place.is_relative_to(path) for path in shown):
                yield from ("--tmpfs", str(place), "--remount-ro", str(place))

    @staticmethod
    def _covered(path: Path) -> bool:
        return any(path.is_relative_to(place) for place in own_places())

    def _within_reach(self, source: Path) -> Path:
        if not self._root or _reachable_by_anyone(source):
            return source
        if source not in self._staged:
            self._staged[source] = self._stage() / str(len(self._staged))
        return self._staged[source]

    def _needed(self) -> Sequence[Path]:
        """What must not be covered by a stage."""
        return (PACKAGE.resolve(), *_prefixes())

    def _stage(self) -> Path:
        needed = self._needed()
        for stage in STAGES:
            if stage.is_dir() and not any(path.is_relative_to(stage) for path in needed):
                return stage
        raise SandboxStartError(f"none of {', '.join(map(str, STAGES))} can serve as a stage")

    def _preparations(self) -> Iterator[str]:
        # The helper's; commands raise their own. Not every root may lower it.
        yield "{ echo -900 > /proc/self/oom_score_adj; } 2>/dev/null || :"
        for procs in self._join:
            yield f"echo $$ > {shlex.quote(str(procs))}"
        if not self._staged:
            return
        yield f"mount -t tmpfs -o size=64k,mode=755 tmpfs {self._stage()}"
        for source, target in self._staged.items():
            make = "mkdir" if source.is_dir() else "touch"
            yield f"{make} {target}; mount --bind {shlex.quote(str(source))} {target}"


class Launch(Walls):
    """How one sandbox is launched."""

    def __init__(
        self,
        spec: SandboxSpec,
        seccomp: int,
        join: Sequence[Path] = (),
        nodes: Sequence[Path] = (),
    ) -> None:
        """Prepare a launch, of which the command becomes PID 1.

        Args:
            spec: What the task asks for.
            seccomp: The descriptor, to be inherited, of the system-call filter.
            join: Files to which the sandbox's first process writes its id: control groups.
            nodes: Devices of the host that the sandbox may use: those of its GPUs.
        """
        super().__init__(seccomp, join)
        self.python = sys.executable
        self._spec = spec
        self._nodes = nodes

    @override
    def _namespaces(self) -> Iterator[str]:
        yield from super()._namespaces()
        yield from ("--as-pid-1", "--clearenv")

    @override
    def _view(self) -> Iterator[str]:
        memory = self._spec.memory_bytes  # in-memory files alone must never exhaust it
        yield from self._volatile(
            min(SHARED_MEMORY_BYTES, memory // 8), min(TMP_BYTES, memory // 4)
        )
        yield from self._system()
        yield from self._etc(ETC, OWN_ETC)
        yield from self._of_its_own()
        yield from ("--size", str(self._spec.workspace_limit), "--tmpfs", self._spec.workdir)
        yield from ("--remount-ro", "/dev", "--remount-ro", "/", "--chdir", self._spec.workdir)

    def _of_its_own(self) -> Iterator[str]:
        """What this sandbox sees and others do not: data, devices, and its memory's counters.

        The counters tell the helper that memory ran out.
        """
        for mount in self._spec.mounts:
            yield from self._bind(self._mountable(mount.source), Path(mount.target))
        for node in self._nodes:
            yield from ("--dev-bind", str(self._within_reach(node)), str(node))
        for group in {procs.parent for procs in self._join}:
            for place, name in OOM_COUNTERS.items():
                if (group / name).exists():
                    yield from ("--ro-bind", str(group / name), place)

    def _mountable(self, source: str) -> Path:
        path = Path(source)
        if not (path.is_absolute() and path.is_dir()):
            raise SandboxStartError(f"there is no directory {source!r} to mount")
        if self._root and path.stat().st_mode & FOR_ALL != FOR_ALL:
            raise SandboxStartError(
                f"the user of a sandbox cannot read {source!r}; 'chmod -R a+rX' lets it"
            )
        return path


def _prefixes() -> tuple[Path, ...]:
    """Where the interpreter and its packages live, without repetition, real paths first."""
    executable = Path(sys.executable).resolve()
    places = (executable.parent.parent, Path(sys.base_prefix), Path(sys.base_exec_prefix),
              Path(sys.prefix), Path(sys.exec_prefix))  # fmt: skip
    return tuple(path for path in dict.fromkeys(places) if str(path) != "/")


def own_places() -> tuple[Path, ...]:
    """Where Proctor's code and tasks lie, however it was installed: no sandbox may see them."""
    places = {PACKAGE, PACKAGE.resolve(), Path(__file__).resolve().parent.parent}
    for key in ("purelib", "platlib"):
        places.update(Path(sysconfig.get_path(key)).glob(DISTRIBUTION))
    return tuple(sorted(place for place in places if place.is_dir()))


def _reachable_by_anyone(path: Path) -> bool:
    """Whether a user without any right of its own could open `path`."""
    if not path.stat().st_mode & 0o004:
        return False
    return all(parent.stat().st_mode & 0o001 for parent in (path, *path.parents) if parent.is_dir())
