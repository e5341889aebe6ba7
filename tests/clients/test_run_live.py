"""The live table of a run."""

from datetime import UTC, datetime
from io import StringIO

from rich.console import Console

from proctor.clients.cli.run_live import ROWS, LiveView
from proctor.clients.runs.joined import joined
from proctor.schemas.grade import Grade
from proctor.schemas.result import AgentReport
from proctor.schemas.run import Attempt, Candidate, Lock
from proctor.schemas.session import SessionRecord

NOW = datetime(2026, 1, 2, tzinfo=UTC)
MODEL = Candidate.of("tool_loop", "openai/gpt-x")


def lock(epochs: int) -> Lock:
    return Lock(
        run_id="r", started_at=NOW, flags={}, versions={}, tasks={"mini": ""},
        candidates=(MODEL,), epochs=epochs,
    )  # fmt: skip


def seen(view: LiveView) -> list[str]:
    """The lines that are drawn."""
    console = Console(file=StringIO(), width=140, force_terminal=False)
    console.print(view)
    assert isinstance(console.file, StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def told(turns: int, cost_usd: float | None) -> AgentReport:
    return AgentReport(
        model="openai/gpt-x", turns=turns, prompt_tokens=1000 * turns, reply_tokens=10 * turns,
        cost_usd=cost_usd,
    )  # fmt: skip


def finish(view: LiveView, attempt: Attempt, report: AgentReport) -> None:
    grade = Grade(
        score=7, total_possible=10, points_graded=10, percentage=70, results=(), task_digest="",
        snapshot_sha256=None, grader_version="1",
    )  # fmt: skip
    record = SessionRecord(
        session_id="s", task_id="mini", task_digest="", label=attempt.label, directory="",
        state="graded", started_at=NOW, grade=grade,
    )  # fmt: skip
    view.update(
        attempt, None, joined(attempt, MODEL, report, record, started_at=NOW, duration_s=1.0)
    )


def test_the_live_table_shows_turns_tokens_cost_and_what_is_left() -> None:
    view = LiveView(lock(3))
    first, second, _ = lock(3).attempts()
    view.update(first, "opening", None)
    view.update(first, "working", told(4, 0.25))
    finish(view, first, told(5, 0.5))
    view.update(second, "working", told(2, 0.125))
    lines = "\n".join(seen(view))
    assert "mini #1" in lines
    for shown in ("done 7/10", "5,050", "0.5000", "working", "2,020", "0.1250", "waiting"):
        assert shown in lines
    assert "1 of 3 done, 7,070 tokens, 0.6250 USD, about a minute left" in lines


def test_a_cost_that_is_not_known_is_no_zero() -> None:
    view = LiveView(lock(2))
    first, second = lock(2).attempts()
    view.update(first, "working", told(1, 0.25))
    view.update(second, "working", told(1, None))
    assert "at least 0.2500 USD" in seen(view)[-1]


def test_a_long_run_shows_only_what_is_at_work() -> None:
    view = LiveView(lock(ROWS + 10))
    attempts = lock(ROWS + 10).attempts()
    finish(view, attempts[0], told(1, 0.1))
    view.update(attempts[7], "grading", told(3, 0.1))
    lines = seen(view)
    assert len(lines) == 3, "the header, one row, the totals"
    assert "mini #8" in lines[1]
    assert f"1 of {ROWS + 10} done" in lines[2]
