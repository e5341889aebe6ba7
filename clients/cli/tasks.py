"""``proctor tasks``: list, show and check tasks, and print their schema."""

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from proctor.clients.cli.options import (
    JsonOption,
    TasksOption,
    catalog_of,
    complain,
    usage_error,
)
from proctor.clients.cli.sandboxes import SandboxOptions, backend_of, with_sandbox_options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from proctor.evaluator.probes import ProbeRun
    from proctor.schemas.grade import Score
    from proctor.schemas.task import Task
    from proctor.tasks.catalog import Catalog
    from proctor.tasks.check import Finding

app = typer.Typer(help="List, show and check tasks.", no_args_is_help=True)


class Tricks(StrEnum):
    """How many tricks are tried on a task."""

    NONE = "none"
    SOME = "some"
    ALL = "all"


class FormatName(StrEnum):
    """The forms in which tasks are written."""

    DIRECTORY = "directory"
    AFTERQUERY = "afterquery"


@app.command("list")
def list_tasks(*, tasks: TasksOption = None, as_json: JsonOption = False) -> None:
    """List the tasks of the catalog."""
    from rich.console import Console
    from rich.table import Table

    catalog = catalog_of(tasks)
    if as_json:
        rows = [
            {
                "id": card.id,
                "title": card.title,
                "kind": card.kind,
                "description": card.description,
                "points": _points(catalog, card.id),
            }
            for card in catalog.cards()
        ]
        print(json.dumps(rows, indent=2))
    else:
        table = Table("task", "title", "kind", "points", box=None)
        for card in catalog.cards():
            table.add_row(card.id, card.title, card.kind, f"{_points(catalog, card.id):g}")
        Console().print(table)
    if catalog.problems:
        raise typer.Exit(1)


def _points(catalog: "Catalog", task_id: str) -> float:
    """What a task is worth; competitions are not prepared for it."""
    from proctor.tasks.competitions.task import POINTS

    return catalog[task_id].rubric.points_possible if catalog.at_hand(task_id) else POINTS


@app.command("show")
def show_task(
    task_id: Annotated[str, typer.Argument(help="The task's id.")],
    *,
    tasks: TasksOption = None,
    rubric: Annotated[
        bool, typer.Option("--rubric", help="Show the rubric, which gives the answer away.")
    ] = False,
) -> None:
    """Show a task: its instructions and files and, if asked, its rubric."""
    from proctor.schemas.errors import TaskError

    try:
        task = catalog_of(tasks)[task_id]
    except TaskError as error:
        usage_error(str(error))
    print(f"{task.id}: {task.title}\n{task.description}\n\n{task.instructions.strip()}\n\nFiles:")
    for path, data in task.workspace.items():
        print(f"  {path}  ({len(data)} bytes)")
    if rubric:
        print("\nRubric:")
        for criterion in task.rubric.criteria:
            print(f"  {criterion.points:+g}  {criterion.id} ({criterion.grader}): {criterion.text}")


