"""``proctor competitions grade``: what a submission earns."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from proctor.clients.cli.options import (
    CompetitionName,
    DataOption,
    JsonOption,
    TasksOption,
    competitions_in,
    usage_error,
)

if TYPE_CHECKING:
    from proctor.evaluator.competitions import Measured
    from proctor.schemas.competition import CompetitionReport


def grade_submission(
    submission: Annotated[Path, typer.Argument(metavar="SUBMISSION", help="A CSV file.")],
    name: CompetitionName,
    *,
    compat: Annotated[
        Literal["strict", "upstream"],
        typer.Option(help="Align rows by id, or as MLE-bench does it."),
    ] = "strict",
    tasks: TasksOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Grade a submission against a competition's answers; exit code 1 where it is invalid."""
    from datetime import UTC, datetime

    import anyio

    from proctor.evaluator.competitions import measure, report
    from proctor.evaluator.worker import in_worker
    from proctor.schemas.errors import ProctorError
    from proctor.tasks.competitions.prepared import ANSWERS, PRIVATE

    library, path = competitions_in(data, tasks), submission.absolute()

    async def measured_in_worker() -> "Measured":
        return await in_worker(measure, competition, path, answers, compat)

    try:
        competition = library.definition(name).competition
        leaderboard = library.definition(name).leaderboard
        answers = library.prepare(name) / PRIVATE / ANSWERS
        measured = anyio.run(measured_in_worker)
    except ProctorError as error:
        usage_error(str(error))
    found = report(
        competition, path, measured, datetime.now(UTC), compat=compat, leaderboard=leaderboard
    )
    if as_json:
        print(found.model_dump_json(indent=2))
    else:
        _print_report(found)
    raise typer.Exit(0 if found.valid_submission else 1)


def _print_report(found: "CompetitionReport") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, show_header=False)
    for key, value in found.model_dump(mode="json").items():
        if value is not None:
            table.add_row(key, str(value))
    Console().print(table)
