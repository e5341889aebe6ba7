"""Predictions against labels: from two tables to a score and its credit.

It imports what is slow to import, and reads what an agent wrote: it belongs into a worker.
"""

from pathlib import Path

import numpy as np

from proctor.evaluator.graders.metric import Options, Scored
from proctor.evaluator.metrics import METRICS
from proctor.evaluator.metrics.base import Array, Metric
from proctor.evaluator.tables import ANY_NUMBER, by_id, matched, numbers, read_table
from proctor.schemas.errors import SubmissionError, TaskError


def check_labels(options: Options, labels: bytes, name: str) -> None:
    """Check that labels can be scored, and that thresholds go from worse to better.

    Raises:
        TaskError: They cannot, or do not.
    """
    metric = METRICS.get(options.metric)
    if metric is None:
        known = ", ".join(METRICS)
        raise TaskError(f"there is no metric {options.metric!r}; use one of {known}")
    for worse, better in zip(options.thresholds, options.thresholds[1:], strict=False):
        if not metric.reaches(better.score, worse.score) or better.credit < worse.credit:
            raise TaskError("thresholds must go from worse to better, in score and in credit")
    try:
        right, values = _pair(metric, options, labels, labels, name)
        _measured(metric, right, values, name)
    except SubmissionError as error:
        raise TaskError(f"grading/{error}") from error


def score(
    options: Options, labels: bytes, file: Path, name: str, *, only_form: bool = False
) -> Scored:
    """Score a file of predictions.

    Raises:
        SubmissionError: It has not the form asked for.
    """
    metric = METRICS[options.metric]
    right, values = _pair(metric, options, labels, file, name)
    if only_form:
        return Scored(0.0, 0.0, "not scored")
    found = _measured(metric, right, values, name)
    return Scored(found, *credit_of(found, options))


def credit_of(score: float, options: Options) -> tuple[float, str]:
    """What a score is worth, and which threshold it reaches, in words."""
    better = METRICS[options.metric].reaches
    reached = [t for t in options.thresholds if better(score, t.score)]
    if not reached:
        return 0.0, f"does not reach {options.thresholds[0].score:g}"
    last, said = reached[-1], f"reaches {reached[-1].score:g}"
    if len(reached) == len(options.thresholds) or options.between == "step":
        return last.credit, said
    following = options.thresholds[len(reached)]
    share = (score - last.score) / (following.score - last.score)
    return last.credit + share * (following.credit - last.credit), said


def _pair(
    metric: Metric, options: Options, labels: bytes, source: Path | bytes, name: str
) -> tuple[Array, Array]:
    """The truth and the predictions, row by row."""
    columns = (options.id, options.column)
    wanted = by_id(
        read_table(labels, options.truth, columns, ANY_NUMBER), options.id, options.truth
    )
    found = by_id(read_table(source, name, columns, len(wanted)), options.id, name)
    cells = matched(found, wanted.index, name)[options.column]
    right = wanted[options.column]
    if metric.reads == "labels":
        return right.to_numpy(str), cells.to_numpy(str)
    if metric.reads == "numbers":
        return numbers(right, options.truth), numbers(cells, name)
    positive = (right == options.positive).to_numpy(float)
    return positive, positive if source is labels else numbers(cells, name)


def _measured(metric: Metric, truth: Array, values: Array, name: str) -> float:
    try:
        with np.errstate(all="ignore"):
            found = metric.score(truth, values)
    except ValueError as error:
        raise SubmissionError(f"{name}: {metric.name}: {error}") from error
    if not np.isfinite(found):
        raise SubmissionError(f"{name}: {metric.name} is {found}, no finite number")
    return found