@app.command("check")
@with_sandbox_options
def check_tasks(
    task_ids: Annotated[list[str] | None, typer.Argument(help="Ids; all tasks if none.")] = None,
    *,
    tasks: TasksOption = None,
    probe: Annotated[
        str | None,
        typer.Option(
            metavar="CRITERION", help="Only run this criterion's probe, on one task, and show it."
        ),
    ] = None,
    on: Annotated[
        str,
        typer.Option(metavar="NAME", help="With --probe: solution, untouched, or a decoy's name."),
    ] = "solution",
    verbose: Annotated[
        bool, typer.Option("--verbose", help="With --probe: show inputs and outputs, too.")
    ] = False,
    tricks: Annotated[
        Tricks,
        typer.Option(help="Tricks that must gain nothing: a share on each task, all, or none."),
    ] = Tricks.SOME,
    concurrency: Annotated[
        int | None, typer.Option(min=1, help="Tasks at once; by default half the processors.")
    ] = None,
    as_json: JsonOption = False,
    sandboxes: SandboxOptions,
) -> None:
    """Prove tasks: the solution earns full marks with any seed, doing nothing and decoys fail.

    Also looks for answers that the prompt or the workspace gives away, and for blanks left of
    'tasks new'.
    """
    import os

    import anyio

    from proctor.schemas.errors import TaskError
    from proctor.tasks.exploits import TRICKS, some_tricks

    catalog = catalog_of(tasks)
    try:
        chosen = [catalog[task_id] for task_id in task_ids or _ready(catalog)]
    except TaskError as error:
        usage_error(str(error))
    if not chosen and not catalog.problems:
        usage_error("no task found; a task is a directory with a task.toml, or a JSON file")
    if probe:
        if len(chosen) != 1:
            usage_error("--probe goes with one task: name it")
        _show_probe(chosen[0], probe, on, sandboxes, verbose=verbose)
        return
    at_once = concurrency or max(1, (os.cpu_count() or 1) // 2)
    names = {
        task.id: () if tricks is Tricks.NONE else
        tuple(TRICKS) if tricks is Tricks.ALL else some_tricks(number)
        for number, task in enumerate(chosen)
    }  # fmt: skip
    findings = anyio.run(_check, chosen, names, sandboxes, at_once, not as_json)
    broken = [str(problem) for problem in catalog.problems]
    if as_json:
        document = {"findings": [f.model_dump() for f in findings], "unreadable": broken}
        print(json.dumps(document, indent=2))
    failed = sum(not finding.ok for finding in findings)
    if not as_json:
        _print_checked(findings)
        unreadable = f", {len(broken)} tasks unreadable" if broken else ""
        many = "1 task" if len(chosen) == 1 else f"{len(chosen)} tasks"
        print(f"{many}, {len(findings)} findings, {failed} failed{unreadable}")
    if failed or broken:
        raise typer.Exit(1)


def _ready(catalog: "Catalog") -> "list[str]":
    """All tasks but for competitions that cannot be prepared without downloading; tells of each."""
    found: list[str] = []
    for task_id in catalog.ids:
        library = catalog.competitions
        if library is None or catalog.at_hand(task_id) or library.is_ready(task_id):
            found.append(task_id)
        else:
            why = library.definition(task_id).file.unsupported
            said = f"is not supported yet: {why}" if why else "would have to be downloaded first"
            complain(f"proctor: {task_id} is left out, as it {said}")
    return found


async def _check(
    tasks: "Sequence[Task]",
    tricks: "Mapping[str, Sequence[str]]",
    sandboxes: SandboxOptions,
    at_once: int,
    aloud: bool,  # noqa: FBT001 - from anyio.run
) -> "list[Finding]":
    import anyio

    from proctor.tasks.check import check_task

    findings: dict[str, list[Finding]] = {task.id: [] for task in tasks}
    limit = anyio.CapacityLimiter(at_once)
    async with backend_of(sandboxes) as backend:

        async def check(task: "Task") -> None:
            async with limit:
                async for finding in check_task(task, backend, tricks[task.id]):
                    findings[task.id].append(finding)
                    if aloud:
                        mark = "ok  " if finding.ok else "FAIL"
                        line = f"{mark} {finding.task_id}: {finding.check}: {finding.detail}"
                        print(line, flush=True)

        async with anyio.create_task_group() as group:
            for task in tasks:
                group.start_soon(check, task)
    return [finding for found in findings.values() for finding in found]


def _show_probe(
    task: "Task", criterion: str, name: str, sandboxes: SandboxOptions, *, verbose: bool
) -> None:
    """Run one probe, and show its cases, what the code made of them, and the verdicts."""
    import anyio

    from proctor.evaluator.judge.visible import visible
    from proctor.schemas.errors import ProctorError
    from proctor.tasks.check import watch_probe

    async def run() -> "tuple[Score, ProbeRun]":
        async with backend_of(sandboxes) as backend:
            return await watch_probe(task, criterion, name, backend)

    try:
        score, found = anyio.run(run)
    except ProctorError as error:
        usage_error(str(error))
    for case, left in found.left.items():
        print(f"case {case}: {visible(left.failure) or 'ended well'}")
        if verbose:
            for kind, files in (("in", found.cases[case]), ("out", left.outputs)):
                for path, data in files.items():
                    print(f"  {kind}/{path} ({len(data)} bytes): {_shown(path, data)}")
    for check, verdict in found.verdicts.items():
        print(f"check {check}: {verdict.credit:g}: {visible(verdict.evidence)}")
    print(f"{task.id}: {criterion} on {name}: credit {score.credit:g}")


def _shown(path: str, data: bytes) -> str:
    """The beginning of a data file, with whatever agent code put into it shown escaped."""
    if path.endswith(".npy"):
        import io

        import numpy as np

        try:
            array = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
        except (ValueError, EOFError, MemoryError) as error:
            return f"no plain array: {error}"
        return f"{array.dtype} of shape {array.shape}: {array.ravel()[:8].tolist()}"
    text = data[:400].decode("utf-8", "replace")
    return repr(text)[1:-1] + (" …" if len(data) > len(text) else "")


def _print_checked(findings: "Sequence[Finding]") -> None:
    """Say of each task how many findings there are, and which failed."""
    from rich.console import Console
    from rich.table import Table

    table = Table("task", "findings", "failed", box=None)
    for task_id in dict.fromkeys(finding.task_id for finding in findings):
        own = [finding for finding in findings if finding.task_id == task_id]
        failed = ", ".join(dict.fromkeys(finding.check for finding in own if not finding.ok))
        table.add_row(task_id, str(len(own)), failed or "-")
    Console().print(table)


@app.command("import")
def import_task(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="A task in AfterQuery's JSON.")],
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A new directory.")],
) -> None:
    """Turn AfterQuery's JSON into a directory, and propose what checks each criterion."""
    from proctor.schemas.errors import TaskError
    from proctor.tasks.catalog import read_task
    from proctor.tasks.importing import proposals, write_directory

    try:
        task = read_task(source)
        chosen = proposals(task)
        write_directory(task, chosen, directory)
        read_task(directory)
    except TaskError as error:
        usage_error(str(error))
    except OSError as error:
        usage_error(f"{error.filename or source}: {error.strerror}")
    print(f"{directory}: written. Every criterion, what measures it now, and why:")
    for each in chosen:
        options = f" {json.dumps(each.criterion.options)}" if each.criterion.options else ""
        print(f"  {each.criterion.id}: {each.criterion.grader}{options}: {each.reason}")


