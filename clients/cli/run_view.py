"""What a run looks like on a terminal: live progress on stderr, the table at the end."""

import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table

from proctor.clients.runs.run import Attempt, Plan, Watch
from proctor.schemas.grade import JudgeRecord
from proctor.schemas.result import RunResult


@contextmanager
def watching(plan: Plan) -> Generator[Watch]:
    """Show a run's progress: a live table on a terminal, a line per change elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _print_line
        return
    view = _LiveView(plan)
    with Live(view, console=console, refresh_per_second=8, transient=True):
        yield view.update


def print_table(results: Sequence[RunResult], directory: Path) -> None:
    """Print what every session earned, and where the results are."""
    columns = ("task", "agent", "score", "percentage", "time", "sandbox", "isolation")
    table = Table(*columns, box=None, pad_edge=False)
    for result in results:
        sandbox = result.sandbox
        table.add_row(
            result.task_id if result.epoch == 1 else f"{result.task_id} #{result.epoch}",
            result.agent,
            _score(result),
            _percentage(result),
            f"{result.duration_s:.1f} s",
            sandbox.backend if sandbox else "-",
            sandbox.isolation if sandbox else "-",
        )
    console = Console(width=None if Console().is_terminal else 120)
    console.print(table)
    _print_remarks(console, results)
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
    for result in results:
        if result.error:
            console.print(f"{result.task_id}: {result.error}", markup=False, highlight=False)
    if any(result.confinement == "unconfined" for result in results):
        console.print("unconfined: the agent was an ordinary process, free to read tasks.")
    if not judges and not any(result.model or result.origin for result in results):
        console.print("No model took part.")


def _judged(judges: Sequence[JudgeRecord]) -> str:
    """Who judged, at what cost, and how many grades it left something to say of."""
    costs = [judge.cost_usd for judge in judges]
    cost = "at an unknown cost" if None in costs else f"for {sum(filter(None, costs)):.4f} USD"
    calls, flagged = sum(judge.calls for judge in judges), sum(bool(j.flags) for j in judges)
    told = f"Prose was judged by {judges[0].model} in {calls} calls, {cost}"
    return f"{told}; {flagged} grades carry its flags." if flagged else f"{told}."


def _score(result: RunResult) -> str:
    grade = result.evaluation
    return f"{grade.score:g}/{grade.total_possible:g}" if grade else "no grade"


def _percentage(result: RunResult) -> str:
    grade = result.evaluation
    if grade is None or grade.percentage is None:
        return "-"
    whole = grade.points_graded == grade.total_possible
    return f"{grade.percentage:.0f}%" + ("" if whole else f" of {grade.points_graded:g}")


def _print_line(attempt: Attempt, state: str, result: RunResult | None) -> None:
    earned = f" {_score(result)}" if result else ""
    Console(stderr=True).print(
        f"proctor: {attempt.label}: {state}{earned}", markup=False, highlight=False
    )


class _LiveView:
    """A table of every attempt, drawn anew at each refresh."""

    def __init__(self, plan: Plan) -> None:
        self._states: dict[Attempt, str] = dict.fromkeys(plan.attempts, "waiting")
        self._since: dict[Attempt, float] = {}
        self._agent = plan.agent_name
        self._spinner = Spinner("dots")

    def update(self, attempt: Attempt, state: str, result: RunResult | None) -> None:
        """Take in a change."""
        self._since.setdefault(attempt, time.monotonic())
        self._states[attempt] = f"{state} {_score(result)}" if result else state

    def __rich__(self) -> Table:
        table = Table("", "task", "agent", "state", "time", box=None, pad_edge=False)
        for attempt, state in self._states.items():
            busy = state in ("working", "grading")
            since = self._since.get(attempt)
            elapsed = f"{time.monotonic() - since:.0f} s" if since and busy else ""
            table.add_row(self._spinner if busy else "", attempt.label, self._agent, state, elapsed)
        return table
