"""Raw files: found in a folder, and in archives that lie in it as if they had been unpacked.

Whatever is handed on goes straight to its place: linked where that may and can be, or else written
once. Nothing here trusts an archive, or where a link leads.
"""

import os
import re
import shutil
import stat
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import islice, takewhile
from pathlib import Path, PurePosixPath
from typing import NamedTuple, Protocol

import polars as pl

from proctor.schemas.errors import TaskError
from proctor.tasks.competitions.raw.archives import (
    ARCHIVES,
    CHUNK,
    NOT_DATA,
    Free,
    Zip,
    check_room,
    free_bytes,
    stem_of,
    unpack,
)
from proctor.tasks.competitions.raw.cells import read_table
from proctor.tasks.competitions.raw.odd import Odd

DEPTH = 1
"""So many folders down, archives are looked for."""


class Store(Protocol):
    """Files by name: a folder, or an archive."""

    @property
    def said(self) -> str:
        """What it is called in errors."""
        ...

    def __contains__(self, name: object, /) -> bool:
        """Whether there is a file of that name."""
        ...

    def names(self, start: str) -> Iterable[str]:
        """The names of all files, at any depth, that start so; whole names of folders do."""
        ...

    def packed_bytes(self, name: str) -> int:
        """The bytes that a file takes once it is unpacked; 0 of one that lies on the disk."""
        ...

    def put(self, name: str, to: str, *, link: bool) -> int:
        """Make the file appear at `to`, where nothing is; returns its size in bytes.

        Args:
            name: Its name here.
            to: The place.
            link: Whether it may be the same file, which has the number and the times of this one.

        Raises:
            FileExistsError: Something is there.
            FileNotFoundError: There is none of that name.
            TaskError: It is damaged, or must not be read.
        """
        ...


class Folder:
    """Files on disk."""

    said: str

    def __init__(self, root: Path, said: str) -> None:
        """Make a store.

        Args:
            root: The folder.
            said: What it is called in errors.
        """
        self._root = os.path.realpath(root)
        self.said = said
        self._sound: set[str] = set()

    def __contains__(self, name: object) -> bool:
        """Whether there is such a plain file."""
        return os.path.isfile(f"{self._root}/{name}")  # noqa: PTH113 - of millions of files

    def packed_bytes(self, name: str) -> int:  # noqa: ARG002 - none of them is packed
        """None."""
        return 0

    def names(self, start: str) -> Iterator[str]:
        """All files in the folder that `start` names, up to its last ``/``."""
        for place, folders, files in os.walk(Path(self._root, start.rpartition("/")[0])):
            folders[:] = (each for each in folders if each not in NOT_DATA)
            inside = Path(place).relative_to(self._root).as_posix()
            for name in files:
                if name not in NOT_DATA:
                    yield name if inside == "." else f"{inside}/{name}"

    def put(self, name: str, to: str, *, link: bool) -> int:
        """Link the file, or copy it where that may not or cannot be, or others could not read it.

        Every byte of a copy is written: what shares the disk's blocks with the old file still
        tells whoever asks for their numbers (FIEMAP) in which order the old ones were written.
        """
        source, info = self._resolved(name)
        if not stat.S_ISREG(info.st_mode):
            raise FileNotFoundError(name)
        if link and info.st_mode & stat.S_IROTH:
            try:
                os.link(source, to)
            except FileExistsError:
                raise
            except OSError:  # another disk, too many links, or another user's file
                pass
            else:
                return info.st_size
        with open(source, "rb") as old, open(to, "xb") as new:  # noqa: PTH123
            shutil.copyfileobj(old, new, CHUNK)
            return new.tell()

    def resolved(self, name: str) -> Path:
        """Where a file really lies.

        Raises:
            TaskError: Outside the folder.
        """
        return Path(self._resolved(name)[0])

    def _resolved(self, name: str) -> tuple[str, os.stat_result]:
        """By system calls as few as can be: competitions have millions of files."""
        path = f"{self._root}/{name}"
        place = path.rpartition("/")[0]
        if place not in self._sound:
            self._check(place, name)
            self._sound.add(place)
        info = os.lstat(path)
        if stat.S_ISLNK(info.st_mode):
            self._check(path, name)
            path = os.path.realpath(path)
            info = os.lstat(path)
        return path, info

    def _check(self, path: str, name: str) -> None:
        real = os.path.realpath(path)
        if real != self._root and not real.startswith(self._root + os.sep):
            raise TaskError(
                f"{self.said}: {name} leads out of the folder, to {real}; put the file itself there"
            )


