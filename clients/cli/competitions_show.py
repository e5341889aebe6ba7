"""``proctor competitions show``: all that is known of one competition."""

import json
from typing import TYPE_CHECKING

from proctor.clients.cli.competitions_list import STATES, about
from proctor.clients.cli.options import (
    CompetitionName,
    DataOption,
    JsonOption,
    TasksOption,
    competitions_in,
    usage_error,
)

if TYPE_CHECKING:
    from proctor.tasks.competitions.definition import CompetitionFile, Definition

HOUR_S = 3600


def show_competition(
    name: CompetitionName,
    *,
    tasks: TasksOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a competition: its description, what is handed in, what wins, and its known issues."""
    from proctor.schemas.errors import TaskError

    library = competitions_in(data, tasks)
    try:
        definition = library.definition(name)
    except TaskError as error:
        usage_error(str(error))
    known = about(library, definition)
    if as_json:
        print(json.dumps({**known, **_more(definition)}, indent=2))
    else:
        _print(definition, str(known["state"]))


def _more(definition: "Definition") -> dict[str, object]:
    file = definition.file
    return {
        "summary": file.summary,
        "description": definition.description,
        "limits": file.limits.model_dump(),
        "memory_bytes": file.memory_bytes,
        "workspace_bytes": file.workspace_bytes,
        "cpus": file.cpus,
        "gpus": file.gpus,
        "issues": list(file.issues),
        "unsupported": file.unsupported or None,
    }


def _print(definition: "Definition", state: str) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    file, competition = definition.file, definition.competition
    medals = competition.medals
    better = "lower" if competition.lower_is_better else "higher"
    lines = {
        "task": definition.task_id,
        "state": f"unsupported: {file.unsupported}" if file.unsupported else STATES[state],
        "category": file.category,
        "splits": ", ".join(file.splits),
        "hand in": ", ".join((*file.form.ids, *file.form.targets)),
        "metric": f"{competition.metric.name}, {better} is better",
        "medals": f"gold {medals.gold:.10g}, silver {medals.silver:.10g}, "
        f"bronze {medals.bronze:.10g}; the median of {medals.teams} teams is {medals.median:.10g}",
        "limits": _limits(file),
    }
    print(f"{file.title}\n\n{file.summary}")
    if definition.description.strip() != file.summary:
        print(f"\n{definition.description.strip()}")
    table = Table(box=None, show_header=False, pad_edge=False)
    for key, value in lines.items():
        table.add_row(key, Text(value))
    for number, issue in enumerate(file.issues):
        table.add_row("" if number else "issues", Text(issue))
    print()
    Console().print(table)


def _limits(file: "CompetitionFile") -> str:
    hours, gib = file.limits.time_s / HOUR_S, file.memory_bytes / (1 << 30)
    parts = [
        f"{hours:g} h",
        f"{file.limits.tool_calls} tool calls",
        f"{gib:g} GiB of memory",
        f"{file.cpus:g} CPUs" if file.cpus else "",
        f"{file.gpus} GPUs" if file.gpus else "",
    ]
    return ", ".join(filter(None, parts))
