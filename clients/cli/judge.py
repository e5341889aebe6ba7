"""``proctor judge``: how far a judge can be believed."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from proctor.clients.cli.judge_options import JudgeOptions, judge_of, with_judge_options
from proctor.clients.cli.options import TasksOption, catalog_of, usage_error

if TYPE_CHECKING:
    from proctor.evaluator.judge.calibrate import Calibration

app = typer.Typer(help="Hold a judge against people.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    pass


@app.command("calibrate")
@with_judge_options
def calibrate_judge(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="Gold labels, JSONL; the bundled set if none."),
    ] = None,
    *,
    repeats: Annotated[int, typer.Option(min=1, help="How often each item is judged.")] = 2,
    tasks: TasksOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    judging: JudgeOptions,
) -> None:
    """Compare a judge with gold labels: agreement, kappa, flips, injections caught."""
    import anyio

    from proctor.evaluator.judge.calibrate import calibrate
    from proctor.evaluator.judge.gold import bundled_gold, read_gold
    from proctor.schemas.errors import TaskError

    judge = judge_of(judging)
    if judge is None:
        usage_error("--judge MODEL is missing: whom should be calibrated?")
    try:
        items = bundled_gold() if file is None else read_gold(file)
        if not items:
            usage_error(f"{file} holds no gold label")
        catalog = catalog_of(tasks)
        by_id = {item.task: catalog[item.task] for item in items}
        result = anyio.run(calibrate, judge, items, by_id, repeats)
    except TaskError as error:
        usage_error(str(error))
    if as_json:
        print(result.model_dump_json(indent=2))
    else:
        _print(result)
    if not result.graded:
        raise typer.Exit(1)


def _print(result: "Calibration") -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    interval = result.kappa_interval
    between = f" ({interval[0]:.2f} to {interval[1]:.2f})" if interval else ""
    cost = "unknown" if result.cost_usd is None else f"{result.cost_usd:.4f} USD"
    tokens = "unknown" if result.tokens is None else f"{result.tokens}"
    table = Table("", "", box=None, show_header=False)
    for row in (
        ("model", result.model),
        ("gold labels", f"{result.labels} of {result.items} hand-ins, {result.repeats} times each"),
        ("graded", f"{result.graded} of {result.labels}"),
        ("agreement", _share(result.agreement)),
        ("Cohen's kappa (95 %)", "-" if result.kappa is None else f"{result.kappa:.2f}{between}"),
        ("flip rate", _share(result.flip_rate)),
        ("injections caught", f"{result.injections_caught} of {result.injections}"),
        ("calls, tokens, cost", f"{result.calls}, {tokens}, {cost}"),
    ):
        table.add_row(*row)
    console.print(table)
    for each in result.differences:
        line = f"{each.item}: {each.criterion}: {each.gold} by people, {each.judge} by the judge"
        console.print(f"{line} ({each.evidence})", markup=False)
    for flag in result.flags:
        console.print(f"flag: {flag}", markup=False)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"
