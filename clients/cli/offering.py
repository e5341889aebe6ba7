"""Which competitions are on offer, beside the tasks of the catalog, and having them prepared."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from proctor.clients.cli.options import complain, usage_error, with_problems_told
from proctor.schemas.names import bare, remedy

if TYPE_CHECKING:
    from proctor.schemas.task import TaskCard
    from proctor.tasks.catalog import Catalog

CompetitionsOption: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="prepared|all|none|ID,...|SPLIT",
        help="Competitions on offer; one that is not prepared is when its first session begins.",
    ),
]


def with_competitions(catalog: "Catalog", wanted: str, named: "Sequence[str]" = ()) -> "Catalog":
    """The catalog with competitions on offer; ends with exit code 2 where there are no such.

    Args:
        catalog: The tasks.
        wanted: ``prepared`` for those whose files are there, and the operator's own; ``all``,
            ``none``, or ids, globs and splits with commas between them.
        named: Ids of tasks; those of competitions are on offer whatever is wanted.
    """
    library = catalog.competitions
    if library is None:
        return catalog
    if wanted == "prepared":
        own = catalog.ids
        chosen = [each for each in library.ids if each in own or library.is_there(each)]
    else:
        everything = catalog.offering([i for i in library.ids if library.is_supported(i)])
        chosen = [] if wanted == "none" else _named(everything, wanted)
    more = [each for each in named if each in library.ids and each not in chosen]
    return with_problems_told(catalog.offering([*chosen, *more]), catalog)


def with_prepared(catalog: "Catalog", cards: "Sequence[TaskCard]") -> "Catalog":
    """The catalog with those competitions on offer that are among `cards`, each prepared.

    Ends with exit code 2 where one cannot be.
    """
    from proctor.schemas.errors import TaskError

    library = catalog.competitions
    chosen = [card.id for card in cards if library and card.id in library.ids]
    for task_id in chosen:
        try:
            catalog[task_id]
        except TaskError as error:
            usage_error(f"{error} (--exclude {task_id} goes on without it)")
    return catalog.offering(chosen)


def without_competitions(cards: "Sequence[TaskCard]") -> "list[TaskCard]":
    """The other tasks, for sandboxes that isolate nothing and so cannot mount data."""
    left = [card for card in cards if card.kind != "competition"]
    if len(left) < len(cards):
        complain(
            f"proctor: {len(cards) - len(left)} competitions are left out: they mount data, which "
            "needs isolation (Docker, Podman or bubblewrap)"
        )
    return left


def _named(catalog: "Catalog", wanted: str) -> list[str]:
    from fnmatch import fnmatchcase

    splits = {card.id: card.splits for card in catalog.cards() if card.kind == "competition"}
    names = {each: bare(each) for each in splits}
    chosen: dict[str, None] = {}
    for name in filter(None, (bare(each.strip()) for each in wanted.split(","))):
        matching = [
            each
            for each in splits
            if name == "all" or name in splits[each] or fnmatchcase(names[each], name)
        ]
        if not matching:
            known = sorted({*names.values(), *(each for of in splits.values() for each in of)})
            do = remedy(name, known, "see 'proctor competitions list'")
            usage_error(f"--competitions: there is no competition or split {name!r}; {do}")
        chosen.update(dict.fromkeys(matching))
    return list(chosen)
