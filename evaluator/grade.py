"""From a submission to a grade: every criterion measured, and the points added up."""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import replace

import anyio

from proctor import __version__
from proctor.evaluator.graders import grader_of, options_of
from proctor.evaluator.graders.competition import earned_of
from proctor.evaluator.graders.judge import record_of
from proctor.evaluator.provenance import Recorded, digests_of_graders
from proctor.evaluator.scoring import result_of, snap, totals, unmet_requirement
from proctor.evaluator.verdicts import shared_verdict_sandbox
from proctor.evaluator.work import Work
from proctor.sandbox_backends.concurrency import task_group
from proctor.schemas.competition import Earned
from proctor.schemas.errors import GradingError, SandboxError, SubmissionError
from proctor.schemas.grade import CriterionResult, Grade, JudgeRecord, Machine, Score
from proctor.schemas.rubric import Criterion, Rubric
from proctor.schemas.task import Task

CRITERIA_AT_ONCE = 4

logger = logging.getLogger(__name__)


async def grade(work: Work) -> Grade:
    """Measure every criterion of the task, in the rubric's order.

    A grader that cannot measure leaves its criterion ungraded; only the agent's work decides
    between credit and none.
    """
    backend = Recorded(work.backend)
    recorded = replace(work, backend=backend)
    scores = await measure(recorded, work.task.rubric)
    return _add_up(
        work.task,
        scores,
        snapshot_sha256=work.snapshot_sha256,
        answer=work.answer,
        seed=work.seed,
        graders=digests_of_graders(work.task.rubric),
        machines=backend.machines,
        judge=record_of(recorded),
        competition=earned_of(recorded),
    )


async def measure(work: Work, rubric: Rubric) -> dict[str, Score]:
    """Measure the criteria of `rubric`, which may be a part of the task's.

    They are measured side by side, each as soon as those that it requires are.
    """
    async with shared_verdict_sandbox(work.backend, work.task) as verdicts:
        return await _measure_all(replace(work, verdicts=verdicts), rubric)


async def _measure_all(work: Work, rubric: Rubric) -> dict[str, Score]:
    scores: dict[str, Score] = {}
    measured = {criterion.id: anyio.Event() for criterion in rubric.criteria}
    limit = anyio.CapacityLimiter(CRITERIA_AT_ONCE)

    async def see_to(criterion: Criterion) -> None:
        for required in criterion.requires:
            await measured[required].wait()
        score = unmet_requirement(criterion, scores)
        if score is None:
            async with limit:
                score = await _measure(work, criterion)
        scores[criterion.id] = score
        measured[criterion.id].set()

    async with task_group() as tasks:
        for criterion in rubric.criteria:
            tasks.start_soon(see_to, criterion)
    return scores


def invalid_grade(task: Task, answer: str, reason: str) -> Grade:
    """The grade of a hand-in that cannot be graded at all, because of what the agent did."""
    scores = {c.id: Score(state="invalid", evidence=reason) for c in task.rubric.criteria}
    return _add_up(task, scores, answer=answer)


def digest_of_answer(answer: str) -> str:
    """The SHA-256 of a final answer."""
    return hashlib.sha256(answer.encode("utf-8", "replace")).hexdigest()


async def _measure(work: Work, criterion: Criterion) -> Score:
    try:
        grader = grader_of(criterion)
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
    scores: Mapping[str, Score],
    *,
    answer: str,
    snapshot_sha256: str | None = None,
    seed: int | None = None,
    graders: Mapping[str, str] | None = None,
    machines: tuple[Machine, ...] = (),
    judge: JudgeRecord | None = None,
    competition: Earned | None = None,
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
        answer_sha256=digest_of_answer(answer),
        seed=seed,
        graders=graders or {},
        machines=machines,
        grader_version=__version__,
        judge=judge,
        competition=competition,
    )