class Mounted(NamedTuple):
    """A store, and the folder in which its files are found."""

    prefix: str
    """Empty, or with a ``/`` at its end."""
    store: Store


class Raw:
    """A competition's raw files, by their paths."""

    def __init__(self, root: Path, scratch: Path, free: Free = free_bytes) -> None:
        """Look into a folder.

        Args:
            root: The folder.
            scratch: An empty folder for what must be unpacked meanwhile; its owner removes it.
            free: How many bytes the disk of a directory has left.

        Raises:
            TaskError: There is no such folder.
        """
        if not root.is_dir():
            raise TaskError(
                f"there is no folder {root}; give the one with the raw files with --raw"
            )
        self._root, self._scratch, self._free = root, scratch, free
        self.odd = Odd()
        """What was moved although it is empty or cut short."""
        self._folder = Folder(root, str(root))
        self._unpacked = 0
        self._last: tuple[str | None, list[str]] = None, []

    def has(self, path: str) -> bool:
        """Whether there is such a file."""
        return path in self._folder or self._packed(path) is not None

    def names(self, pattern: str) -> tuple[str, ...]:
        """The files that a pattern finds, sorted folder by folder.

        Args:
            pattern: A path, in which ``*`` stands for anything within a name; with ``/`` at its
                end, a folder with all that is in it.
        """
        start, matches = pattern.partition("*")[0], _expression(pattern).fullmatch
        folder = start.rpartition("/")[0]
        listed = self._listed(f"{folder}/" if folder else "")
        ahead = listed[bisect_left(listed, start) :]
        found = filter(matches, takewhile(lambda path: path.startswith(start), ahead))
        return tuple(sorted(found, key=lambda path: path.split("/")))

    def table(self, path: str) -> pl.DataFrame:
        """A table with text cells.

        Raises:
            TaskError: It is missing, or damaged.
        """
        return read_table(self.local(path), path)

    def read(self, path: str) -> bytes:
        """The bytes of a file.

        Raises:
            TaskError: It is missing, or damaged.
        """
        return self.local(path).read_bytes()

    def local(self, path: str) -> Path:
        """Where a file lies on disk, unpacked if need be. It must not be changed.

        Raises:
            TaskError: It is missing, or damaged.
        """
        if path in self._folder:
            return self._folder.resolved(path)
        target = self._scratch / "members" / path
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            self.check_room([path], self._scratch)
            self.put(path, str(target), link=True)
        return target

    def check_room(self, paths: Iterable[str], place: Path) -> None:
        """Check that the disk has room for those of some files that must be unpacked.

        Args:
            paths: The files.
            place: Where they come to lie.

        Raises:
            TaskError: It has not.
        """
        if not any(isinstance(each.store, Zip) for each in self._archives):
            return
        needed, said = 0, dict[str, None]()
        for path in paths:
            found = self._packed(path)
            if found is not None and path not in self._folder:
                needed += found.store.packed_bytes(found.name)
                said[found.store.said] = None
        if needed:
            check_room(needed, place, ", ".join(said), self._free)

    def put(self, path: str, to: str, *, link: bool) -> int:
        """Make a raw file appear at `to`; returns its size in bytes.

        Args:
            path: Its path.
            to: The place.
            link: As a store's.

        Raises:
            TaskError: It is missing, or damaged.
        """
        if "\0" in path:  # of a damaged table; no system has such a file
            raise self.missing(path)
        try:
            size = self._folder.put(path, to, link=link)
        except (FileNotFoundError, NotADirectoryError):
            found = self._packed(path)
            if found is None:
                raise self.missing(path) from None
            size = found.store.put(found.name, to, link=link)
            self.odd.empty(path, size)
        else:
            self.odd.look(path, to, size)
        return size

    def missing(self, path: str) -> TaskError:
        """What is to be said of a file that is not there."""
        return TaskError(
            f"{path} is not among the raw files in {self._root}; download them again, or give "
            "another folder with --raw"
        )

    def open_archives(self) -> None:
        """Look into the archives now, which else happens when they are first needed.

        Afterwards `put` and `has` may be called by several threads at once.
        """
        _ = self._archives

    def close(self) -> None:
        """Let go of the archives."""
        for _, store in self.__dict__.get("_archives", ()):
            if isinstance(store, Zip):
                store.close()

    def _packed(self, path: str) -> "Packed | None":
        """Where in an archive a file lies."""
        for prefix, store in self._archives:
            if path.startswith(prefix) and (name := path[len(prefix) :]) in store:
                return Packed(store, name)
        return None

    def _listed(self, folder: str) -> list[str]:
        """All files in a folder, sorted; those of the last folder asked for are kept in mind."""
        if folder != self._last[0]:
            found = set(self._folder.names(folder))
            had: set[Store] = set()
            for prefix, store in self._archives:
                if store in had or not (folder.startswith(prefix) or prefix.startswith(folder)):
                    continue
                inner = {prefix + each for each in store.names(folder.removeprefix(prefix))}
                if any(each.startswith(folder) for each in inner):
                    had.add(store)  # its files are not found a second time, a folder further down
                found |= inner
            self._last = folder, sorted(each for each in found if each.startswith(folder))
        return self._last[1]

    @cached_property
    def _archives(self) -> tuple[Mounted, ...]:
        found: list[Mounted] = []
        for path in _archives_below(Path(self._root), DEPTH):
            inside = path.relative_to(self._root).as_posix()
            self._open(self._folder.resolved(inside), inside, found)
        return tuple(found)

    def _open(self, path: Path, inside: str, found: list[Mounted], depth: int = 0) -> None:
        """Mount an archive beside itself, and as the folder that it is called like."""
        store = self._store_of(path, inside)
        folder = inside[: len(inside) - len(PurePosixPath(inside).name)]
        found += [Mounted(folder, store), Mounted(f"{stem_of(inside)}/", store)]
        found += _without_its_folder(inside, folder, store)
        if depth:
            return
        for name in sorted(each for each in store.names("") if each.lower().endswith(ARCHIVES)):
            nested = self._scratch / "archives" / str(len(found)) / PurePosixPath(name).name
            nested.parent.mkdir(parents=True)
            check_room(store.packed_bytes(name), nested.parent, f"{inside}: {name}", self._free)
            store.put(name, str(nested), link=True)
            self._open(nested, folder + name, found, depth + 1)

    def _store_of(self, path: Path, inside: str) -> Store:
        if inside.lower().endswith(".zip"):
            return Zip(path, inside)
        self._unpacked += 1
        target = self._scratch / "unpacked" / str(self._unpacked)
        target.mkdir(parents=True)
        unpack(path, target, inside, self._free)
        return Folder(target, inside)


