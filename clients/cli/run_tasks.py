"""Which tasks a run is of: options, and what they choose."""

import fnmatch
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from proctor.clients.cli.options import complain, names_in, usage_error, with_options
from proctor.schemas.names import COMPETITION, bare, remedy

if TYPE_CHECKING:
    from proctor.schemas.task import TaskCard
    from proctor.tasks.catalog import Catalog
    from proctor.tasks.competitions.library import Competitions

PANEL = "Tasks"
SEE = "see 'proctor tasks list' and 'proctor competitions list'"
USUAL = "offline"
"""The split of the competitions that are worked when nothing is asked for."""
SHOWN = 3
"""Of the competitions that are left out."""


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
        typer.Option(
            metavar="NAME|FILE",
            rich_help_panel=PANEL,
            help="Of this split of the tasks, or of the ids that FILE lists, one in a line.",
        ),
    ] = None
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN",
            rich_help_panel=PANEL,
            help="None whose id this glob matches, 'competition/' left out or not. May be "
            "repeated.",
        ),
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
        """The catalog with competitions on offer: all, or the usual ones if nothing is asked for.

        The usual ones need no download.
        """
        library = catalog.competitions
        if library is None:
            return catalog
        everything = catalog.offering(library.ids)
        if self.asks(patterns):
            return everything
        already = catalog.ids
        cards = {each.id: each for each in everything.cards() if each.id in library.ids}
        return catalog.offering(
            [each for each, card in cards.items() if each in already or USUAL in card.splits]
        )

    def asks(self, patterns: Sequence[str]) -> bool:
        """Whether anything says which tasks are wanted."""
        return bool(patterns or self.task or self.kind or self.category or self.split)

    def chosen(
        self,
        cards: "Sequence[TaskCard]",
        patterns: Sequence[str],
        library: "Competitions | None" = None,
    ) -> "list[TaskCard]":
        """The tasks to be worked, in the order in which they are asked for.

        What would have to be downloaded first must be asked for by its whole id, or be listed in a
        file; or else it is left out, which is said. Ends with exit code 2 where a pattern, or the
        choice as a whole, matches none.

        Args:
            cards: All tasks.
            patterns: The command's arguments.
            library: The competitions among them, where they are prepared here.
        """
        by_id = {card.id: card for card in cards}
        wanted = [*patterns, *(each for each in self.task or () if not _is_place(each))]
        ids = dict.fromkeys(_matching(list(by_id), wanted or ["*"]))
        listed = self._listed(by_id)
        found = [by_id[each] for each in ids if self._takes(by_id[each], listed)]
        if not found:
            usage_error(f"no task is left: {self._left(cards)}")
        self._check_excluded([card.id for card in found])
        left = [card for card in found if not _matches(card.id, self.exclude or ())]
        if not left:
            usage_error(f"no task is left: --exclude {' '.join(self.exclude or ())} takes all")
        if library:
            named = {*wanted, *(listed or ())}
            left = _at_hand(_supported(left, named, library), named, library)
        return left[: self.limit]

    def _takes(self, card: "TaskCard", listed: Collection[str] | None) -> bool:
        in_split = card.id in listed if listed is not None else self.split in (None, *card.splits)
        return (
            (self.kind is None or card.kind == self.kind.value)
            and (self.category is None or card.category == self.category)
            and in_split
        )

    def _listed(self, known: "Mapping[str, TaskCard]") -> Collection[str] | None:
        """The tasks that a file lists, where the split is one; unknown names are refused."""
        if self.split is None or not Path(self.split).is_file():
            return None
        found: set[str] = set()
        for line, name in names_in(Path(self.split), "--split"):
            matching = [each for each in known if each in (name, f"{COMPETITION}{name}")]
            if not matching:
                do = remedy(name, known, SEE)
                usage_error(f"{self.split}:{line}: no task is called {name!r}; {do}")
            found.update(matching)
        return found

    def _check_excluded(self, ids: Sequence[str]) -> None:
        for pattern in self.exclude or ():
            if not any(_matches(each, [pattern]) for each in ids):
                usage_error(f"--exclude {pattern!r} matches no task; {remedy(pattern, ids, SEE)}")

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
    if not ids:
        usage_error("no task found; a task is a directory with a task.toml, or a JSON file")
    for pattern in patterns:
        matching = fnmatch.filter(ids, pattern)
        if not matching:
            usage_error(f"no task matches {pattern!r}; {remedy(pattern, ids, SEE)}")
        yield from matching


def _supported(
    cards: "Sequence[TaskCard]", named: Collection[str], library: "Competitions"
) -> "list[TaskCard]":
    """Those that are named, or can be prepared and graded."""
    kept = [
        card
        for card in cards
        if card.id not in library.ids or card.id in named or library.is_supported(card.id)
    ]
    if not kept:
        usage_error("no task is left: none of these competitions is supported yet")
    if count := len(cards) - len(kept):
        complain(f"proctor: {count} of the competitions are not supported yet, and left out")
    return kept


def _at_hand(
    cards: "Sequence[TaskCard]", named: Collection[str], library: "Competitions"
) -> "list[TaskCard]":
    """Those that are named, or need no download."""
    far = [
        card.id
        for card in cards
        if card.id in library.ids and card.id not in named and not library.is_ready(card.id)
    ]
    if far:
        names = " ".join(bare(each) for each in far[:SHOWN])
        told = (
            f"{len(far)} of the competitions are not prepared, and would have to be downloaded "
            f"first: proctor competitions prepare {names}{' …' * (len(far) > SHOWN)}"
        )
        if len(far) == len(cards):
            usage_error(f"no task is left: {told}")
        complain(f"proctor: {told}")
    return [card for card in cards if card.id not in far]


def _matches(task_id: str, patterns: Sequence[str]) -> bool:
    names = (task_id, bare(task_id))
    return any(fnmatch.fnmatchcase(name, each) for each in patterns for name in names)


def _values(
    cards: "Sequence[TaskCard]", of: "Callable[[TaskCard], Sequence[str]]"
) -> dict[str, None]:
    return dict.fromkeys(sorted({value for card in cards for value in of(card) if value}))


def _is_place(name: str) -> bool:
    return name.endswith(".json") or Path(name).is_dir()
