"""What a run looks like on a terminal: live progress on stderr, the table at the end.

An agent may name its model and word its failures: that is no markup, and steers no terminal.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from proctor.clients.cli.run_live import LiveView, earned
from proctor.clients.reports.report import print_short
from proctor.clients.reports.rows import outcome_of
from proctor.clients.reports.tables import visible
from proctor.clients.runs.engine import Stage
from proctor.clients.runs.run import Plan, Watch
from proctor.schemas.grade import JudgeRecord
from proctor.schemas.result import AgentReport, RunResult
from proctor.schemas.run import Attempt

TROUBLE_CHARS = 300
"""Of what an agent met: the whole is in its result."""


@contextmanager
def watching(plan: Plan) -> Generator[Watch]:
    """Show a run's progress: a live table on a terminal, a line per change elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines(console).update
        return
    view = LiveView(plan.lock)
    with Live(view, console=console, refresh_per_second=8, transient=True):
        yield view.update


def print_table(results: Sequence[RunResult], directory: Path, *, is_kept_here: bool) -> None:
    """Print what every session earned, and where the results are.

    Args:
        results: Of the run.
        directory: Where they are.
        is_kept_here: Whether what was handed in lies there, too.
    """
    columns = ("task", "agent", "score", "percentage", "time", "sandbox", "isolation")
    table = Table(*columns, box=None, pad_edge=False)
    for result in results:
        sandbox = result.sandbox
        table.add_row(
            Text(visible(_session(result, whole=False))),
            Text(visible(result.model or result.agent)),
            earned(result),
            _percentage(result),
            f"{result.duration_s:.1f} s",
            sandbox.backend if sandbox else "-",
            sandbox.isolation if sandbox else "-",
        )
    console = Console(width=None if Console().is_terminal else 120)
    console.print(table)
    _print_remarks(console, results)
    kept = sum(result.state == "submitted" and not result.error for result in results)
    if kept and is_kept_here:
        ungraded = f"Kept ungraded: {kept}. Grade with: proctor grade {directory}"
        console.print(ungraded, markup=False, highlight=False, soft_wrap=True)
    print_short(results, console)
    console.print(f"Results: {directory}", soft_wrap=True, highlight=False)


def _print_remarks(console: Console, results: Sequence[RunResult]) -> None:
    graded = [result.evaluation for result in results if result.evaluation]
    judges = [grade.judge for grade in graded if grade.judge]
    if any(grade.ungraded for grade in graded):
        prose = "" if judges else "; criteria of prose need a judge and stay ungraded"
        console.print(
            "Score: points earned / possible. Percentage: of the points that were graded" + prose,
            end=".\n",
            highlight=False,
        )
    if judges:
        console.print(_judged(judges), markup=False, highlight=False)
    troubles = {_session(result): _trouble(result) for result in results}
    for trouble in dict.fromkeys(filter(None, troubles.values())):
        whose = ", ".join(who for who, what in troubles.items() if what == trouble)
        console.print(Text(visible(f"{whose}: {trouble}")), soft_wrap=True)
    if any(result.confinement == "unconfined" for result in results):
        console.print("unconfined: the agent was an ordinary process, free to read tasks.")
    if not judges and not any(result.model or result.origin for result in results):
        console.print("No model took part.")


def _session(result: RunResult, *, whole: bool = True) -> str:
    """Which session a result is of; the whole of it says whose, too, where a model took part."""
    name = result.task_id if result.epoch == 1 else f"{result.task_id} #{result.epoch}"
    return f"{name} ({result.model})" if whole and result.model else name


def _trouble(result: RunResult) -> str | None:
    """Why a session was not finished, or else the last trouble that its agent met."""
    met: list[str] = result.metadata.get("errors") or []
    return result.error or (" ".join(met[-1].split())[:TROUBLE_CHARS] if met else None)


def _judged(judges: Sequence[JudgeRecord]) -> str:
    """Who judged, at what cost, and how many grades it left something to say of."""
    costs = [judge.cost_usd for judge in judges]
    cost = "at an unknown cost" if None in costs else f"for {sum(filter(None, costs)):.4f} USD"
    calls, flagged = sum(judge.calls for judge in judges), sum(bool(j.flags) for j in judges)
    told = f"Prose was judged by {judges[0].model} in {calls} calls, {cost}"
    return f"{told}; grades with its flags: {flagged}." if flagged else f"{told}."


def _percentage(result: RunResult) -> str:
    """Of the points that were graded; reports take an invalid hand-in for none."""
    grade = result.evaluation
    if outcome_of(result) == "invalid":
        return "invalid"
    if grade is None or grade.percentage is None:
        return "-"
    whole = grade.points_graded == grade.total_possible
    return f"{grade.percentage:.0f}%" + ("" if whole else f" of {grade.points_graded:g}")


class _Lines:
    """A line for each change of an attempt's stage."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._stages: dict[Attempt, Stage] = {}

    def update(
        self, attempt: Attempt, stage: Stage | None, told: AgentReport | RunResult | None
    ) -> None:
        """Take in what happened."""
        if isinstance(told, RunResult):
            self._print(attempt, f"done {earned(told)}")
        elif stage is not None and self._stages.get(attempt) != stage:
            self._stages[attempt] = stage
            self._print(attempt, stage)

    def _print(self, attempt: Attempt, text: str) -> None:
        line = f"proctor: {attempt.label}: {text}"
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)
