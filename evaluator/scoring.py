"""The arithmetic of a grade: scores to points."""

from collections.abc import Mapping, Sequence

from proctor.schemas.grade import CriterionResult, Score
from proctor.schemas.rubric import Criterion, PenaltyWhen, Points


def snap(credit: float, criterion: Criterion) -> float:
    """The greatest of the criterion's outcomes that `credit` reaches; `credit` if it has none.

    Outcomes on a scale beyond 1 are read as shares of the greatest.
    """
    if not criterion.outcomes:
        return credit
    scale = max(1.0, *(outcome.score for outcome in criterion.outcomes))
    reached = [o.score / scale for o in criterion.outcomes if o.score / scale <= credit + 1e-9]
    return max((share for share in reached if share >= 0), default=0.0)


def earned_points(points: Points, score: Score, penalty_when: PenaltyWhen) -> Points:
    """What a criterion adds to the score; negative for a penalty that applies.

    An ungraded criterion adds nothing. A penalty needs a measurement: an invalid hand-in is not
    fined for what could not be seen, except where the penalty is for not meeting the criterion.
    """
    if score.state == "ungraded":
        return 0
    credit = score.credit
    if points < 0 and penalty_when == "unmet":
        credit = 1.0 - credit
    return _tidy(points * credit)


def result_of(criterion: Criterion, score: Score, penalty_when: PenaltyWhen) -> CriterionResult:
    """A criterion with its score, as reported."""
    return CriterionResult(
        id=criterion.id,
        name=criterion.category,
        criterion=criterion.text,
        points=criterion.points,
        earned=earned_points(criterion.points, score, penalty_when),
        passed=None if score.state == "ungraded" else score.credit >= 1.0,
        reasoning=score.evidence,
        state=score.state,
        credit=score.credit,
        value=score.value,
        broken=score.broken,
    )


def totals(results: Sequence[CriterionResult]) -> tuple[Points, Points, Points, float | None]:
    """Points earned, possible and graded, and the percentage of what was graded."""
    earned = _tidy(sum(r.earned for r in results))
    possible = _tidy(sum(r.points for r in results if r.points > 0))
    graded = _tidy(sum(r.points for r in results if r.points > 0 and r.state != "ungraded"))
    percentage = round(max(0.0, 100.0 * earned / graded), 2) if graded else None
    return earned, possible, graded, percentage


def unmet_requirement(criterion: Criterion, scores: Mapping[str, Score]) -> Score | None:
    """The score of a criterion whose requirements are not all met; None where they are.

    One that failed decides, whatever is not known of the others.
    """
    unknown = [id_ for id_ in criterion.requires if scores[id_].state == "ungraded"]
    for required in criterion.requires:
        if required not in unknown and scores[required].credit < 1.0:
            return Score(state="scored", evidence=f"requires full credit for {required!r}")
    if unknown:
        return Score(state="ungraded", evidence=f"requires {unknown[0]!r}, which is ungraded")
    return None


def _tidy(points: Points) -> Points:
    """Rounded to a ten-thousandth, and an integer where it is one."""
    rounded = round(points, 4)
    return int(rounded) if rounded == int(rounded) else rounded
