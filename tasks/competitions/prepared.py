"""A competition's files on disk: where they lie, and whether they are all there.

Nothing here is slow to import, so that what is prepared is a task at once; and nothing reads a
competition's images: it may have 100 GB of them.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from pydantic import Field, ValidationError

from proctor.schemas.base import Value
from proctor.schemas.errors import TaskError
from proctor.tasks.competitions.definition import PREPARED_BY, Definition

RECIPE = 3
"""The version of the engine that makes the files; another one makes them anew."""
MANIFEST = "manifest.json"
PUBLIC, PRIVATE = "public", "private"
SAMPLE, ANSWERS, REFERENCE = "sample_submission.csv", "answers.csv", "reference.csv"
MODULES = Path(__file__).parent / "kaggle_modules"
MANY_FILES = 20_000
"""From so many on, a folder that nobody wrote to since counts as it was: asking the system about
each file takes 3 us where the disk's directory is in memory, and 1 ms where it is not."""

TOLD = 5
"""So many odd files are named in one message."""


class Written(Value):
    """A file that preparing wrote."""

    sha256: str
    size_bytes: int
    mtime_ns: int


class FolderSeal(Value):
    """What lies in a folder, those in it left aside."""

    files: int
    size_bytes: int
    names: str
    """The SHA-256 of the files' names and sizes."""
    mtime_ns: int


class OddFiles(Value):
    """Raw files that were taken although they are empty, or lack their end."""

    count: int = 0
    named: tuple[str, ...] = ()
    """The first of them, each with what is odd about it."""

    def said(self) -> str:
        """The first few names, then how many more there are."""
        more = self.count - len(first := self.named[:TOLD])
        return ", ".join(first) + (f" and {more} more" if more else "")


class Manifest(Value):
    """What was made."""

    sample: str = SAMPLE
    """The name of the sample submission."""
    moved: tuple[str, ...] = ()
    """The names of raw files that lie in the public folder itself, not in one of its folders."""
    written: Mapping[str, Written] = Field(default_factory=dict[str, Written])
    folders: Mapping[str, FolderSeal] = Field(default_factory=dict[str, FolderSeal])
    odd: OddFiles = OddFiles()

    def digest(self, part: str) -> str:
        """The SHA-256 of the names and contents of ``public`` or ``private``.

        Of files that were moved, their names and sizes stand for the contents.
        """
        seal = hashlib.sha256()
        for path, each in sorted(self.written.items()):
            if path.startswith(f"{part}/"):
                seal.update(f"{path}\0{each.sha256}\0".encode())
        for path, one in sorted(self.folders.items()):
            if path == part or path.startswith(f"{part}/"):
                seal.update(f"{path}\0{one.names}\0".encode())
        return seal.hexdigest()


class Listing(NamedTuple):
    """A folder's files, by name, with their sizes."""

    sizes: dict[str, int]
    mtime_ns: int


def place_of(definition: Definition, data: Path) -> Path:
    """Where the files of a competition, as it is declared, lie or would lie."""
    file = definition.file
    said = {
        "recipe": RECIPE,
        "file": file.model_dump(mode="json", include={"id", "form", "metric", *PREPARED_BY}),
        "module": _code_of(file.module),
        "description": definition.description,
        "checksums": dict(definition.checksums),
    }
    seal = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    return data.absolute() / file.id / seal.hexdigest()[:16]


def manifest_of(place: Path) -> Manifest:
    """What was made in a directory.

    Raises:
        TaskError: Nothing, or its manifest cannot be read.
    """
    try:
        return Manifest.model_validate_json((place / MANIFEST).read_bytes())
    except (OSError, ValidationError) as error:
        raise TaskError(f"{place} was not prepared, or is damaged; prepare it again") from error


def is_whole(place: Path) -> bool:
    """Whether a directory holds what was prepared there.

    Files that preparing wrote have their size and time, or else their contents; of those that were
    moved, the number and the sizes are as they were.
    """
    try:
        manifest = manifest_of(place)
        many = sum(each.files for each in manifest.folders.values()) > MANY_FILES
        return all(
            _is_as_written(place / name, each) for name, each in manifest.written.items()
        ) and all(
            _is_as_sealed(place / name, each, trusting=many)
            for name, each in manifest.folders.items()
        )
    except (TaskError, OSError):
        return False


def seal_of(place: Path, sample: str, written: Mapping[str, str], odd: OddFiles) -> Manifest:
    """The manifest of a directory whose files are all there.

    Args:
        place: The directory.
        sample: The name of the sample submission.
        written: The SHA-256 of each file that was written, by path.
        odd: The raw files that were found to be odd.
    """
    folders = {
        folder.relative_to(place).as_posix(): _sealed(list_folder(folder))
        for part in (PUBLIC, PRIVATE)
        for folder in _folders(place / part)
    }
    files = {
        name: Written(sha256=sha256, size_bytes=info.st_size, mtime_ns=info.st_mtime_ns)
        for name, sha256 in written.items()
        for info in [(place / name).stat()]
    }
    top = (f"{PUBLIC}/{name}" for name in sorted(list_folder(place / PUBLIC).sizes))
    moved = tuple(path.partition("/")[2] for path in top if path not in written)
    return Manifest(sample=sample, moved=moved, written=files, folders=folders, odd=odd)


def list_folder(folder: Path) -> Listing:
    """The files in a folder."""
    with os.scandir(folder) as entries:
        sizes = {each.name: each.stat().st_size for each in entries if each.is_file()}
    return Listing(sizes, folder.stat().st_mtime_ns)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sealed(listing: Listing) -> FolderSeal:
    said = "".join(f"{name}\0{size}\0" for name, size in sorted(listing.sizes.items()))
    return FolderSeal(
        files=len(listing.sizes),
        size_bytes=sum(listing.sizes.values()),
        names=hashlib.sha256(said.encode("utf-8", "surrogateescape")).hexdigest(),
        mtime_ns=listing.mtime_ns,
    )


def _is_as_written(path: Path, expected: Written) -> bool:
    info = path.stat()
    return info.st_size == expected.size_bytes and (
        info.st_mtime_ns == expected.mtime_ns or sha256_of(path) == expected.sha256
    )


def _is_as_sealed(folder: Path, expected: FolderSeal, *, trusting: bool) -> bool:
    if trusting and folder.stat().st_mtime_ns == expected.mtime_ns:
        return True
    return _sealed(list_folder(folder)).names == expected.names


def _folders(root: Path) -> Iterator[Path]:
    for place, _, _ in os.walk(root):
        yield Path(place)


def _code_of(module: str) -> str:
    """The SHA-256 of a module's code, so that what it made is never out of date."""
    path = MODULES / f"{module}.py"
    return sha256_of(path) if module and path.is_file() else ""
