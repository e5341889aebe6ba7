"""Which competitions a command is about: by id, by split, from a file."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from proctor.clients.cli.options import names_in, usage_error, with_options
from proctor.schemas.names import bare, remedy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proctor.tasks.competitions.definition import Definition
    from proctor.tasks.competitions.library import Competitions

PANEL = "Which"


@dataclass(frozen=True)
class Choice:
    """What the command line says of them, besides ids."""

    split: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            rich_help_panel=PANEL,
            help="All of a split: low, medium, high, lite, all, dev, offline, … May be repeated.",
        ),
    ] = None
    from_list: Annotated[
        Path | None,
        typer.Option(
            "--list",
            metavar="FILE",
            rich_help_panel=PANEL,
            help="Those in a file: an id on each line; blank lines and # comments are skipped.",
        ),
    ] = None
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", rich_help_panel=PANEL, help="Not this one. May be repeated."),
    ] = None


with_choice = with_options(Choice, "choice")
"""Give a command the options of `Choice`, gathered in its argument ``choice``."""


def chosen_ids(
    library: "Competitions", names: "Sequence[str] | None", choice: Choice
) -> tuple[str, ...]:
    """The ids of what is asked for, each once; what needs no download if nothing is.

    Ends with exit code 2 where a name is unknown, or nothing is left.
    """
    ids = [bare(each) for each in library.ids]
    if names or choice.from_list or choice.split:
        listed = _listed(choice.from_list, ids) if choice.from_list else []
        wanted = [
            *(_known(name, ids, "competition") for name in names or ()),
            *listed,
            *of_splits(library, ids, choice.split or ()),
        ]
    else:
        wanted = [each for each, one in _declared(library, ids).items() if one.file.source]
    excluded = {_known(name, ids, "competition", "--exclude: ") for name in choice.exclude or ()}
    if not (left := tuple(each for each in dict.fromkeys(wanted) if each not in excluded)):
        usage_error("no competition is left of what was asked for")
    return left


def _declared(library: "Competitions", ids: "Sequence[str]") -> "dict[str, Definition]":
    from proctor.schemas.errors import TaskError

    try:
        return {each: library.definition(each) for each in ids}
    except TaskError as error:
        usage_error(str(error))


def _listed(path: Path, ids: "Sequence[str]") -> list[str]:
    return [
        _known(name, ids, "competition", f"{path}:{line}: ")
        for line, name in names_in(path, "--list")
    ]


def of_splits(library: "Competitions", ids: "Sequence[str]", splits: "Sequence[str]") -> list[str]:
    """The ids of all competitions of some splits; ends with exit code 2 where one is unknown."""
    if not splits:
        return []
    by_id = {each: one.splits for each, one in _declared(library, ids).items()}
    there = sorted({split for some in by_id.values() for split in some})
    asked = {_known(each, there, "split") for each in splits}
    return [each for each, some in by_id.items() if asked.intersection(some)]


def _known(name: str, known: "Sequence[str]", what: str, where: str = "") -> str:
    """The name, without its prefix, if it is known."""
    if bare(name) not in known:
        do = remedy(name, known, "see 'proctor competitions list'")
        usage_error(f"{where}there is no {what} {name!r}; {do}")
    return bare(name)
