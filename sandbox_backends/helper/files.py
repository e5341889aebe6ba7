"""Files beneath one directory, which no path and no symbolic link leads out of."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat
import struct
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import IO, BinaryIO

CHUNK = 1 << 18
SEARCH_BYTES = 1 << 30
"""How much of a file is searched for a line: a file of holes can be larger than all disks."""
SYS_OPENAT2 = 437
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_BENEATH = 0x08

LIBC = ctypes.CDLL(None, use_errno=True)


class Tree:
    """The files beneath a root."""

    def __init__(self, root: str) -> None:
        self.fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        if _shows_processes(self.fd):  # by a link of the agent's: what is there is the helper's own
            self.close()
            raise PermissionError(errno.EACCES, "leads into /proc", root)

    def close(self) -> None:
        """Let go of the root."""
        os.close(self.fd)

    def open(self, path: str, flags: int) -> int:
        """Open something that exists; a FIFO or a device does not block."""
        flags |= os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
        path = path or "."
        if sys.platform == "linux":
            how = struct.pack("QQQ", flags, 0, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS)
            fd: int = LIBC.syscall(SYS_OPENAT2, self.fd, os.fsencode(path), how, len(how))
            if fd >= 0:
                return fd
            error = ctypes.get_errno()
            if error == errno.EXDEV:
                raise PermissionError(error, "leads out of the workspace", path)
            if error not in (errno.ENOSYS, errno.EPERM):
                raise OSError(error, os.strerror(error), path)
        return self._open_by_parts(path, flags)

    def _open_by_parts(self, path: str, flags: int) -> int:
        """Where openat2 is missing: component by component, following no link at all."""
        parts = [part for part in path.split("/") if part not in ("", ".")] or ["."]
        at = os.dup(self.fd)
        try:
            for part in parts[:-1]:
                below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
                os.close(at)
                at = below
            return os.open(parts[-1], flags | os.O_NOFOLLOW, dir_fd=at)
        finally:
            os.close(at)

    def directory(self, path: str) -> int:
        """An open descriptor of a directory."""
        return self.open(path, os.O_RDONLY | os.O_DIRECTORY)

    def made_directory(self, path: str) -> int:
        """An open descriptor of a directory, made with its parents where it is missing."""
        made = ""
        for part in [part for part in path.split("/") if part not in ("", ".")]:
            parent = self.directory(made)
            try:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, dir_fd=parent)
            finally:
                os.close(parent)
            made = made + "/" + part if made else part
        return self.directory(made)

    def regular(self, path: str) -> int:
        """An open descriptor of a regular file, to read."""
        fd = self.open(path, os.O_RDONLY)
        kind = os.fstat(fd).st_mode
        if stat.S_ISREG(kind):
            return fd
        os.close(fd)
        if stat.S_ISDIR(kind):
            raise IsADirectoryError(errno.EISDIR, "is a directory", path)
        raise OSError(errno.EINVAL, "is not a regular file", path)

    def replace(self, path: str, source: IO[bytes], mode: int | None = None) -> None:
        """Write `source` to `path` whole or not at all; parent directories are made."""
        parent_path, _, name = path.rstrip("/").rpartition("/")
        parent = self.made_directory(parent_path)
        temporary = f".{time.monotonic_ns()}.tmp"  # of no name that could be too long
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            mode = _mode_of(name, parent, path) if mode is None else mode
            fd = os.open(temporary, flags, 0o666, dir_fd=parent)
            try:
                with os.fdopen(fd, "wb") as file:
                    while chunk := source.read(CHUNK):
                        file.write(chunk)
                    if mode is not None:
                        os.fchmod(file.fileno(), mode)
                os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(temporary, dir_fd=parent)
                raise
        finally:
            os.close(parent)


def _shows_processes(fd: int) -> bool:
    try:
        return os.fstat(fd).st_dev == os.stat("/proc").st_dev != os.stat("/").st_dev
    except FileNotFoundError:
        return False


def temporary(directory: str) -> BinaryIO:
    """A new file without a name, in `directory`, which the agent may have removed."""
    os.makedirs(directory, exist_ok=True)
    if hasattr(os, "O_TMPFILE"):
        return os.fdopen(os.open(directory, os.O_TMPFILE | os.O_RDWR, 0o600), "w+b")
    path = f"{directory}/.{time.monotonic_ns()}.tmp"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    os.unlink(path)
    return os.fdopen(fd, "w+b")


@contextlib.contextmanager
def tree(root: str) -> Generator[Tree]:
    """The tree beneath `root`."""
    opened = Tree(root)
    try:
        yield opened
    finally:
        opened.close()


def _mode_of(name: str, parent: int, path: str) -> int | None:
    """The permissions of the file that is replaced; None where there is none."""
    try:
        old = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(old.st_mode):
        raise IsADirectoryError(errno.EISDIR, "is a directory", path)
    return stat.S_IMODE(old.st_mode) if stat.S_ISREG(old.st_mode) else None


def read_lines(fd: int, offset: int, limit: int | None, max_bytes: int) -> tuple[bytes, int, bool]:
    """Lines from `offset` on, counted from 1, at most `limit`, at most `max_bytes` in all.

    Closes `fd`. Memory stays bounded however long a line is, and time however large the file.

    Returns:
        The bytes, the number of the last line in them, and whether the file ends there.
    """
    kept: list[bytes] = []
    size, line, fresh, searched = 0, 1, True, 0
    with os.fdopen(fd, "rb") as file:
        while limit is None or line < offset + limit:
            piece = file.readline(CHUNK)
            if not piece:
                return b"".join(kept), line - fresh, True
            searched += len(piece)
            if searched > SEARCH_BYTES:
                raise OSError(
                    errno.EFBIG, f"has no line {offset} in its first {SEARCH_BYTES} bytes"
                )
            if line >= offset:
                kept.append(piece[: max_bytes - size])
                size += len(kept[-1])
                if len(kept[-1]) < len(piece):
                    return b"".join(kept), line, False
            fresh = piece.endswith(b"\n")
            line += fresh
        return b"".join(kept), line - fresh, not file.read(1)


def list_directory(fd: int, max_entries: int) -> tuple[list[tuple[str, str, int]], int]:
    """Name, kind and size of the entries, sorted, and how many there are in all. Closes `fd`."""
    kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "symlink"}
    entries: list[tuple[str, str, int]] = []
    try:
        names = sorted(os.listdir(fd))
        for name in names[:max_entries]:
            with contextlib.suppress(FileNotFoundError):
                found = os.stat(name, dir_fd=fd, follow_symlinks=False)
                kind = kinds.get(stat.S_IFMT(found.st_mode), "other")
                shown = os.fsencode(name).decode("utf-8", "replace")
                entries.append((shown, kind, found.st_size if kind == "file" else 0))
    finally:
        os.close(fd)
    return entries, len(names)


class SnapshotTooLargeError(Exception):
    """The tree holds more than a snapshot may."""
