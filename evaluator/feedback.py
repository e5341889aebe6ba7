"""What may be told of work that is not handed in yet, so that no label can be learnt from it.

The form is judged by what the instructions say. A score comes from a validation part of the data.
Points come from criteria that run the agent's code or read its report; those that compare with
labels are left out, because scores on labels give the labels away.
"""

from collections.abc import Iterator

from proctor.evaluator.grade import measure
from proctor.evaluator.graders import grader_of, options_of
from proctor.evaluator.scoring import result_of, totals
from proctor.evaluator.work import Work
from proctor.schemas.errors import ProctorError, SubmissionError
from proctor.schemas.feedback import Before
from proctor.schemas.rubric import Criterion, Rubric


async def standing(work: Work, before: Before) -> list[str]:
    """How the work stands, as sentences for the agent.

    Args:
        work: The workspace as it is.
        before: How much may be told.
    """
    problems = await _problems(work)
    if problems:
        return ["The hand-in has not the form asked for:", *(f"- {each}" for each in problems)]
    said = ["The hand-in has the form asked for, as far as can be told without grading it."]
    if before in ("validation", "graded"):
        said += await _validated(work)
    if before == "graded":
        said += await _points(work)
    return said


async def _problems(work: Work) -> list[str]:
    problems: dict[str, None] = {}
    for criterion in work.task.rubric.criteria:
        validate = grader_of(criterion).validate
        if validate is not None:
            try:
                await validate(work, options_of(criterion))
            except SubmissionError as error:
                problems[str(error)] = None
    return list(problems)


async def _validated(work: Work) -> list[str]:
    said: list[str] = []
    for criterion in work.task.rubric.criteria:
        score_on_validation = grader_of(criterion).validation
        if score_on_validation is not None:
            try:
                score = await score_on_validation(work, options_of(criterion))
            except ProctorError as error:
                said.append(f"{criterion.category}: no validation score: {error}")
                continue
            if score.state == "scored":
                said.append(f"{criterion.category}, on the validation part: {score.evidence}")
    return said


async def _points(work: Work) -> list[str]:
    rubric = Rubric(criteria=tuple(_without_labels(work.task.rubric)))
    scores = await measure(work, rubric)
    results = [result_of(c, scores[c.id], work.task.rubric.penalty_when) for c in rubric.criteria]
    earned, _, graded, _ = totals(results)
    left = work.task.rubric.points_possible - graded
    held_back = f" {left:g} more are not told before the end." if left else ""
    return [f"{earned:g} of {graded:g} points, were it handed in now.{held_back}"]


def _without_labels(rubric: Rubric) -> Iterator[Criterion]:
    """The criteria that neither compare with labels nor require one that does."""
    left_out: set[str] = set()
    for criterion in rubric.criteria:
        grader = grader_of(criterion)
        if grader.reads_labels or criterion.grader == "judge" or left_out & {*criterion.requires}:
            left_out.add(criterion.id)
        else:
            yield criterion