class Packed(NamedTuple):
    """A file of an archive."""

    store: Store
    name: str


class Renamed(NamedTuple):
    """One file of a store, under another name."""

    store: Store
    name: str
    was: str

    @property
    def said(self) -> str:
        """As of the store."""
        return self.store.said

    def packed_bytes(self, name: str) -> int:  # noqa: ARG002 - there is only one
        """As of the store."""
        return self.store.packed_bytes(self.was)

    def __contains__(self, name: object) -> bool:
        """Whether it is called so."""
        return name == self.name

    def names(self, start: str) -> Iterator[str]:
        """Its name, if it begins so."""
        return iter([self.name] if self.name.startswith(start) else [])

    def put(self, name: str, to: str, *, link: bool) -> int:  # noqa: ARG002 - there is only one
        """Make it appear at `to`."""
        return self.store.put(self.was, to, link=link)


def _without_its_folder(inside: str, folder: str, store: Store) -> list[Mounted]:
    """The one file that an archive is named after, such as ``a/b.json`` of ``b.json.7z``."""
    called = PurePosixPath(stem_of(inside)).name
    found = list(islice(store.names(""), 2))
    if len(found) == 1 and PurePosixPath(found[0]).name == called != found[0]:
        return [Mounted(folder, Renamed(store, called, found[0]))]
    return []


def _archives_below(folder: Path, depth: int) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda each: each.name)
    for each in found:
        if each.is_file() and each.name.lower().endswith(ARCHIVES):
            yield Path(each.path)
        elif depth and each.is_dir() and each.name not in NOT_DATA:
            yield from _archives_below(Path(each.path), depth - 1)


def _expression(pattern: str) -> re.Pattern[str]:
    parts = [r"[^/]*".join(map(re.escape, each.split("*"))) for each in pattern.split("/")]
    return re.compile("/".join(parts) + (".+" if pattern.endswith("/") else ""), re.DOTALL)
