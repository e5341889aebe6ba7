"""A whole tree as one archive, and back. Imported only when needed: tarfile takes its time."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tarfile

from proctor.sandbox_backends.helper.files import CHUNK, SnapshotTooLargeError, Tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO, Any, BinaryIO

MAX_DEPTH = 100


class Snapshot:
    """A tree as a reproducible tar stream: sorted, without times or owners."""

    def __init__(self, source: Tree, max_bytes: int, max_files: int, exclude: list[str]) -> None:
        self.source, self.max_bytes, self.max_files = source, max_bytes, max_files
        self.exclude = frozenset(exclude)
        self.bytes = self.files = self.entries = 0
        self.skipped: list[str] = []

    def write(self, send: Callable[[bytes], None]) -> dict[str, Any]:
        """Send the stream in pieces.

        Returns:
            What is in it, and what could not be kept: devices, sockets, unreadable files.
        """
        out = _Pieces(send)
        with tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as archive:  # type: ignore[call-overload]
            self._directory(archive, "", 0)  # pyright: ignore[reportUnknownArgumentType]  # as above
        out.finish()
        return {
            "files": self.files,
            "bytes": self.bytes,
            "skipped": [path[:200] for path in self.skipped[:100]],
        }

    def _directory(self, archive: tarfile.TarFile, path: str, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise SnapshotTooLargeError(f"directories nested deeper than {MAX_DEPTH}")
        fd = self.source.directory(path)
        try:
            for name in sorted(os.listdir(fd), key=os.fsencode):
                if name not in self.exclude:
                    below = path + "/" + name if path else name
                    try:
                        below.encode()
                        self._entry(archive, fd, name, below, depth)
                    except (OSError, UnicodeError):
                        self.skipped.append(repr(below))
        finally:
            os.close(fd)

    def _entry(
        self, archive: tarfile.TarFile, parent: int, name: str, path: str, depth: int
    ) -> None:
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
        info = tarfile.TarInfo(path)
        info.mode = stat.S_IMODE(found.st_mode) & 0o777
        if stat.S_ISREG(found.st_mode):
            self._file(archive, parent, name, info)
            return
        self._count(0, path)
        if stat.S_ISDIR(found.st_mode):
            info.type = tarfile.DIRTYPE
            archive.addfile(info)
            self._directory(archive, path, depth + 1)
        elif stat.S_ISLNK(found.st_mode):
            info.type, info.linkname = tarfile.SYMTYPE, os.readlink(name, dir_fd=parent)
            archive.addfile(info)
        else:
            self.skipped.append(path)

    def _file(
        self, archive: tarfile.TarFile, parent: int, name: str, info: tarfile.TarInfo
    ) -> None:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=parent)
        with os.fdopen(fd, "rb") as file:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode):
                raise OSError(errno.EINVAL, "changed its kind", name)
            self._count(found.st_size, info.name)
            self.files += 1
            info.size = found.st_size
            archive.addfile(info, _Promised(file, found.st_size))  # type: ignore[arg-type]

    def _count(self, size: int, path: str) -> None:
        self.entries += 1
        self.bytes += size
        if self.entries > self.max_files:
            raise SnapshotTooLargeError(f"more than {self.max_files} files and directories")
        if self.bytes > self.max_bytes:
            raise SnapshotTooLargeError(f"more than {self.max_bytes >> 20} MiB, at {path}")


class _Pieces:
    """A file that hands on what is written to it, in pieces."""

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self.send = send
        self.waiting = bytearray()

    def write(self, data: bytes) -> int:
        self.waiting += data
        while len(self.waiting) >= CHUNK:
            self.send(bytes(self.waiting[:CHUNK]))
            del self.waiting[:CHUNK]
        return len(data)

    def finish(self) -> None:
        if self.waiting:
            self.send(bytes(self.waiting))
            self.waiting.clear()


class _Promised:
    """A file of a promised size, whatever becomes of it while it is read."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.file, self.left = file, size

    def read(self, size: int) -> bytes:
        size = min(size, self.left)
        self.left -= size
        return self.file.read(size).ljust(size, b"\0")


def restore(target: Tree, archive: IO[bytes]) -> None:
    """Unpack a tar stream into `target`: files, directories and links, nothing else."""
    try:
        with tarfile.open(fileobj=archive, mode="r|*") as source:
            for member in source:
                _restore_one(target, source, member)
    except tarfile.TarError as error:
        raise ValueError(f"this is no archive: {error}") from error


def _restore_one(target: Tree, source: tarfile.TarFile, member: tarfile.TarInfo) -> None:
    path = member.name
    if path.startswith("/") or ".." in path.split("/"):
        raise ValueError(f"the path {path!r} leads out")
    content = source.extractfile(member) if member.isreg() else None
    if content is not None:
        target.replace(path, content, member.mode & 0o777)
    elif member.isdir():
        os.close(target.made_directory(path))
    elif member.issym():
        _link(target, path, member.linkname)


def _link(target: Tree, path: str, points_to: str) -> None:
    parent_path, _, name = path.rpartition("/")
    parent = target.made_directory(parent_path)
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=parent)
        os.symlink(points_to, name, dir_fd=parent)
    finally:
        os.close(parent)
