"""Results of runs, as files; and the command, where a competition is prepared."""

import os
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from proctor.schemas.grade import CriterionResult, Grade, ScoreState
from proctor.schemas.result import RunResult
from proctor.tasks.competitions.library import Competitions


def grade_of(score: float | None, states: Sequence[ScoreState], digest: str) -> Grade:
    """A grade of that score, whose criteria are in these states, ten points each."""
    results = tuple(
        CriterionResult(
            id=f"c{n}", name=f"c{n}", criterion="it works", points=10, earned=0, passed=None,
            reasoning="so it was", state=state, credit=0.0,
        )
        for n, state in enumerate(states)
    )  # fmt: skip
    graded = 10 * sum(state != "ungraded" for state in states)
    return Grade(
        score=round((score or 0) * graded, 4),
        total_possible=10 * len(states),
        points_graded=graded,
        percentage=None if score is None else round(100 * score, 2),
        results=results,
        task_digest=digest,
        snapshot_sha256=None,
        grader_version="0",
    )


class Results:
    """Writes results below a directory, as runs do."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._count = 0

    def write(
        self,
        run: str,
        task: str,
        score: float | None,
        epoch: int = 1,
        *,
        states: Sequence[ScoreState] = ("scored", "scored"),
        graded: bool = True,
        tokens: int | None = None,
        cost: float | None = None,
        digest: str = "d",
        **fields: Any,
    ) -> Path:
        """Write one; returns its file."""
        self._count += 1
        result = RunResult.model_validate(
            {
                "task_id": task, "agent": "noop", "model": None, "answer": "", "epoch": epoch,
                "metadata": {"prompt_tokens": tokens, "reply_tokens": tokens, "cost_usd": cost},
                "evaluation": grade_of(score, states, digest) if graded else None,
                "session_id": f"s{self._count}", "state": "graded" if graded else "failed",
                "started_at": datetime(2026, 1, 1, tzinfo=UTC), "duration_s": 2.0,
                "sandbox": None, "error": None, "proctor_version": "0", **fields,
            }
        )  # fmt: skip
        path = self.root / run / f"{task.encode('ascii', 'ignore').hex()}-{self._count}"
        path.mkdir(parents=True)
        (path / "session.json").write_text("{}")
        (path / "result.json").write_text(result.model_dump_json())
        return path / "result.json"


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return Results(tmp_path)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where one competition, cell-samples, is prepared."""
    place = tmp_path_factory.mktemp("competitions")
    Competitions(place).prepare("cell-samples")
    return place


@pytest.fixture
def proctor(proctor_command: list[str], tmp_path: Path, data: Path) -> Any:
    """Runs a command where `data` is; returns its stdout, or stderr where it was used wrongly."""

    def run(*arguments: str, expect: int = 0) -> str:
        result = subprocess.run(
            [*proctor_command, *arguments],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            timeout=300,
            check=False,
            env={**os.environ, "COLUMNS": "160", "PROCTOR_COMPETITIONS": str(data)},
        )
        assert result.returncode == expect, result.stdout + result.stderr
        return result.stdout if expect != 2 else result.stderr

    return run
