"""From a submission to a grade: every criterion measured, and the points added up."""

import logging

from proctor import __version__
from proctor.evaluator.graders import GRADERS, options_of
from proctor.evaluator.graders.judge import record_of
from proctor.evaluator.scoring import result_of, snap, totals, unmet_requirement
from proctor.evaluator.work import Work
from proctor.schemas.errors import GradingError, SandboxError, SubmissionError
from proctor.schemas.grade import CriterionResult, Grade, JudgeRecord, Score
from proctor.schemas.rubric import Criterion, Rubric
from proctor.schemas.task import Task

logger = logging.getLogger(__name__)


async def grade(work: Work) -> Grade:
    """Measure every criterion of the task, in the rubric's order.

    A grader that cannot measure leaves its criterion ungraded; only the agent's work decides
    between credit and none.
    """
    scores = await measure(work, work.task.rubric)
    return _add_up(work.task, scores, work.snapshot_sha256, record_of(work))


async def measure(work: Work, rubric: Rubric) -> dict[str, Score]:
    """Measure the criteria of `rubric`, which may be a part of the task's."""
    scores: dict[str, Score] = {}
    for criterion in rubric.criteria:
        scores[criterion.id] = unmet_requirement(criterion, scores) or await _measure(
            work, criterion
        )
    return scores


def invalid_grade(task: Task, reason: str) -> Grade:
    """The grade of a hand-in that cannot be graded at all, because of what the agent did."""
    scores = {c.id: Score(state="invalid", evidence=reason) for c in task.rubric.criteria}
    return _add_up(task, scores, None)


async def _measure(work: Work, criterion: Criterion) -> Score:
    grader = GRADERS[criterion.grader]
    try:
        given = criterion if grader.takes == "criterion" else options_of(criterion)
        score = await grader.measure(work, given)
    except SubmissionError as error:
        return Score(state="invalid", evidence=str(error))
    except (GradingError, SandboxError) as error:
        logger.warning("criterion %s of %s is ungraded: %s", criterion.id, work.task.id, error)
        return _broken(str(error))
    except Exception as error:  # a grader's bug must cost neither credit nor the other criteria
        logger.exception("criterion %s of %s is ungraded", criterion.id, work.task.id)
        return _broken(type(error).__name__)
    return score.model_copy(update={"credit": snap(score.credit, criterion)})


def _broken(reason: str) -> Score:
    return Score(state="ungraded", evidence=f"the instrument failed: {reason}", broken=True)


def _add_up(
    task: Task,
    scores: dict[str, Score],
    snapshot_sha256: str | None,
    judge: JudgeRecord | None = None,
) -> Grade:
    results: tuple[CriterionResult, ...] = tuple(
        result_of(criterion, scores[criterion.id], task.rubric.penalty_when)
        for criterion in task.rubric.criteria
    )
    earned, possible, graded, percentage = totals(results)
    return Grade(
        score=earned,
        total_possible=possible,
        points_graded=graded,
        percentage=percentage,
        results=results,
        task_digest=task.digest(),
        snapshot_sha256=snapshot_sha256,
        grader_version=__version__,
        judge=judge,
    )
