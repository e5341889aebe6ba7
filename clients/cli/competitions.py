"""``proctor competitions``: list, show and prepare competitions, and grade a submission."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from proctor.clients.cli.options import DataOption, competitions_in, usage_error

if TYPE_CHECKING:
    from proctor.evaluator.competitions import Measured
    from proctor.schemas.competition import CompetitionReport
    from proctor.tasks.competitions.definition import Definition

app = typer.Typer(help="List, show, prepare and grade competitions.", no_args_is_help=True)

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Name = Annotated[str, typer.Argument(metavar="ID", help="The competition's id.")]


@app.command("list")
def list_competitions(*, data: DataOption = None, as_json: JsonOption = False) -> None:
    """List the competitions, and which are prepared."""
    from rich.console import Console
    from rich.table import Table

    library = competitions_in(data)
    rows = [
        {**_about(library.definition(each)), "prepared": library.is_prepared(each)}
        for each in library.ids
    ]
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    table = Table("competition", "title", "category", "metric", "teams", "prepared", box=None)
    for row in rows:
        cells = (row["id"], row["title"], row["category"], row["metric"], row["teams"])
        table.add_row(*map(str, cells), "yes" if row["prepared"] else "no")
    Console().print(table)


@app.command("show")
def show_competition(name: Name, *, data: DataOption = None, as_json: JsonOption = False) -> None:
    """Show a competition: its description, what is handed in, and what wins."""
    from proctor.schemas.errors import TaskError

    library = competitions_in(data)
    try:
        definition = library.definition(name)
    except TaskError as error:
        usage_error(str(error))
    about = {**_about(definition), "prepared": library.is_prepared(name)}
    if as_json:
        print(json.dumps({**about, "description": definition.description}, indent=2))
        return
    print(f"{definition.file.summary}\n\n{definition.description}")
    for key, value in about.items():
        print(f"{key}: {value}")


@app.command("prepare")
def prepare_competitions(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="All of them if none.")
    ] = None,
    *,
    data: DataOption = None,
) -> None:
    """Make competitions' files. Runs do so, too, when they first need them."""
    from proctor.schemas.errors import TaskError

    library = competitions_in(data)
    for name in names or library.ids:
        try:
            print(library.prepare(name))
        except TaskError as error:
            usage_error(str(error))


@app.command("grade")
def grade_submission(
    submission: Annotated[Path, typer.Argument(metavar="SUBMISSION", help="A CSV file.")],
    name: Name,
    *,
    compat: Annotated[
        Literal["strict", "upstream"],
        typer.Option(help="Align rows by id, or as MLE-bench does it."),
    ] = "strict",
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

    library, path = competitions_in(data), submission.absolute()

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


def _about(definition: "Definition") -> dict[str, object]:
    competition = definition.competition
    return {
        "id": competition.id,
        "task": definition.task_id,
        "title": competition.name,
        "category": competition.category,
        "splits": list(competition.splits),
        "metric": competition.metric.name,
        "lower_is_better": competition.lower_is_better,
        "columns": [*competition.form.ids, *competition.form.targets],
        **competition.medals.model_dump(),
    }


def _print_report(found: "CompetitionReport") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, show_header=False)
    for key, value in found.model_dump(mode="json").items():
        if value is not None:
            table.add_row(key, str(value))
    Console().print(table)
