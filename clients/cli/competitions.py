"""``proctor competitions``: list, show, prepare and make competitions, and grade a submission."""

import json
from typing import TYPE_CHECKING

import typer

from proctor.clients.cli.competitions_grade import grade_submission
from proctor.clients.cli.competitions_new import new_competition
from proctor.clients.cli.competitions_prepare import prepare_competitions
from proctor.clients.cli.competitions_report import report_competitions
from proctor.clients.cli.options import (
    CompetitionName,
    DataOption,
    JsonOption,
    TasksOption,
    competitions_in,
    usage_error,
)

if TYPE_CHECKING:
    from proctor.tasks.competitions.definition import Definition

app = typer.Typer(help="List, show, prepare, grade and make competitions.", no_args_is_help=True)

app.command("prepare")(prepare_competitions)
app.command("grade")(grade_submission)
app.command("new")(new_competition)
app.command("report")(report_competitions)


@app.command("list")
def list_competitions(
    *, tasks: TasksOption = None, data: DataOption = None, as_json: JsonOption = False
) -> None:
    """List the competitions, and which are prepared."""
    from rich.console import Console
    from rich.table import Table

    library = competitions_in(data, tasks)
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
def show_competition(
    name: CompetitionName,
    *,
    tasks: TasksOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a competition: its description, what is handed in, and what wins."""
    from proctor.schemas.errors import TaskError

    library = competitions_in(data, tasks)
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
