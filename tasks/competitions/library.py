"""The library: a competition's id to its task, its files made when it is first asked for."""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

from proctor.schemas.errors import TaskError
from proctor.schemas.names import COMPETITION, bare, remedy
from proctor.schemas.task import Task
from proctor.tasks.competitions.definition import FILE, Definition, read_definition
from proctor.tasks.competitions.downloaded import forget
from proctor.tasks.competitions.prepared import MANIFEST, is_whole, place_of
from proctor.tasks.competitions.progress import UNWATCHED, Progress
from proctor.tasks.competitions.task import task_of
from proctor.tasks.formats.directory import FILE as TASK_FILE

OFFLINE = Path(__file__).parent / "offline"
"""Competitions whose rows Proctor makes."""
KAGGLE = Path(__file__).parent / "kaggle"
"""Those whose raw files are Kaggle's."""
BUNDLED = (OFFLINE, KAGGLE)
RAW = "raw"
"""Beside what is prepared: what was downloaded for it."""
Download: TypeAlias = Callable[[Definition, Path], object]
"""Makes the raw files of a competition appear in a folder: all of them, or none."""


def places_below(root: Path) -> Iterator[Path]:
    """Directories of competitions: `root` itself, or those below it.

    What is hidden is passed over, and so is what lies inside a task.
    """
    if (root / FILE).is_file():
        yield root
    elif root.is_dir() and not (root / TASK_FILE).exists():
        for below in sorted(root.iterdir()):
            if below.is_dir() and not (below.is_symlink() or below.name.startswith(".")):
                yield from places_below(below)


class Competitions:
    """Competitions by the id of their task, or without its prefix."""

    def __init__(
        self,
        data: Path,
        sources: Sequence[Path] = BUNDLED,
        download: Download | None = None,
        *,
        keep_raw: bool = False,
    ) -> None:
        """Make a library.

        Args:
            data: Where their files lie, or will.
            sources: Competitions' directories, and folders that hold such, at any depth.
            download: What gets the raw files of those that need some; nobody does if None.
            keep_raw: Whether what was downloaded stays once a competition is prepared.
        """
        self.data = data
        self._sources = tuple(sources)
        self._download = download
        self._read: dict[str, Definition] = {}
        self._keep_raw = keep_raw

    @cached_property
    def _places(self) -> dict[str, Path]:
        places: dict[str, Path] = {}
        for place in (place for source in self._sources for place in places_below(source)):
            other = places.setdefault(f"{COMPETITION}{place.name}", place)
            if other != place:
                raise TaskError(
                    f"{place}: the id {place.name!r} is taken by {other}; "
                    "give one of the two another id"
                )
        return places

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of their tasks, sorted.

        Raises:
            TaskError: Two are called alike.
        """
        return tuple(sorted(self._places))

    def definition(self, name: str) -> Definition:
        """A competition as it is declared, read once.

        Raises:
            TaskError: There is none of that name, or it is not well declared.
        """
        task_id = COMPETITION + bare(name)
        if task_id in self._read:
            return self._read[task_id]
        try:
            place = self._places[task_id]
        except KeyError:
            do = remedy(name, map(bare, self.ids), "see 'proctor competitions list'")
            raise TaskError(f"there is no competition {name!r}; {do}") from None
        return self._read.setdefault(task_id, read_definition(place))

    def is_there(self, name: str) -> bool:
        """Whether its files were prepared; `is_prepared` also looks whether they are whole.

        Never, where there is no such competition or it is not well declared.
        """
        if not (self.data / bare(name)).is_dir():  # most declarations stay unread
            return False
        try:
            return (place_of(self.definition(name), self.data) / MANIFEST).is_file()
        except TaskError:
            return False

    def is_prepared(self, name: str) -> bool:
        """Whether its files are there; never, where there is no such or it is not well declared."""
        try:
            return is_whole(place_of(self.definition(name), self.data))
        except TaskError:
            return False

    def is_supported(self, name: str) -> bool:
        """Whether it can be prepared and graded; not, where it is not well declared."""
        try:
            self.definition(name).check_supported()
        except TaskError:
            return False
        return True

    def is_ready(self, name: str) -> bool:
        """Whether it is prepared, or can be without anything being downloaded."""
        if not self.is_supported(name):
            return False
        needs_none = self.definition(name).file.raw is None
        return needs_none or self.raw_folder(name).is_dir() or self.is_prepared(name)

    def prepare(self, name: str, raw: Path | None = None, progress: Progress = UNWATCHED) -> Path:
        """Make its files, unless they are there; returns their directory.

        Args:
            name: The competition.
            raw: The folder with its raw files. Without, those that were downloaded serve, or are
                downloaded now.
            progress: What is told how far it has come.

        Raises:
            TaskError: As `definition`, or they cannot be made.
        """
        definition = self.definition(name)
        definition.check_supported()
        place = place_of(definition, self.data)
        if raw is not None and definition.file.raw is None:
            raise TaskError(f"{definition.task_id} comes from no raw files; leave --raw out")
        if not is_whole(place):
            from proctor.tasks.competitions.preparing.prepare import prepare  # noqa: PLC0415 - slow to import

            try:
                prepare(
                    definition, self.data, raw=raw or self._raw_of(definition), progress=progress
                )
            except OSError as error:
                raise TaskError(
                    f"{definition.task_id} cannot be prepared in {self.data}: "
                    f"{error.strerror or error}; "  # polars' own errors have no strerror
                    "choose another place with --data"
                ) from error
        if raw is None and not self._keep_raw:
            forget(self.raw_folder(name))
        return place

    def raw_folder(self, name: str) -> Path:
        """Where the raw files of a competition lie, or are downloaded to."""
        return self.data.absolute() / bare(name) / RAW

    def _raw_of(self, definition: Definition) -> Path | None:
        """The downloaded raw files."""
        if definition.file.raw is None:
            return None
        folder = self.raw_folder(definition.file.id)
        if not folder.is_dir():
            if self._download is None:
                raise TaskError(
                    f"there are no raw files of {definition.file.id} in {folder}; download them "
                    f"from Kaggle and say where they are: "
                    f"proctor competitions prepare {definition.file.id} --raw DIR"
                )
            self._download(definition, folder)
        return folder

    def task(self, name: str) -> Task:
        """The task, prepared if it was not.

        Raises:
            TaskError: As `prepare`.
        """
        return task_of(self.definition(name), self.prepare(name))
