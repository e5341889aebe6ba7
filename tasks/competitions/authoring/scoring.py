"""How a table's target is scored: a metric that suits it, and what is then handed in."""

from typing import NamedTuple

import polars as pl

from proctor.evaluator.documents import shown
from proctor.evaluator.metrics import METRICS
from proctor.schemas.competition import Form, ScoredBy
from proctor.schemas.errors import TaskError
from proctor.schemas.names import remedy
from proctor.tasks.competitions.authoring.request import Request

MEASURES = {
    "accuracy": "accuracy, the share of rows that are right",
    "balanced_accuracy": "balanced accuracy, the mean of the classes' recalls",
    "f1_macro": "macro F1, the mean of the classes' F1 scores",
    "matthews_corrcoef": "Matthews' correlation coefficient",
    "top1_error": "the share of rows that are wrong",
    "quadratic_kappa": "Cohen's kappa with quadratic weights",
    "roc_auc": "the area under the ROC curve",
    "average_precision": "the average precision",
    "log_loss": "the log loss",
    "rmse": "the root of the mean squared error",
    "rmsle": "the root of the mean squared difference of logarithms, of 1 plus each value",
    "mae": "the mean absolute error",
    "r2": "R², the share of the variance that is explained",
}
"""The metrics on offer, in words."""
YES = ("true", "yes", "y", "t", "positive", "pos")
FEW_GRADES = 10
"""Whole numbers of so many values at most are taken for classes."""
MANY_CLASSES = 100
LOPSIDED = 2
"""From so many times as many rows on, a class outweighs another."""
TWO = 2
ROW_SUM_WITHIN = 0.001


class Scoring(NamedTuple):
    """A metric, and what follows from it."""

    metric: ScoredBy
    form: Form
    asked: str
    positive: str
    """The label that is made 1; empty where the target stays as it is."""
    why: str
    """The choice, for whoever may want another."""


def scoring_of(cells: pl.Series, request: Request, ids: str) -> Scoring:
    """Choose a metric, or check the one that is asked for.

    Args:
        cells: The target, without missing ones.
        request: What is asked for.
        ids: The column of ids.

    Raises:
        TaskError: No metric suits, or not that one.
    """
    name, why = (request.metric, "as asked") if request.metric else _proposed(cells, request)
    if name not in MEASURES:
        do = remedy(name, MEASURES, f"there are: {', '.join(MEASURES)}")
        raise TaskError(f"--metric {name}: there is no such metric here; {do}")
    reads = METRICS[name].reads
    several = name == "log_loss" and cells.n_unique() > TWO
    _check_suits(cells, request.target, name, several=several)
    positive = ""
    if reads in ("scores", "probabilities") and not several:
        positive = _positive(cells, request)
        why += f"; {positive!r} counts as 1"
        if cells.dtype == pl.Int64 and set(cells.unique()) == {0, 1} and positive == "1":
            positive = ""
    elif request.positive:
        raise TaskError(f"--positive goes with a target of two values, and not with {name}")
    form = Form(ids=(ids,), targets=(request.target,), low=0 if reads == "amounts" else None)
    if several:
        form = Form(
            ids=(ids,),
            targets=tuple(sorted(cells.unique())),
            truth=(request.target,),
            one_hot=True,
            row_sum=1,
            sum_within=ROW_SUM_WITHIN,
        )
    asked = _asked(request.target, "each" if several else reads, positive or "1")
    return Scoring(ScoredBy(name=name), form, asked, positive, why)


def measured_by(metric: str) -> str:
    """What a metric is, and which way is better."""
    return (
        f"{MEASURES[metric]}; {'higher' if METRICS[metric].higher_is_better else 'lower'} is better"
    )


def _proposed(cells: pl.Series, request: Request) -> tuple[str, str]:
    """A metric and why; classes are texts, or whole numbers of few values."""
    target, count = request.target, cells.n_unique()
    if count == TWO:
        return "roc_auc", f"{target} has two values"
    if cells.dtype == pl.String or (cells.dtype == pl.Int64 and count <= FEW_GRADES):
        rows = cells.value_counts()["count"].sort()
        if rows[-1] < LOPSIDED * rows[0]:
            return "accuracy", f"{target} has {count} classes of about the same size"
        return "f1_macro", f"{target} has {count} classes of {rows[0]} to {rows[-1]} rows"
    return "rmse", f"{target} is a number"


def _check_suits(cells: pl.Series, target: str, name: str, *, several: bool) -> None:
    reads, count = METRICS[name].reads, cells.n_unique()
    words = cells.dtype == pl.String
    if reads in ("numbers", "amounts", "grades") and words:
        odd = cells.filter(cells.str.strip_chars().cast(pl.Float64, strict=False).is_null())
        said = shown(odd[0] if len(odd) else cells[0])
        raise TaskError(f"--metric {name}: {target} is no number: it has {said}")
    if reads == "amounts" and (cells < 0).any():
        raise TaskError(f"--metric {name}: {target} has values below 0")
    if reads == "grades" and cells.dtype != pl.Int64:
        raise TaskError(f"--metric {name}: {target} is not of whole numbers")
    if reads == "scores" and count != TWO:
        raise TaskError(f"--metric {name}: {target} has {count} values, not two")
    if several and not words:
        raise TaskError(
            f"--metric {name}: {target} has {count} values; of more than two, each must be a word"
        )
    if (reads == "labels" or several or words) and count > MANY_CLASSES:
        raise TaskError(
            f"--target {target}: {count} values are more than {MANY_CLASSES} classes, the most "
            "that are taken" + ("" if words else "; a number has the metrics rmse, mae and r2")
        )


def _positive(cells: pl.Series, request: Request) -> str:
    """The label that counts as 1: the one asked for, the greater number, yes, or the rarer one."""
    counts = cells.cast(pl.String).value_counts().sort("count", cells.name)
    labels: list[str] = counts[cells.name].to_list()
    if request.positive:
        if request.positive not in labels:
            there = " and ".join(map(repr, sorted(labels)))
            raise TaskError(f"--positive {request.positive!r}: {request.target} has {there}")
        return request.positive
    if cells.dtype != pl.String:
        return str(cells.max())
    saying_yes = [each for each in labels if each.strip().lower() in YES]
    return saying_yes[0] if len(saying_yes) == 1 else labels[0]


def _asked(target: str, reads: str, positive: str) -> str:
    is_so = f"`{target}` is 1" + (f" (`{positive}`)" if positive != "1" else "")
    return {
        "scores": f"a score, the higher the likelier {is_so}",
        "probabilities": f"the probability that {is_so}",
        "each": f"the probability of each value of `{target}`; those of a row add up to 1",
        "labels": f"the value of `{target}`, one of those in `train.csv`",
        "grades": f"the value of `{target}`, a whole number",
        "numbers": f"the value of `{target}`, a number",
        "amounts": f"the value of `{target}`, which is never negative",
    }[reads]
