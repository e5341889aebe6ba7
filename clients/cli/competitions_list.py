"""``proctor competitions list``: which there are, and what it takes to work each."""

import json
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from proctor.clients.cli.competitions_chosen import of_splits
from proctor.clients.cli.options import (
    DataOption,
    JsonOption,
    TasksOption,
    competitions_in,
    usage_error,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console
    from rich.table import Table

    from proctor.tasks.competitions.definition import Definition
    from proctor.tasks.competitions.library import Competitions

STATES = {
    "prepared": "prepared",
    "ready": "ready (made when first needed)",
    "download": "to be downloaded from Kaggle",
    "unsupported": "unsupported (show ID says why)",
}
"""What each state is."""
COLUMNS = ("id", "state", "category", "metric", "teams", "splits", "title")
"""What is shown, the first ones where there is no room for all."""
WIDEST = 1000
"""Characters: more than any row has."""


def list_competitions(
    *,
    split: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only this split's, such as lite. May be repeated."),
    ] = None,
    category: Annotated[
        Literal["low", "medium", "high"] | None, typer.Option(help="Only of this category.")
    ] = None,
    supported: Annotated[
        bool, typer.Option("--supported", help="Only those that can be prepared and graded.")
    ] = False,
    prepared: Annotated[
        bool, typer.Option("--prepared", help="Only those whose files are there.")
    ] = False,
    tasks: TasksOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """List competitions, and which are prepared, ready to be, to be downloaded, or unsupported."""
    from proctor.schemas.errors import TaskError

    library = competitions_in(data, tasks)
    ids = [each.rpartition("/")[2] for each in library.ids]
    try:
        rows = [
            about(library, library.definition(each))
            for each in (of_splits(library, ids, split) if split else ids)
        ]
    except TaskError as error:
        usage_error(str(error))
    rows = [
        row
        for row in rows
        if category in (None, row["category"])
        and (row["supported"] or not supported)
        and (row["prepared"] or not prepared)
    ]
    if as_json:
        print(json.dumps(rows, indent=2))
    else:
        _print_table(rows)


def about(library: "Competitions", definition: "Definition") -> dict[str, object]:
    """What there is to know of a competition at a glance."""
    competition, name = definition.competition, definition.file.id
    state = state_of(library, name)
    return {
        "id": name,
        "task": definition.task_id,
        "title": competition.name,
        "category": competition.category,
        "splits": list(competition.splits),
        "state": state,
        "supported": state != "unsupported",
        "prepared": state == "prepared",
        "metric": competition.metric.name,
        "lower_is_better": competition.lower_is_better,
        "columns": [*competition.form.ids, *competition.form.targets],
        **competition.medals.model_dump(),
    }


def state_of(library: "Competitions", name: str) -> str:
    """One of `STATES`."""
    if not library.is_supported(name):
        return "unsupported"
    if library.is_prepared(name):
        return "prepared"
    return "ready" if library.is_ready(name) else "download"


def _print_table(rows: "Sequence[dict[str, object]]") -> None:
    from rich.console import Console

    if rows:
        _print_fitting(rows, Console())
    counts = Counter(str(row["state"]) for row in rows)
    parts = [f"{counts[state]} {what}" for state, what in STATES.items() if counts[state]]
    total = f"{len(rows)} competition{'s' * (len(rows) != 1)}"
    print(f"{total}: {', '.join(parts)}" if parts else total)


def _print_fitting(rows: "Sequence[dict[str, object]]", console: "Console") -> None:
    """Print as many columns as there is room for: an id that is cut off cannot be typed again."""
    from rich.measure import Measurement

    unbounded = console.options.update(width=WIDEST)
    tables = (_table(rows, COLUMNS[:count]) for count in range(len(COLUMNS), 2, -1))
    fitting = (
        each
        for each in tables
        if Measurement.get(console, unbounded, each).maximum <= console.width
    )
    console.print(next(fitting, _table(rows, COLUMNS[:2])))


def _table(rows: "Sequence[dict[str, object]]", columns: "Sequence[str]") -> "Table":
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in columns:
        table.add_column("competition" if name == "id" else name, no_wrap=name == "id")
    for row in rows:
        table.add_row(*(_cell(row[name]) for name in columns))
    return table


def _cell(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, cast("list[object]", value)))
    return str(value)
