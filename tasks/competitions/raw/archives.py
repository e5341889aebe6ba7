"""Archives: a zip's members one by one, others unpacked whole. None of them is trusted."""

import lzma
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from bisect import bisect_left
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from rich.filesize import decimal

from proctor.schemas.errors import TaskError
from proctor.tasks.formats.reading import leads_out

UNPACKED = (".7z", ".tar", ".tar.gz", ".tgz")
"""Archives that are read from end to end, and so are unpacked whole."""
ARCHIVES = (".zip", *UNPACKED)
NOT_DATA = ("__MACOSX", ".DS_Store")
CHUNK = 1 << 20
DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)
"""What archives' modules raise on data that is damaged, locked or of a kind they do not know."""
Free: TypeAlias = Callable[[Path], int]
"""How many bytes the disk of a directory has left."""


class Zip:
    """The members of a .zip archive; only those that are asked for are ever unpacked."""

    def __init__(self, path: Path, said: str) -> None:
        """Read the list of members.

        Raises:
            TaskError: It is no such archive, or a member would leave its folder.
        """
        self.said = said
        try:
            self._file = zipfile.ZipFile(path)
        except DAMAGE as error:
            raise _damaged(said, error) from error
        self._members = {
            checked(each.filename, said): each
            for each in self._file.infolist()
            if not each.is_dir() and not _is_link(each) and _is_data(each.filename)
        }
        self._sorted = sorted(self._members)

    def __contains__(self, name: object) -> bool:
        """Whether there is such a member."""
        return name in self._members

    def packed_bytes(self, name: str) -> int:
        """What a member is said to take once it is unpacked; it is stopped where it takes more."""
        return self._members[name].file_size

    def names(self, start: str) -> Iterator[str]:
        """All members whose names start so."""
        for n in range(bisect_left(self._sorted, start), len(self._sorted)):
            if not self._sorted[n].startswith(start):
                return
            yield self._sorted[n]

    def put(self, name: str, to: str, *, link: bool) -> int:  # noqa: ARG002 - it is no file yet
        """Unpack a member; what is locked with a password counts as damaged."""
        member = self._members.get(name)
        if member is None:
            raise FileNotFoundError(name)
        try:
            with self._file.open(member) as packed, open(to, "xb") as file:  # noqa: PTH123
                shutil.copyfileobj(packed, file, CHUNK)
                return file.tell()
        except DAMAGE as error:
            raise _damaged(f"{self.said}: {name}", error) from error
        except OSError as error:
            if error.errno is None:  # of bz2
                raise _damaged(f"{self.said}: {name}", error) from error
            raise

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def free_bytes(place: Path) -> int:
    """What the disk has left for files there."""
    return shutil.disk_usage(place).free


def unpack(path: Path, target: Path, said: str, free: Free = free_bytes) -> None:
    """Unpack a whole archive into an empty folder.

    Raises:
        TaskError: It is damaged, does not stay in there, or there is no room for it.
    """
    try:
        if path.name.lower().endswith(".7z"):
            _unpack_7z(path, target, said, free)
        else:
            _unpack_tar(path, target, said, free)
    except DAMAGE as error:
        raise _damaged(said, error) from error
    for place, _, names in os.walk(target):
        for name in names:
            found = Path(place, name)
            if found.is_symlink():
                found.unlink()
            else:
                found.chmod(0o644)


def checked(name: str, said: str) -> str:
    """A member's name, made sure to stay in the archive's folder.

    Raises:
        TaskError: It does not.
    """
    if leads_out(name):
        raise TaskError(
            f"{said}: its member {name!r} would be unpacked elsewhere; download it again"
        )
    return str(PurePosixPath(name))


def stem_of(path: str) -> str:
    """An archive's path without its ending."""
    ending = next(each for each in sorted(ARCHIVES, key=len)[::-1] if path.lower().endswith(each))
    return path[: -len(ending)]


def check_room(needed: int, target: Path, said: str, free: Free = free_bytes) -> None:
    """Check that the disk has room for what is about to be unpacked.

    Raises:
        TaskError: It has not.
    """
    if needed > (there := free(target)):
        raise TaskError(
            f"{said}: {decimal(needed)} are to be unpacked, and {decimal(there)} are free in "
            f"{target}; make room, or choose another place with --data"
        )


def _unpack_tar(path: Path, target: Path, said: str, free: Free) -> None:
    """Unpack, once there is room for all, or for each where only unpacking tells how many.

    A member is never larger than it states, as the next one begins there.
    """

    def with_room(member: tarfile.TarInfo, into: str) -> tarfile.TarInfo | None:
        check_room(member.size, target, f"{said}: {member.name}", free)
        return tarfile.data_filter(member, into)

    with tarfile.open(path) as archive:
        if path.name.lower().endswith(".tar"):
            needed = 0
            for member in archive:
                needed += member.size
                check_room(needed, target, said, free)
        archive.extractall(target, filter=with_room)  # noqa: S202 - which is the usual filter, too


def _unpack_7z(path: Path, target: Path, said: str, free: Free) -> None:
    try:
        from py7zr import SevenZipFile  # noqa: PLC0415 - installed for such competitions only
        from py7zr.exceptions import ArchiveError  # noqa: PLC0415
    except ImportError as error:
        raise TaskError(
            f"{said}: 7z archives take a further package: pip install 'mle-proctor[kaggle]'; "
            "or unpack it there yourself"
        ) from error
    try:
        with SevenZipFile(path) as archive:
            members = archive.list()
            for each in members:
                checked(each.filename, said)
            check_room(sum(each.uncompressed for each in members), target, said, free)
            archive.extractall(target)  # noqa: S202 - its members' names were checked
    except (ArchiveError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise _damaged(said, error) from error


def _is_link(member: zipfile.ZipInfo) -> bool:
    return stat.S_ISLNK(member.external_attr >> 16)


def _is_data(name: str) -> bool:
    return not any(part in NOT_DATA for part in PurePosixPath(name).parts)


def _damaged(said: str, error: Exception) -> TaskError:
    return TaskError(f"{said} is damaged: {error}; download it again")
