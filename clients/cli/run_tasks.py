"""Which tasks a run is of: options, and what they choose."""

import fnmatch
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from proctor.clients.cli.options import usage_error, with_options

if TYPE_CHECKING:
    from proctor.schemas.task import TaskCard
    from proctor.tasks.catalog import Catalog
    from proctor.tasks.competitions.definition import Definition

PANEL = "Tasks"


class Kind(StrEnum):
    """Kinds of task."""

    ERROR_ANALYSIS = "error_analysis"
    TECHNIQUE = "technique"
    COMPETITION = "competition"


@dataclass(frozen=True)
class TaskChoice:
    """What the command line says of the tasks, beside their ids."""

    task: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID|FILE",
            rich_help_panel=PANEL,
            help="As an argument would; or a task's own file or directory. May be repeated.",
        ),
    ] = None
    kind: Annotated[Kind | None, typer.Option(rich_help_panel=PANEL, help="Of this kind.")] = None
    category: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", rich_help_panel=PANEL, help="Of this category, such as an error's code."
        ),
    ] = None
    split: Annotated[
        str | None,
        typer.Option(metavar="NAME", rich_help_panel=PANEL, help="Of this split of the tasks."),
    ] = None
    limit: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", rich_help_panel=PANEL, help="The first N of them."),
    ] = None

    @property
    def files(self) -> list[Path]:
        """The tasks that are named by their files."""
        return [Path(each) for each in self.task or () if _is_place(each)]

    def offered(self, catalog: "Catalog", patterns: Sequence[str]) -> "Catalog":
        """The catalog with those competitions on offer that are asked for.

        A pattern must match their ids or, without patterns, an option must select them: preparing
        them takes time. What would have to be downloaded first must be asked for by its whole id.
        """
        library = catalog.competitions
        wanted = [*patterns, *(each for each in self.task or () if not _is_place(each))]
        if library is None or not (wanted or self.kind or self.category or self.split):
            return catalog
        ids = [
            task_id
            for task_id in library.ids
            if any(fnmatch.fnmatchcase(task_id, each) for each in wanted or ["*"])
            and (task_id in wanted or library.is_ready(task_id))
        ]
        return catalog.offering([each for each in ids if self._takes(library.definition(each))])

    def chosen(self, cards: "Sequence[TaskCard]", patterns: Sequence[str]) -> "list[TaskCard]":
        """The tasks to be worked, in the order in which they are asked for.

        Ends with exit code 2 where a pattern, or the choice as a whole, matches none.
        """
        by_id = {card.id: card for card in cards}
        wanted = [*patterns, *(each for each in self.task or () if not _is_place(each))]
        ids = dict.fromkeys(_matching(list(by_id), wanted or ["*"]))
        found = [by_id[task_id] for task_id in ids if self._takes(by_id[task_id])]
        if not found:
            usage_error(f"no task is left: {self._left(cards)}")
        return found[: self.limit]

    def _takes(self, card: "TaskCard | Definition") -> bool:
        return (
            (self.kind is None or card.kind == self.kind.value)
            and (self.category is None or card.category == self.category)
            and (self.split is None or self.split in card.splits)
        )

    def _left(self, cards: "Sequence[TaskCard]") -> str:
        read: dict[str, tuple[str | None, Callable[[TaskCard], Sequence[str]]]] = {
            "--kind": (self.kind, lambda card: [card.kind]),
            "--category": (self.category, lambda card: [card.category]),
            "--split": (self.split, lambda card: card.splits),
        }
        parts = [
            f"{option} {wanted} (there are: {', '.join(_values(cards, of)) or 'none'})"
            for option, (wanted, of) in read.items()
            if wanted is not None
        ]
        return " and ".join(parts) or "there are none"


with_task_choice = with_options(TaskChoice, "choice")
"""Give a command the options of `TaskChoice`, gathered in its argument ``choice``."""


def _matching(ids: Sequence[str], patterns: Sequence[str]) -> Iterator[str]:
    from difflib import get_close_matches

    for pattern in patterns:
        matching = fnmatch.filter(ids, pattern)
        if not matching:
            near = get_close_matches(pattern, ids, n=3, cutoff=0.5)
            meant = f"did you mean {' or '.join(near)}?" if near else "see 'proctor tasks list'"
            usage_error(f"no task matches {pattern!r}; {meant}")
        yield from matching


def _values(
    cards: "Sequence[TaskCard]", of: "Callable[[TaskCard], Sequence[str]]"
) -> dict[str, None]:
    return dict.fromkeys(sorted({value for card in cards for value in of(card) if value}))


def _is_place(name: str) -> bool:
    return name.endswith(".json") or Path(name).is_dir()
