"""What a competition's score earns: medals, rank and percentile, as a report says them."""

from collections.abc import Sequence
from datetime import datetime
from math import isnan
from pathlib import Path
from typing import NamedTuple

from proctor.evaluator.medals import award, standing, thresholds_of, told_direction
from proctor.schemas.competition import Compat, Competition, CompetitionReport, Earned


class Measured(NamedTuple):
    """A score, rounded, or why there is none."""

    score: float | None
    reason: str | None = None
    exists: bool = True


def earned(
    competition: Competition,
    measured: Measured,
    *,
    compat: Compat = "strict",
    leaderboard: Sequence[float] = (),
) -> Earned:
    """What a measured submission earns.

    Args:
        competition: The competition.
        measured: What was found.
        compat: By which rule it was measured.
        leaderboard: All its scores, best first; none where they are not known.
    """
    lower = competition.lower_is_better
    medals, score = competition.medals, measured.score
    if compat == "upstream" and leaderboard and thresholds_of(leaderboard) == medals:
        lower = told_direction(leaderboard)  # another leaderboard says nothing of these medals
    won = award(score, medals, lower_is_better=lower)
    stands = None
    if score is not None and not isnan(score) and leaderboard:
        stands = standing(score, leaderboard, lower_is_better=lower)
    return Earned(
        competition_id=competition.id,
        score=score,
        gold_threshold=medals.gold,
        silver_threshold=medals.silver,
        bronze_threshold=medals.bronze,
        median_threshold=medals.median,
        any_medal=won.any,
        gold_medal=won.gold,
        silver_medal=won.silver,
        bronze_medal=won.bronze,
        above_median=won.above_median,
        submission_exists=measured.exists,
        valid_submission=score is not None,
        is_lower_better=lower,
        compat=compat,
        reason=measured.reason,
        rank=stands.rank if stands else None,
        percentile=stands.percentile if stands else None,
    )


def report(
    competition: Competition,
    submission: Path | None,
    measured: Measured,
    created_at: datetime,
    *,
    compat: Compat = "strict",
    leaderboard: Sequence[float] = (),
) -> CompetitionReport:
    """The report on a measured submission: `earned`, of a file and a time."""
    found = earned(competition, measured, compat=compat, leaderboard=leaderboard)
    found = found.model_copy(update={"reason": _encodable(found.reason)})
    path = None if submission is None else _encodable(str(submission))
    return CompetitionReport(**dict(found), created_at=created_at, submission_path=path)


def _encodable(text: str | None) -> str | None:
    """Text as UTF-8 takes it: a file's name may hold what it does not, and a list name it."""
    return text and text.encode("utf-8", "replace").decode()
