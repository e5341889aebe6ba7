"""What the columns of answers and aligned submissions hold, as arrays that metrics take."""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
import polars.selectors as cs
from polars.exceptions import PolarsError

from proctor.evaluator.documents import listed
from proctor.evaluator.metrics import METRICS
from proctor.evaluator.metrics.base import Array
from proctor.evaluator.submissions import are_numbers, numbers
from proctor.schemas.competition import Competition
from proctor.schemas.errors import SubmissionError, TaskError

NUMERIC = frozenset(("height", "width", "masked", "kept", "identities"))
"""Further columns that metrics take as numbers; others are text."""
TRUTHS = {"true": "1", "false": "0", "True": "1", "False": "0"}


def true_values(competition: Competition, truth: pl.DataFrame) -> Array:
    """What is true: of shape (n,), or (n, n_columns) where there are several.

    Raises:
        TaskError: The answers hold something else than the metric reads.
    """
    form, metric = competition.form, METRICS[competition.metric.name]
    columns = list(form.true_columns)
    if form.one_hot:
        of_class = [(truth[columns[0]] == each).to_numpy() for each in form.targets]
        return np.stack(of_class, axis=1).astype(np.float64)
    if metric.reads == "labels":
        return _labels(truth[columns[0]], truth[columns[0]])
    if metric.reads == "text":
        return truth[columns[0]].to_numpy()
    found = _answer_numbers(competition, truth, columns)
    return found if len(columns) > 1 else found[:, 0]


def further_values(competition: Competition, truth: pl.DataFrame) -> dict[str, Array]:
    """The further columns that the metric needs, by its names for them.

    Raises:
        TaskError: Numbers are none.
    """
    found: dict[str, Array] = {}
    for key, columns in competition.metric.columns.items():
        if isinstance(columns, str):
            numeric = key in NUMERIC
            cells = truth[columns]
            found[key] = (
                _answer_numbers(competition, truth, [columns])[:, 0]
                if numeric
                else cells.to_numpy()
            )
        else:
            found[key] = _answer_numbers(competition, truth, columns)
    return found


def predicted_values(
    competition: Competition, truth: pl.DataFrame, table: pl.DataFrame, name: str
) -> Array:
    """What is predicted, in the shape of the truth.

    Raises:
        SubmissionError: A cell is of another kind, or beyond its range.
    """
    form, metric = competition.form, METRICS[competition.metric.name]
    if metric.reads == "text":
        return table[form.targets[0]].to_numpy()
    if metric.reads == "labels":
        return _predicted_labels(competition, truth, table, name)
    found = numbers(table, form.targets, form.ids, name)
    check_numbers(competition, found, name)
    return found if len(form.targets) > 1 else found[:, 0]


def check_numbers(competition: Competition, found: Array, name: str) -> None:
    """Check the rules for numbers, of shape (n, n_columns).

    Raises:
        SubmissionError: Rows break one.
    """
    for says, wrong in _rules(competition, found).items():
        if wrong.any():
            first = int(np.argmax(wrong)) + 1
            raise SubmissionError(
                f"{name}: {int(wrong.sum())} rows have {says}; the first is row {first}, "
                "in the order of the ids"
            )


def score_values(
    competition: Competition,
    arrays: tuple[Array, Array, Mapping[str, Array]],
    settings: Mapping[str, object],
    name: str,
) -> float:
    """The metric of truth, predictions and further columns.

    Raises:
        SubmissionError: The predictions cannot be scored.
    """
    truth, predicted, further = arrays
    metric = METRICS[competition.metric.name]
    try:
        with np.errstate(all="ignore"):
            return metric.score(truth, predicted, **further, **settings)
    except ValueError as error:
        raise SubmissionError(f"{name}: {metric.name}: {error}") from error


def _rules(competition: Competition, found: Array) -> dict[str, Array]:
    form, metric = competition.form, METRICS[competition.metric.name]
    likely = metric.reads == "probabilities"
    low = 0.0 if form.low is None and (likely or metric.reads == "amounts") else form.low
    high = 1.0 if form.high is None and likely else form.high
    rules: dict[str, Array] = {}
    if low is not None:
        rules[f"values below {low:g}"] = np.asarray((found < low).any(axis=1))
    if high is not None:
        rules[f"values above {high:g}"] = np.asarray((found > high).any(axis=1))
    if form.row_sum is not None:
        apart: Array = np.abs(found.sum(axis=1) - form.row_sum)
        rules[f"values that do not add up to {form.row_sum:g}"] = apart > form.sum_within
    if metric.reads == "grades":
        rules["values that are no whole numbers"] = (found != np.round(found)).any(axis=1)
    return rules


def _predicted_labels(
    competition: Competition, truth: pl.DataFrame, table: pl.DataFrame, name: str
) -> Array:
    form = competition.form
    target = form.targets[0]
    if form.first_token:
        table = table.with_columns(pl.col(target).str.strip_chars().str.split(" ").list.first())
    real = truth[form.true_columns[0]]
    if table[target].dtype == real.dtype == pl.Int64:
        return table[target].to_numpy()
    if are_numbers(real):
        return numbers(table, [target], form.ids, name)[:, 0]
    blank = table.filter(pl.col(target) == "")
    if blank.height and not (real == "").any():
        ids = listed("/".join(map(str, row)) for row in blank.select(form.ids).rows())
        raise SubmissionError(f"{name}: {blank.height} rows have no {target}: {ids}")
    return _labels(table[target], real)


def _labels(cells: pl.Series, real: pl.Series) -> Array:
    """Labels, as numbers or booleans where all that are true are such, and else as they stand."""
    if cells.dtype.is_numeric():
        return cells.to_numpy()
    if are_numbers(real):
        return cells.str.strip_chars().cast(pl.Float64).to_numpy()
    if real.is_in(list(TRUTHS)).all():
        cells = cells.str.to_lowercase()
    return cells.to_numpy()


def _answer_numbers(competition: Competition, truth: pl.DataFrame, columns: Sequence[str]) -> Array:
    """Numbers of the answers; an empty cell is NaN, and booleans are 1 and 0."""
    cells = truth.select(columns).with_columns(cs.string().replace(TRUTHS).replace("", None))
    try:
        found = cells.cast(pl.Float64)
    except PolarsError as error:
        raise TaskError(f"answers of {competition.id} are no numbers: {columns}") from error
    return found.fill_null(float("nan")).to_numpy()
