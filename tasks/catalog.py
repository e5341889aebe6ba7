"""The catalog: from a task's id to the task, over the bundled tasks and a user's own."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

from anyio.to_thread import run_sync

from proctor.evaluator.graders import check_options
from proctor.schemas.errors import TaskError
from proctor.schemas.names import bare, remedy
from proctor.schemas.task import Task, TaskCard
from proctor.tasks.competitions.definition import FILE as COMPETITION
from proctor.tasks.competitions.definition import Definition
from proctor.tasks.competitions.elsewhere import prepare_elsewhere
from proctor.tasks.competitions.library import Competitions
from proctor.tasks.formats.afterquery import read_afterquery
from proctor.tasks.formats.directory import FILE, read_directory

BUNDLED = Path(__file__).parent / "error_analysis"
NAMED = 20
"""Tasks that whoever asks for one that does not exist is told of."""


class Catalog:
    """Tasks by id, read when first asked for."""

    def __init__(
        self,
        sources: Sequence[Path] = (BUNDLED,),
        competitions: Competitions | None = None,
        among: Sequence[str] = (),
    ) -> None:
        """Make a catalog.

        Args:
            sources: Task directories, AfterQuery JSON files, and folders that hold such.
            competitions: Further tasks, each of which is prepared when it is asked for by its id.
            among: The ids of those that are on offer as the tasks of the sources are.
        """
        self._sources = tuple(sources)
        self._competitions = competitions
        self._among = tuple(among)
        self._prepared: dict[str, Task] = {}
        self._cards: dict[str, TaskCard] = {}

    @property
    def competitions(self) -> Competitions | None:
        """Tasks that can be asked for, whether they are on offer or not."""
        return self._competitions

    def offering(self, among: Sequence[str]) -> "Catalog":
        """This catalog with these competitions on offer; what was read is not read again."""
        other = Catalog(self._sources, self._competitions, among)
        other._read, other._prepared, other._cards = self._read, self._prepared, self._cards
        return other

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of all tasks on offer, sorted; competitions need not be prepared yet."""
        return tuple(sorted((*self._read[0], *self._declared[0])))

    @property
    def problems(self) -> tuple[TaskError, ...]:
        """Why some tasks cannot be read; they are not in the catalog."""
        return (*self._read[1], *self._declared[1])

    def __getitem__(self, task_id: str) -> Task:
        """The task of that id; one that is not `at_hand` is prepared, however long that takes.

        Raises:
            TaskError: There is none, or it cannot be prepared.
        """
        known = self._read[0].get(task_id) or self._prepared.get(task_id)
        if known is not None:
            return known
        if self._competitions is None or self.at_hand(task_id):
            raise self._unknown(task_id)
        task = _checked(self._competitions.task(task_id), task_id)
        return self._prepared.setdefault(task_id, task)

    def check_offered(self, task_id: str) -> None:
        """Refuse what is not on offer, competitions that could be asked for included.

        Raises:
            TaskError: It is not on offer.
        """
        if task_id not in self._read[0] and task_id not in self._declared[0]:
            raise self._unknown(task_id)

    def __iter__(self) -> Iterator[Task]:
        """Every task on offer, by id; competitions are prepared."""
        return (self[task_id] for task_id in self.ids)

    @property
    def read(self) -> tuple[Task, ...]:
        """The tasks of the sources, by id."""
        return tuple(self._read[0][task_id] for task_id in sorted(self._read[0]))

    def at_hand(self, task_id: str) -> bool:
        """Whether nothing of that id is left to be prepared or read; so too where there is none."""
        return (
            task_id in self._read[0]
            or task_id in self._prepared
            or self._competitions is None
            or task_id not in self._competitions.ids
        )

    async def prepare(self, task_id: str) -> None:
        """Have a task `at_hand`: files are made in another process, and read in a thread.

        Raises:
            TaskError: As for getting it.
        """
        if self._competitions is not None and not self.at_hand(task_id):
            await prepare_elsewhere(self._competitions, task_id)
        await run_sync(self.__getitem__, task_id)
        await run_sync(self.card, task_id)

    def cards(self) -> tuple[TaskCard, ...]:
        """What is on offer, by id; nothing is prepared for it."""
        return tuple(self.card(task_id) for task_id in self.ids)

    def card(self, task_id: str) -> TaskCard:
        """What there is to know of a task without preparing it.

        Raises:
            TaskError: There is none, or it is not well declared.
        """
        if self._competitions is not None and not self.at_hand(task_id):
            return self._competitions.definition(task_id).card()
        if task_id not in self._cards:
            self._cards[task_id] = self[task_id].card()
        return self._cards[task_id]

    def _unknown(self, task_id: str) -> TaskError:
        if self._competitions is not None and task_id in self._competitions.ids:
            return TaskError(
                f"{task_id} is not on offer here; 'proctor serve --competitions {bare(task_id)}' "
                "would offer it"
            )
        more = len(self.ids) - NAMED
        few = ", ".join(self.ids[:NAMED]) + f" and {more} more" * (more > 0)
        do = remedy(task_id, self.ids, f"the catalog has: {few or 'none'}")
        return TaskError(f"there is no task {task_id!r}; {do}")

    @cached_property
    def _declared(self) -> tuple[dict[str, Definition], tuple[TaskError, ...]]:
        declared: dict[str, Definition] = {}
        problems: list[TaskError] = []
        for task_id in self._among:
            try:
                if self._competitions is not None:
                    declared[task_id] = self._competitions.definition(task_id)
            except TaskError as error:
                problems.append(error)
        return declared, tuple(problems)

    @cached_property
    def _read(self) -> tuple[dict[str, Task], tuple[TaskError, ...]]:
        tasks: dict[str, Task] = {}
        places: dict[str, Path] = {}
        problems: list[TaskError] = []
        for place in (place for source in self._sources for place in _places(source)):
            try:
                task = read_task(place)
            except TaskError as error:
                problems.append(error)
                continue
            if task.id in tasks:
                taken = f"{place}: the id {task.id!r} is taken by {places[task.id]}"
                problems.append(TaskError(f"{taken}; give one of the two another id"))
                continue
            tasks[task.id], places[task.id] = task, place
        return tasks, tuple(problems)


