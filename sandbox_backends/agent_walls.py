"""The walls around an agent that sits the exam as a process of its own.

Unlike a sandbox it has the host's network, as it must reach the server and its provider. Of the
file system it sees the system, its own program and a home of its own, all that can be written to
in memory; neither tasks nor results, wherever they lie, nor the home of whoever runs it.
"""

import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from typing_extensions import override

from proctor.sandbox_backends.bubblewrap import (
    ETC,
    FOR_ALL,
    SHARED_MEMORY_BYTES,
    TMP_BYTES,
    Walls,
    own_places,
)
from proctor.sandbox_backends.seccomp import filter_to_inherit

HOME = Path("/home/agent")
NETWORK_ETC = (
    "crypto-policies",
    "gai.conf",
    "host.conf",
    "hosts",
    "nsswitch.conf",
    "pki",
    "protocols",
    "resolv.conf",
    "services",
    "ssl/cert.pem",
    "ssl/openssl.cnf",
)
OWN_ETC = ("passwd", "group")


@dataclass(frozen=True)
class View:
    """What an agent sees of the host, and what it must not see."""

    shown: tuple[Path, ...] = ()
    """Directories and files, read-only; absolute."""
    hidden: tuple[Path, ...] = ()
    """Directories that stay invisible even where they lie in one that is shown."""

    def problem(self) -> str | None:
        """Why there is no such view, where there is none."""
        for path in self.shown:
            if not path.exists():
                return f"there is no {path}"
            real = path.resolve()
            wanted = FOR_ALL if real.is_dir() else FOR_ALL & 0o444
            if os.geteuid() == 0 and real.stat().st_mode & wanted != wanted:
                return f"an agent has no right of root's, to read {path}; 'chmod a+rX' lets it"
            ours = own_places() if real.is_dir() else ()  # an example in a checkout is no secret
            for place in (*self.hidden, *ours):
                if real.is_relative_to(place):
                    return f"{path} lies in {place}, which no agent may see"
        return None


@contextmanager
def walled(
    argv: Sequence[str], view: View, own: Path, files: Mapping[Path, bytes]
) -> Generator[tuple[list[str], tuple[int, ...]]]:
    """The command line that runs `argv` behind walls, and the descriptors that it must inherit.

    Args:
        argv: The agent; its environment is that of the command line.
        view: What it sees.
        own: A directory that it may write to, made inside; it starts in ``work/`` there.
        files: What it finds where, readable by it alone; below `own` or its home.

    Raises:
        SandboxStartError: There are no walls to be had.
    """
    with ExitStack() as stack:
        seccomp = stack.enter_context(filter_to_inherit())
        open_files = {path: stack.enter_context(_in_memory(files[path])) for path in files}
        launch = _AgentLaunch(seccomp, view, own, open_files)
        yield launch.command(argv), (seccomp, *open_files.values())


class _AgentLaunch(Walls):
    def __init__(self, seccomp: int, view: View, own: Path, files: Mapping[Path, int]) -> None:
        super().__init__(seccomp)
        self._shown = view
        self._own = own
        self._files = files

    @override
    def _namespaces(self) -> Iterator[str]:
        yield from super()._namespaces()
        yield "--share-net"

    @override
    def _hidden(self) -> Sequence[Path]:
        return (*super()._hidden(), *(path for path in self._shown.hidden if path.is_dir()))

    @override
    def _needed(self) -> Sequence[Path]:
        return (*super()._needed(), *(path.resolve() for path in self._shown.shown))

    @override
    def _view(self) -> Iterator[str]:
        yield from self._volatile(SHARED_MEMORY_BYTES, TMP_BYTES)
        yield from ("--perms", "0700", "--size", str(TMP_BYTES), "--tmpfs", str(HOME))
        yield from self._system()
        yield from self._etc((*ETC, *NETWORK_ETC), OWN_ETC)
        yield from self._program()
        yield from ("--perms", "0700", "--size", str(TMP_BYTES), "--tmpfs", str(self._own))
        yield from ("--dir", str(self._own / "work"))
        for path, descriptor in self._files.items():
            yield from ("--perms", "0600", "--file", str(descriptor), str(path))
        yield from ("--remount-ro", "/dev", "--remount-ro", "/", "--chdir", str(self._own / "work"))

    def _program(self) -> Iterator[str]:
        """What is shown beside the system: directories less what is hidden, then files."""
        directories = [path for path in self._shown.shown if path.is_dir()]
        for path in directories:
            yield from self._bind(path, path)
        yield from self._cover(directories)
        for path in self._shown.shown:
            real = path.resolve()
            if path.is_dir():
                continue
            if real != path and not self._is_shown(path, directories):
                yield from ("--symlink", str(real), str(path))
            if not self._is_shown(real, directories):
                yield from self._bind(real, real)

    def _is_shown(self, path: Path, directories: Sequence[Path]) -> bool:
        hidden = any(path.is_relative_to(place) for place in self._hidden())
        return not hidden and any(
            path.is_relative_to(place) for place in (*directories, *self._system_places())
        )


@contextmanager
def _in_memory(data: bytes) -> Generator[int]:
    with os.fdopen(os.memfd_create("file"), "w+b") as file:
        file.write(data)
        file.seek(0)
        yield file.fileno()
