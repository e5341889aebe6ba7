"""A competition's score and report: from two files to medals, strictly or as MLE-bench does it.

It imports what is slow to import, and reads what an agent wrote: it belongs into a worker.
"""

from collections.abc import Sequence
from datetime import datetime
from math import isnan
from pathlib import Path
from typing import NamedTuple

from proctor.evaluator.answers import ANY_NUMBER, read_answers, submitted_types, target_types
from proctor.evaluator.medals import award, rounded, standing, told_direction
from proctor.evaluator.submissions import aligned, read_csv
from proctor.evaluator.upstream import upstream_score
from proctor.evaluator.values import (
    further_values,
    predicted_values,
    score_values,
    true_values,
)
from proctor.schemas.competition import Compat, Competition, CompetitionReport
from proctor.schemas.errors import SubmissionError

EXTRA_ROWS = 20
"""How many times the answers' rows a table may have, where further ids are passed over."""


class Measured(NamedTuple):
    """A score, rounded, or why there is none."""

    score: float | None
    reason: str | None = None
    exists: bool = True


def measure(
    competition: Competition, submission: Path, answers: Path, compat: Compat = "strict"
) -> Measured:
    """Score a submission; what is wrong with it is the result's reason.

    Raises:
        TaskError: The answers cannot be read, or cannot be scored against.
    """
    if not submission.is_file() or submission.suffix.lower() != ".csv":
        return Measured(None, f"there is no CSV file {submission.name}", exists=False)
    score = upstream_score if compat == "upstream" else strict_score
    try:
        return Measured(rounded(score(competition, submission, answers)))
    except SubmissionError as error:
        return Measured(None, str(error))


def strict_score(competition: Competition, submission: Path, answers: Path) -> float:
    """The score of a submission whose rows are aligned by id.

    Raises:
        SubmissionError: It has not the form asked for, or no number comes of it.
        TaskError: The answers have not.
    """
    form, name = competition.form, submission.name
    truth = read_answers(competition, answers)
    most = truth.height * (EXTRA_ROWS if form.unknown == "ignored" else 2) + 1
    wanted = (*form.ids, *form.targets)
    table = read_csv(submission, name, wanted, most, *submitted_types(competition, truth))
    table = aligned(table, truth, form, name)
    arrays = (
        true_values(competition, truth),
        predicted_values(competition, truth, table, name),
        further_values(competition, truth),
    )
    found = score_values(competition, arrays, competition.metric.settings, name)
    if isnan(found):
        raise SubmissionError(
            f"{name}: {competition.metric.name} is undefined for such predictions"
        )
    return found


def check_form(competition: Competition, submission: Path, sample: bytes) -> None:
    """Check columns, ids and types against a submission that is known to have them.

    The answers are no part of it, so that nothing of them can be told.

    Raises:
        SubmissionError: It has not the form asked for.
    """
    form = competition.form.model_copy(update={"truth": (), "gathered": (), "one_hot": False})
    asked, name = competition.model_copy(update={"form": form}), submission.name
    wanted, types = (*form.ids, *form.targets), target_types(asked)
    truth = read_csv(sample, "the sample", wanted, ANY_NUMBER, types)
    most = truth.height * (EXTRA_ROWS if form.unknown == "ignored" else 2) + 1
    table = aligned(read_csv(submission, name, wanted, most, types), truth, form, name)
    predicted_values(asked, truth, table, name)


def report(
    competition: Competition,
    submission: Path,
    measured: Measured,
    created_at: datetime,
    *,
    compat: Compat = "strict",
    leaderboard: Sequence[float] = (),
) -> CompetitionReport:
    """What a measured submission earns.

    Args:
        competition: The competition.
        submission: Where the file is.
        measured: What `measure` found.
        created_at: When.
        compat: By which rule it was measured.
        leaderboard: All its scores, best first; none where they are not known.
    """
    lower = competition.lower_is_better
    if compat == "upstream" and leaderboard:
        lower = told_direction(leaderboard)
    medals, score = competition.medals, measured.score
    won = award(score, medals, lower_is_better=lower)
    place = None
    if score is not None and not isnan(score) and leaderboard:
        place = standing(score, leaderboard, lower_is_better=lower)
    return CompetitionReport(
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
        created_at=created_at,
        submission_path=str(submission),
        compat=compat,
        reason=measured.reason,
        rank=place.rank if place else None,
        percentile=place.percentile if place else None,
    )
