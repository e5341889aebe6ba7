"""``proctor competitions new``: a competition made of somebody's table."""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from proctor.clients.cli.options import complain, usage_error

if TYPE_CHECKING:
    from proctor.tasks.competitions.authoring.new import Drafted
    from proctor.tasks.competitions.definition import Definition

SEEDS = 2**31
"""So many seeds can be drawn."""


class By(StrEnum):
    """What a split keeps together."""

    ROWS = "rows"
    GROUP = "group"
    TIME = "time"


def new_competition(
    data: Annotated[Path, typer.Argument(metavar="FILE", help="A table: CSV or Parquet.")],
    *,
    name: Annotated[str, typer.Option("--id", help="What it will be called, such as my-churn.")],
    target: Annotated[str, typer.Option(metavar="COLUMN", help="What is to be predicted.")],
    into: Annotated[
        Path, typer.Option(metavar="DIR", help="Where its directory is made, called as its id.")
    ],
    metric: Annotated[
        str, typer.Option(metavar="NAME", help="How it is scored; one is chosen otherwise.")
    ] = "",
    positive: Annotated[
        str, typer.Option(metavar="VALUE", help="The target's value that counts as 1.")
    ] = "",
    ids: Annotated[
        str, typer.Option(metavar="COLUMN", help="What names a row; new ids are made otherwise.")
    ] = "",
    split: Annotated[
        By, typer.Option(help="The test has any rows, whole groups, or the latest rows.")
    ] = By.ROWS,
    by: Annotated[
        str, typer.Option(metavar="COLUMN", help="With --split: the group, or the time.")
    ] = "",
    test: Annotated[
        float, typer.Option(help="The test's share of the rows, groups or points in time.")
    ] = 0.3,
    seed: Annotated[
        int | None,
        typer.Option(min=0, max=SEEDS, help="What decides the split; drawn anew otherwise."),
    ] = None,
    drop: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="Leave this column out. May be repeated."),
    ] = None,
    title: Annotated[str, typer.Option(help="For catalogs and agents.")] = "",
    summary: Annotated[str, typer.Option(help="One line for them.")] = "",
    no_baselines: Annotated[
        bool, typer.Option("--no-baselines", help="Run none; with --leaderboard.")
    ] = False,
    leaderboard: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Scores for the leaderboard: CSV with a column score."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a competition.")] = False,
) -> None:
    """Make a competition of a table, with baselines that are really run on its leaderboard."""
    from secrets import randbelow

    from proctor.schemas.errors import TaskError
    from proctor.tasks.competitions.authoring.new import draft, refuse_taken, write
    from proctor.tasks.competitions.authoring.request import Request
    from proctor.tasks.competitions.leaderboards import read_entries

    if not 0 < test < 1:
        usage_error(f"--test {test:g}: a share lies between 0 and 1, as 0.3")
    if no_baselines and not leaderboard:
        usage_error("--no-baselines: without them, give scores with --leaderboard FILE")
    try:
        refuse_taken(into / name, force=force)
        scores = read_entries(leaderboard) if leaderboard else []
        drafted = draft(
            Request(
                id=name,
                data=data,
                target=target,
                metric=metric,
                positive=positive,
                ids=ids,
                by=split.value,
                column=by,
                test=test,
                seed=randbelow(SEEDS) if seed is None else seed,
                drop=tuple(drop or ()),
                title=title,
                summary=summary,
            )
        )
        _print_choices(drafted)
        with _progress() as told:
            made, odd = write(drafted, into, told, run=not no_baselines, scores=scores, force=force)
    except TaskError as error:
        usage_error(str(error))
    except OSError as error:
        usage_error(f"{error.filename or into}: {error.strerror}; choose another --into")
    _print_made(made, odd, into)


def _print_choices(drafted: "Drafted") -> None:
    print(f"{drafted.file.id}: predict {drafted.request.target}")
    for key, value in drafted.choices.items():
        print(f"  {key:8} {value}", flush=True)
    for each in drafted.odd:
        complain(f"proctor: warning: {each}")


@contextmanager
def _progress() -> Generator[Callable[[int, int, str], None]]:
    """A bar on a terminal, and nothing elsewhere."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not sys.stderr.isatty()) as progress:
        bar = progress.add_task("baselines", total=None)

        def told(done: int, total: int, team: str) -> None:
            progress.update(bar, completed=done, total=total, description=team[:60] or "baselines")

        yield told


def _print_made(made: "Definition", odd: list[str], into: Path) -> None:
    medals = made.competition.medals
    print(
        f"  {'medals':8} gold from {medals.gold:g}, silver {medals.silver:g}, bronze "
        f"{medals.bronze:g}; the median of {medals.teams} teams is {medals.median:g}"
    )
    for each in odd:
        complain(f"proctor: warning: {each}")
    print(
        f"{made.place}: written. description.md is yours to edit. Keep the directory from agents: "
        f"it has the answers.\nThen: proctor run {made.task_id} --tasks {into}"
    )
