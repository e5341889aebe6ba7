"""What a run shows on a terminal."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from rich.console import Console

from proctor.clients.cli.run_live import LiveView
from proctor.clients.cli.run_view import print_table
from proctor.clients.runs.joined import joined
from proctor.schemas.result import AgentReport, RunResult
from proctor.schemas.run import Attempt, Candidate, Lock
from proctor.schemas.task import Limits, TaskCard

NOW = datetime(2026, 1, 2, tzinfo=UTC)
ODD = "a[/b] \x1b]0;mine\x07 [red]x"
SHOWN = "a[/b] <U+001B>]0;mine<U+0007> [red]x"


def test_what_an_agent_says_of_itself_neither_is_markup_nor_steers_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    result = joined(
        Attempt(task_id="mini", epoch=1, candidate="a", label="mini/1"),
        Candidate(name="a", agent="a"),
        AgentReport(model=ODD),
        None,
        started_at=NOW,
        duration_s=1.0,
        failure=("agent", ODD),
    )
    print_table([result], Path("run"), is_kept_here=True)
    said = capsys.readouterr().out
    assert said.count(SHOWN) == 3, "as its model, twice, and as its failure"
    assert "\x1b" not in said


def test_a_hand_in_that_cannot_be_graded_is_said_to_be_invalid(
    capsys: pytest.CaptureFixture[str], results: Any
) -> None:
    paths = [
        results.write("run", "a", 0.0, states=("invalid", "invalid")),
        results.write("run", "b", 0.0, states=("scored", "scored")),
    ]
    shown = [RunResult.model_validate_json(path.read_bytes()) for path in paths]
    print_table(shown, Path("run"), is_kept_here=True)
    rows = [line.split()[:4] for line in capsys.readouterr().out.splitlines()]
    assert ["a", "noop", "0/20", "invalid"] in rows
    assert ["b", "noop", "0/20", "0%"] in rows


def test_a_models_name_is_no_markup_in_the_live_table() -> None:
    lock = Lock(
        run_id="r", started_at=NOW, flags={}, versions={}, tasks={"mini": "0" * 64}, epochs=1,
        candidates=(Candidate(name="a", agent="tool_loop", model=ODD),),
    )  # fmt: skip
    console = Console(width=200)
    with console.capture() as said:
        console.print(LiveView(lock))
    assert SHOWN in said.get()


@pytest.mark.parametrize("name", ["../elsewhere", "/etc", "a/../../b"])
def test_another_server_cannot_name_a_task_so_that_results_lie_elsewhere(name: str) -> None:
    with pytest.raises(ValidationError, match="id"):
        TaskCard(
            id=name, title="x", kind="technique", category="", splits=(), digest="x",
            limits=Limits(),
        )  # fmt: skip