@app.command("new")
def new_task(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="A new directory; its name becomes the id.")
    ],
    *,
    kind: Annotated[str, typer.Option(help="error_analysis")] = "error_analysis",
) -> None:
    """Write a task that works, with blanks for its author to fill."""
    from proctor.schemas.errors import TaskError
    from proctor.tasks.scaffold import kinds, scaffold

    if kind not in kinds():
        usage_error(f"--kind {kind!r} has no template; there is {', '.join(kinds())}")
    try:
        written = scaffold(kind, directory)
    except TaskError as error:
        usage_error(str(error))
    except OSError as error:
        usage_error(f"cannot write to {directory}: {error.strerror}")
    print(f"{directory}: written. Fill the blanks, marked FILL, in:")
    for path in written:
        print(f"  {path}")
    print(f"Then: proctor tasks check --tasks {directory}")


@app.command("schema")
def print_schema(
    *,
    form: Annotated[
        FormatName, typer.Option("--format", help="Of task.toml, or of AfterQuery's JSON.")
    ] = FormatName.DIRECTORY,
) -> None:
    """Print the JSON Schema of a task, for editors."""
    from proctor.tasks.schema import afterquery_schema, directory_schema

    schema = directory_schema() if form is FormatName.DIRECTORY else afterquery_schema()
    print(json.dumps(schema, indent=2))
