"""Predictions against labels: from two tables to a score and its credit.

It imports what is slow to import, and reads what an agent wrote: it belongs into a worker.
"""

from collections.abc import Sequence
from math import floor
from pathlib import Path

import numpy as np
import pandas as pd

from proctor.evaluator.documents import listed
from proctor.evaluator.graders.metric import Options, Scored
from proctor.evaluator.metrics import METRICS
from proctor.evaluator.metrics.base import Array, Metric
from proctor.evaluator.tables import ANY_NUMBER, by_id, matched, numbers, read_table
from proctor.schemas.errors import SubmissionError, TaskError

LEVELS = 100
SUM_WITHIN = 1e-6


def check_labels(options: Options, labels: bytes, name: str) -> None:
    """Check that labels can be scored, and that thresholds go from worse to better.

    Raises:
        TaskError: They cannot, or do not.
    """
    metric = METRICS.get(options.metric)
    if metric is None or not metric.plain:
        known = ", ".join(name for name, each in METRICS.items() if each.plain)
        raise TaskError(f"there is no metric {options.metric!r}; use one of {known}")
    distinct = 1 < len(options.classes) == len(set(options.classes))
    if options.classes and (metric.reads != "probabilities" or not distinct):
        raise TaskError("classes are for log_loss: name two or more, each once")
    for worse, better in zip(options.thresholds, options.thresholds[1:], strict=False):
        if not metric.reaches(better.score, worse.score) or better.credit < worse.credit:
            raise TaskError("thresholds must go from worse to better, in score and in credit")
    try:
        right = _truth(metric, options, labels, name)[1]
        _measured(metric, right, right, name)
    except SubmissionError as error:
        raise TaskError(f"grading/{error}") from error


def check_apart(options: Options, parts: Sequence[bytes]) -> None:
    """Check that no row of the validation part is one of the test's.

    Raises:
        TaskError: One is.
    """
    metric = METRICS[options.metric]
    test, validation = (_truth(metric, options, labels, options.truth)[0] for labels in parts)
    if len(both := test.intersection(validation)):
        raise TaskError(f"rows of the validation part are in the test part: {listed(both)}")


def score(
    options: Options, labels: bytes, file: Path, name: str, *, only_form: bool = False
) -> Scored:
    """Score a file of predictions.

    Raises:
        SubmissionError: It has not the form asked for.
    """
    metric = METRICS[options.metric]
    wanted, right = _truth(metric, options, labels, options.truth)
    values = _predicted(metric, options, file, name, wanted)
    if only_form:
        return Scored(0.0, 0.0, "not scored")
    found = _measured(metric, right, values, name)
    return Scored(found, *credit_of(found, options))


def credit_of(score: float, options: Options) -> tuple[float, str]:
    """What a score is worth, and which threshold it reaches, in words.

    Between thresholds it is worth whole hundredths: from an exact credit, labels can be computed.
    """
    better = METRICS[options.metric].reaches
    reached = [t for t in options.thresholds if better(score, t.score)]
    if not reached:
        return 0.0, f"does not reach {options.thresholds[0].score:g}"
    last, said = reached[-1], f"reaches {reached[-1].score:g}"
    if len(reached) == len(options.thresholds) or options.between == "step":
        return last.credit, said
    following = options.thresholds[len(reached)]
    share = (score - last.score) / (following.score - last.score)
    earned = last.credit + share * (following.credit - last.credit)
    return max(last.credit, floor(earned * LEVELS + 1e-9) / LEVELS), said


def _truth(
    metric: Metric, options: Options, labels: bytes, name: str
) -> tuple["pd.Index[str]", Array]:
    """The ids and what is true of each."""
    table = by_id(
        read_table(labels, name, (options.id, options.column), ANY_NUMBER), options.id, name
    )
    cells = table[options.column]
    if options.classes:
        if not cells.isin(options.classes).all():
            raise SubmissionError(f"{name}: {options.column} has labels that are not in classes")
        return table.index, np.stack([cells == each for each in options.classes], axis=1).astype(
            float
        )
    if metric.reads in ("scores", "probabilities"):
        return table.index, (cells == options.positive).to_numpy(float)
    return table.index, _values(metric, cells, name)


def _predicted(
    metric: Metric, options: Options, file: Path, name: str, wanted: "pd.Index[str]"
) -> Array:
    """The predictions, in the order of the ids that are wanted."""
    columns = options.classes or (options.column,)
    found = by_id(read_table(file, name, (options.id, *columns), len(wanted)), options.id, name)
    table = matched(found, wanted, name)
    if not options.classes:
        return _values(metric, table[options.column], name)
    values = np.stack([_values(metric, table[each], name) for each in columns], axis=1)
    if (np.abs(values.sum(axis=1) - 1) > SUM_WITHIN).any():
        raise SubmissionError(f"{name}: the probabilities of a row do not add up to 1")
    return values


def _values(metric: Metric, cells: "pd.Series[str]", name: str) -> Array:
    if metric.reads == "labels":
        return cells.to_numpy(str)
    found = numbers(cells, name)
    if metric.reads == "probabilities" and not ((found >= 0) & (found <= 1)).all():
        raise SubmissionError(f"{name}: {cells.name} has values that are not from 0 to 1")
    if metric.reads == "amounts" and (found < 0).any():
        raise SubmissionError(f"{name}: {cells.name} has values below 0")
    if metric.reads == "grades" and (found != np.round(found)).any():
        raise SubmissionError(f"{name}: {cells.name} has values that are no whole numbers")
    return found


def _measured(metric: Metric, truth: Array, values: Array, name: str) -> float:
    try:
        with np.errstate(all="ignore"):
            found = metric.score(truth, values)
    except ValueError as error:
        raise SubmissionError(f"{name}: {metric.name}: {error}") from error
    if not np.isfinite(found):
        raise SubmissionError(f"{name}: {metric.name} is {found}, no finite number")
    return found
