"""``metric``: predictions on held-out rows, scored against their labels."""

from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import Field

from proctor.evaluator.work import Work
from proctor.evaluator.worker import in_worker
from proctor.schemas.base import Value
from proctor.schemas.errors import TaskError
from proctor.schemas.grade import Score
from proctor.schemas.task import Task

MAX_BYTES = 1 << 30


class Threshold(Value):
    """The credit from a score on."""

    score: float = Field(allow_inf_nan=False)
    credit: float = Field(ge=0, le=1)


class Options(Value):
    """Which predictions, which labels, and what a score is worth."""

    path: str = "submission.csv"
    """The agent's table, of the columns `id` and `column`: CSV, JSON or npz."""
    truth: str = "labels.csv"
    """Below ``grading/``: a table of the same columns."""
    id: str = "id"
    column: str = "target"
    metric: str
    positive: str = "1"
    """The label of the positive class, where the metric reads scores."""
    classes: tuple[str, ...] = ()
    """For log_loss of several classes: the labels, each of which is a column of the agent's."""
    thresholds: tuple[Threshold, ...] = Field(min_length=1)
    between: Literal["step", "linear"] = "step"
    """Between two thresholds: the credit of the one that was reached, or in proportion."""
    validation: str | None = None
    """Below ``grading/``: labels of other rows, none of which is the test's, for scores that may be
    told before the end."""
    validation_path: str = "validation.csv"
    """The agent's predictions on those."""


class Scored(NamedTuple):
    """A score, what it is worth, and which threshold it reaches, in words."""

    score: float
    credit: float
    said: str


def check(task: Task, options: Options) -> None:
    """Check that the labels are there and can be scored.

    Raises:
        TaskError: They are not, or cannot be.
    """
    from proctor.evaluator.predictions import check_apart, check_labels  # noqa: PLC0415 - slow to import

    names = (options.truth, *([options.validation] if options.validation else []))
    for name in names:
        if name not in task.grading:
            raise TaskError(f"there is no grading/{name}")
        check_labels(options, task.grading[name], name)
    if options.validation:
        check_apart(options, [task.grading[name] for name in names])


async def measure(work: Work, options: Options) -> Score:
    """The credit of the score on the labels.

    The evidence says which threshold was reached: from exact scores, labels can be computed.
    """
    scored = await _scored(work, options, options.path, options.truth)
    evidence = f"{options.metric} {scored.said}"
    return Score(state="scored", credit=scored.credit, evidence=evidence, value=scored.score)


async def validate(work: Work, options: Options) -> None:
    """Check the form of the predictions: their columns, their ids, and what the values are.

    Raises:
        SubmissionError: It is not the one asked for.
    """
    await _scored(work, options, options.path, options.truth, only_form=True)


async def validation(work: Work, options: Options) -> Score:
    """The score on the validation part; ungraded where there is none."""
    if options.validation is None:
        return Score(state="ungraded", evidence="there is no validation part")
    scored = await _scored(work, options, options.validation_path, options.validation)
    evidence = f"{options.metric} {scored.score:.4g}"
    return Score(state="scored", credit=scored.credit, evidence=evidence)


async def _scored(
    work: Work, options: Options, path: str, truth: str, *, only_form: bool = False
) -> Scored:
    async with work.file(path, max_bytes=MAX_BYTES) as file:
        return await in_worker(
            _score_file, options, work.task.grading[truth], file, path, only_form
        )


def _score_file(
    options: Options,
    truth: bytes,
    file: Path,
    name: str,
    only_form: bool,  # noqa: FBT001 - to be pickled
) -> Scored:
    from proctor.evaluator.predictions import score  # noqa: PLC0415 - slow to import

    return score(options, truth, file, name, only_form=only_form)
