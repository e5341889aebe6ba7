"""A zip to files: none outside the directory, no links, and no more than the disk has."""

import stat
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath

from proctor.schemas.errors import TaskError
from proctor.tasks.competitions.progress import Progress
from proctor.tasks.competitions.raw.archives import CHUNK
from proctor.tasks.formats.reading import leads_out


def unpack(
    archive: Path, into: Path, progress: Progress, check_space: Callable[[int], None]
) -> None:
    """Extract a zip into a directory.

    Args:
        archive: The zip.
        into: The directory, made where there is none.
        progress: What is told of the bytes.
        check_space: Called with the bytes to come before the first is written.

    Raises:
        TaskError: It is no zip, is damaged, or has what must not be extracted.
        OSError: The files cannot be written.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [each for each in opened.infolist() if not each.is_dir()]
            places = _places(archive, members)
            size = sum(each.file_size for each in members)
            check_space(size)
            progress.step("extract", size, "bytes")
            into.mkdir(parents=True, exist_ok=True)
            for member, place in zip(members, places, strict=True):
                _extract(opened, member, into / place, progress)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise TaskError(
            f"{archive}: not a zip that can be extracted: {error}; delete it, and try again"
        ) from error


def place_in(name: str, whose: str) -> PurePosixPath:
    """Where in a directory a file of that name lies.

    Raises:
        TaskError: It would lie outside.
    """
    if leads_out(name):
        raise TaskError(f"{whose}: {name!r} would lie outside its directory; nothing was taken")
    return PurePosixPath(name)


def is_zip_of(path: Path, name: str) -> bool:
    """Whether a file is a zip that holds one of that name, and nothing else."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as opened:
        return opened.namelist() == [name]


def _extract(
    opened: zipfile.ZipFile, member: zipfile.ZipInfo, place: Path, progress: Progress
) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    with opened.open(member) as source, place.open("xb") as target:  # never more than it states
        while chunk := source.read(CHUNK):
            target.write(chunk)
            progress.advance(len(chunk))


def _places(archive: Path, members: Iterable[zipfile.ZipInfo]) -> list[PurePosixPath]:
    places: dict[PurePosixPath, None] = {}
    for member in members:
        place = place_in(member.filename, str(archive))
        if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
            raise TaskError(f"{archive}: {member.filename!r} is no plain file; nothing was taken")
        if place in places:
            raise TaskError(f"{archive}: {member.filename!r} is there twice; nothing was taken")
        places[place] = None
    return list(places)