def read_task(place: Path) -> Task:
    """Read one task from a directory or a JSON file, its criteria checked by their graders.

    Raises:
        TaskError: It is not a task; the message names file, key and remedy.
    """
    task = read_directory(place) if place.is_dir() else read_afterquery(place)
    return _checked(task, place / FILE if place.is_dir() else place)


def _checked(task: Task, where: object) -> Task:
    try:
        check_options(task)
        _check_size(task)
    except TaskError as error:
        raise TaskError(f"{where}: {error}") from error
    return task


def _check_size(task: Task) -> None:
    held, room = sum(map(len, task.workspace.values())), task.sandbox.workspace_bytes
    if 2 * held > room:
        raise TaskError(
            f"sandbox.workspace_bytes: {room} leaves an agent no room beside the {held} bytes of "
            "the workspace; give it at least twice as much"
        )


def _places(source: Path) -> Iterator[Path]:
    """Where tasks lie: `source` itself, task directories below it, JSON files directly in it.

    What lies in a competition's directory is no task of its own.
    """
    if (source / COMPETITION).is_file():
        return
    if source.is_file() or (source / FILE).exists():
        yield source
    elif source.is_dir():
        yield from sorted(source.glob("*.json"))
        yield from _directories(source)
    else:
        raise TaskError(f"{source}: there is no such file or directory")


def _directories(root: Path) -> Iterator[Path]:
    """Task directories below `root`, sorted; what lies inside a task is part of it."""
    for below in sorted(path for path in root.iterdir() if path.is_dir() and not path.is_symlink()):
        if (below / FILE).exists():
            yield below
        elif not (below / COMPETITION).is_file():
            yield from _directories(below)
