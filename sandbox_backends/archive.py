"""Snapshots on the server's side: pack files for a sandbox, read what one handed back.

An archive that comes out of a sandbox is the agent's data. It is only ever read as a stream of
plain files: links are never followed, and nothing is written outside the target.
"""

import hashlib
import io
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO

from proctor.sandbox_backends.base import BytesSink
from proctor.schemas.task import FileTree


def pack(tree: FileTree) -> io.BytesIO:
    """Make a tar stream of plain files; equal trees give equal bytes."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(tree):
            info = tarfile.TarInfo(path)
            info.size, info.mode = len(tree[path]), 0o644
            archive.addfile(info, io.BytesIO(tree[path]))
    target.seek(0)
    return target


class HashingWriter:
    """Passes bytes on to `target` and keeps their SHA-256."""

    def __init__(self, target: BytesSink) -> None:
        self._target = target
        self._seal = hashlib.sha256()

    def write(self, data: bytes, /) -> object:
        """Write and hash `data`."""
        self._seal.update(data)
        return self._target.write(data)

    def hexdigest(self) -> str:
        """The SHA-256 of everything written so far."""
        return self._seal.hexdigest()


def regular_files(archive: BinaryIO) -> Iterator[tuple[str, int, IO[bytes]]]:
    """Each plain file of a tar stream, as (path, size, content), in the stream's order.

    The content can be read until the next file is asked for. Paths are relative and stay below
    the archive's root.
    """
    with tarfile.open(fileobj=archive, mode="r|*") as source:
        for member in source:
            path = PurePosixPath(member.name)
            safe = not path.is_absolute() and ".." not in path.parts and path.parts
            content = source.extractfile(member) if member.isreg() and safe else None
            if content is not None:
                yield str(path), member.size, content


def links(archive: BinaryIO) -> Iterator[str]:
    """The paths of the symbolic links of a tar stream."""
    with tarfile.open(fileobj=archive, mode="r|*") as source:
        yield from (str(PurePosixPath(member.name)) for member in source if member.issym())


def read_file(archive: Path, path: str, *, max_bytes: int) -> bytes | None:
    """One file of a compressed snapshot; None where there is none of that name.

    Raises:
        ValueError: It is larger than `max_bytes`.
    """
    wanted = str(PurePosixPath(path))
    with archive.open("rb") as stream:
        for name, size, content in regular_files(stream):
            if name == wanted:
                if size > max_bytes:
                    raise ValueError(f"{path} holds {size} bytes, more than {max_bytes}")
                return content.read()
    return None


def copy_file(archive: Path, path: str, target: Path, max_bytes: int) -> None:
    """Copy one plain file of a compressed snapshot, in pieces.

    Raises:
        FileNotFoundError: There is no plain file of that name; the message says what there is.
        ValueError: It is larger than `max_bytes`.
    """
    wanted = str(PurePosixPath(path))
    with archive.open("rb") as stream, tarfile.open(fileobj=stream, mode="r|*") as source:
        for member in source:
            if str(PurePosixPath(member.name)) == wanted:
                if member.issym() or member.islnk():
                    raise FileNotFoundError(f"{path}: it is a link; hand in the file itself")
                content = source.extractfile(member) if member.isreg() else None
                if content is None:
                    raise FileNotFoundError(f"{path}: it is not a file")
                if member.size > max_bytes:
                    raise ValueError(f"{path} holds {member.size} bytes, more than {max_bytes}")
                with target.open("wb") as file:
                    shutil.copyfileobj(content, file, 1 << 20)
                return
    raise FileNotFoundError(f"{path}: it does not exist in the workspace that was handed in")


def extract(archive: Path, target: Path) -> None:
    """Unpack the plain files of a compressed snapshot below `target`, a new directory."""
    target.mkdir(parents=True)
    with archive.open("rb") as stream:
        for name, _, content in regular_files(stream):
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                while chunk := content.read(1 << 20):
                    file.write(chunk)
