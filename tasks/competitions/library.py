"""The library: a competition's id to its task, its files made when it is first asked for."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

from proctor.schemas.errors import TaskError
from proctor.schemas.task import Task
from proctor.tasks.competitions.definition import FILE, Definition, read_definition
from proctor.tasks.competitions.prepared import is_whole, place_of
from proctor.tasks.competitions.task import task_of
from proctor.tasks.formats.directory import FILE as TASK_FILE

BUNDLED = Path(__file__).parent / "offline"
PREFIX = "competition/"


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

    def __init__(self, data: Path, sources: Sequence[Path] = (BUNDLED,)) -> None:
        """Make a library.

        Args:
            data: Where their files lie, or will.
            sources: Competitions' directories, and folders that hold such, at any depth.
        """
        self.data = data
        self._sources = tuple(sources)

    @cached_property
    def _places(self) -> dict[str, Path]:
        places: dict[str, Path] = {}
        for place in (place for source in self._sources for place in places_below(source)):
            other = places.setdefault(f"{PREFIX}{place.name}", place)
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
        """A competition as it is declared.

        Raises:
            TaskError: There is none of that name, or it is not well declared.
        """
        try:
            place = self._places[PREFIX + name.removeprefix(PREFIX)]
        except KeyError:
            known = ", ".join(each.removeprefix(PREFIX) for each in self.ids)
            raise TaskError(f"there is no competition {name!r}; there are: {known}") from None
        return read_definition(place)

    def is_prepared(self, name: str) -> bool:
        """Whether its files are there; never, where there is no such or it is not well declared."""
        try:
            return is_whole(place_of(self.definition(name), self.data))
        except TaskError:
            return False

    def prepare(self, name: str) -> Path:
        """Make its files, unless they are there; returns their directory.

        Raises:
            TaskError: As `definition`, or they cannot be made.
        """
        definition = self.definition(name)
        place = place_of(definition, self.data)
        if not is_whole(place):
            from proctor.tasks.competitions.prepare import prepare  # noqa: PLC0415 - slow to import

            try:
                prepare(definition, self.data)
            except OSError as error:
                raise TaskError(
                    f"{definition.task_id} cannot be prepared in {self.data}: {error.strerror}; "
                    "choose another place with --data"
                ) from error
        return place

    def task(self, name: str) -> Task:
        """The task, prepared if it was not.

        Raises:
            TaskError: As `prepare`.
        """
        return task_of(self.definition(name), self.prepare(name))
