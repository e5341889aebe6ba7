"""Results as one flat table: a row for each session, as reports see it.

A session's score is its grade's percentage / 100: a share of the points that were graded. There
are three outcomes:

``scored``    something was measured. A criterion that is invalid earns no credit there, as grades
              say, and one that is ungraded is no part of the share; both are counted.
``ungraded``  there is no grade, or nothing in it was graded. That says nothing of the work, so it
              enters no mean and is no attempt.
``invalid``   nothing of the hand-in could be measured, through the agent's own doing. It is counted
              beside the mean, not in it; for pass@k and pass^k it is an attempt that failed.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite
from typing import Literal, TypeAlias

from proctor.schemas.competition import Earned
from proctor.schemas.result import RunResult

Outcome: TypeAlias = Literal["scored", "ungraded", "invalid"]
Medal: TypeAlias = Literal["gold", "silver", "bronze"]
MEDALS: tuple[Medal, ...] = ("gold", "silver", "bronze")
"""The best first; the criteria of a competition are called so."""


@dataclass(frozen=True)
class Row:
    """One session."""

    agent: str
    model: str | None
    """None where no model took part."""
    task: str
    kind: str
    category: str
    """The error's code, for error analysis."""
    epoch: int
    outcome: Outcome
    score: float | None
    """In [0, 1]; None unless scored."""
    points_graded: float | None
    """What the score is a share of."""
    criteria: int
    criteria_ungraded: int
    criteria_invalid: int
    prompt_tokens: int | None
    """None where unknown, as with all that follows; or where no model took part."""
    reply_tokens: int | None
    cost_usd: float | None
    """The agent's; a judge's is the operator's."""
    duration_s: float
    error: str | None
    """Why there is no grade."""
    task_digest: str | None
    session_id: str | None
    medal: Medal | None = None
    """Of a competition. None where it won none, and of other tasks."""
    earned: Earned | None = None
    """Of a competition: what its report says; None where nothing was looked at."""

    @property
    def who(self) -> tuple[str, str]:
        """Whose scores belong together: agent and model."""
        return self.agent, self.model or ""

    @property
    def tokens(self) -> int | None:
        """Of prompts and replies."""
        if self.prompt_tokens is None or self.reply_tokens is None:
            return None
        return self.prompt_tokens + self.reply_tokens


def rows_of(results: Iterable[RunResult]) -> list[Row]:
    """The rows of results, in the order of agent, model, task and epoch.

    Raises:
        ValueError: A result holds numbers that no session can have.
    """
    return in_order(row_of(result) for result in results)


def row_of(result: RunResult) -> Row:
    """The row of one result.

    Raises:
        ValueError: It holds numbers that no session can have.
    """
    grade, states = result.evaluation, _states(result)
    if not (isfinite(result.duration_s) and result.duration_s >= 0):
        raise ValueError(f"duration_s: {result.duration_s} is no duration")
    percentage = grade.percentage if grade else None
    if percentage is not None and not 0 <= percentage <= 100:  # noqa: PLR2004 - per cent
        raise ValueError(f"evaluation.percentage: {percentage} is not within 0 and 100")
    outcome = outcome_of(result)
    return Row(
        agent=result.agent,
        model=result.model,
        task=result.task_id,
        kind=result.kind,
        category=result.category,
        epoch=result.epoch,
        outcome=outcome,
        score=percentage / 100 if percentage is not None and outcome == "scored" else None,
        points_graded=grade.points_graded if grade else None,
        criteria=len(states),
        criteria_ungraded=states.count("ungraded"),
        criteria_invalid=states.count("invalid"),
        prompt_tokens=_count(result.metadata.get("prompt_tokens")),
        reply_tokens=_count(result.metadata.get("reply_tokens")),
        cost_usd=_amount(result.metadata.get("cost_usd")),
        duration_s=result.duration_s,
        error=result.error,
        task_digest=grade.task_digest if grade else None,
        session_id=result.session_id,
        medal=_medal(result),
        earned=grade.competition if grade else None,
    )


def outcome_of(result: RunResult) -> Outcome:
    """What a session came to."""
    states = _states(result)
    if "invalid" in states and "scored" not in states:
        return "invalid"
    graded = result.evaluation is not None and result.evaluation.percentage is not None
    return "scored" if graded else "ungraded"


def _states(result: RunResult) -> list[str]:
    """Those of its criteria."""
    return [each.state for each in result.evaluation.results] if result.evaluation else []


def _medal(result: RunResult) -> Medal | None:
    """The best medal among the criteria that a competition's grade has in full."""
    if result.kind != "competition" or result.evaluation is None:
        return None
    won = {each.id for each in result.evaluation.results if each.passed}
    return next((medal for medal in MEDALS if medal in won), None)


def in_order(rows: Iterable[Row]) -> list[Row]:
    """Rows in the order of agent, model, task and epoch."""
    return sorted(rows, key=lambda r: (*r.who, r.task, r.epoch, r.session_id or ""))


def _count(value: object) -> int | None:
    """A number of tokens; anything else is not known."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if value >= 0 else None


def _amount(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if isfinite(value) and value >= 0 else None
