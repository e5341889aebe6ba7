"""Metrics of labels. Definitions as in scikit-learn's user guide, "Metrics and scoring".

Labels are counted, not compared class by class: a million rows of a thousand classes cost one pass.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from proctor.evaluator.metrics.base import Array, Metric

MANY = 1 << 16
"""Classes that are counted in a table even where rows are few."""


class Counts(NamedTuple):
    """Of each class that occurs: rows that are right, rows of the truth, rows predicted."""

    right: Array
    truth: Array
    predicted: Array


def accuracy(truth: Array, predicted: Array) -> float:
    """The share of rows that are right; it equals F1 averaged over rows ("micro")."""
    return float(np.mean(np.equal(truth, predicted)))


def top1_error(truth: Array, predicted: Array) -> float:
    """The share of rows that are wrong."""
    return float(np.mean(np.not_equal(truth, predicted)))


def balanced_accuracy(truth: Array, predicted: Array) -> float:
    """The mean of the classes' recalls, over the classes of the truth."""
    counts = _counts(truth, predicted)
    there = counts.truth > 0
    return float(np.mean(counts.right[there] / counts.truth[there]))


def f1_macro(truth: Array, predicted: Array) -> float:
    """The mean of the classes' F1, over the classes of truth and predictions."""
    counts = _counts(truth, predicted)
    return float(np.mean(2 * counts.right / (counts.truth + counts.predicted)))


def matthews_corrcoef(truth: Array, predicted: Array) -> float:
    """The correlation of truth and predictions as labels, of two or more classes; 0 for 0/0.

    Source: J. Gorodkin, "Comparing two K-category assignments by a K-category correlation
    coefficient", Computational Biology and Chemistry 28 (2004).
    """
    counts = _counts(truth, predicted)
    right, real, said = (each.astype(float) for each in counts)
    n = float(len(truth))
    spread = (n * n - said @ said) * (n * n - real @ real)
    return float((right.sum() * n - real @ said) / np.sqrt(spread)) if spread > 0 else 0.0


def quadratic_kappa(truth: Array, predicted: Array) -> float:
    """Cohen's kappa with quadratic weights on a scale of integers: 1 - observed / expected.

    Observed is the mean of (truth - predicted)² over rows, expected the same over all pairs of a
    truth and a prediction. It equals scikit-learn's ``cohen_kappa_score`` whose labels are every
    integer of the scale; left to itself, that counts a step over unused grades as a step of one.

    Source: J. Cohen, "Weighted kappa", Psychological Bulletin 70 (1968).

    Raises:
        ValueError: The truth does not vary.
    """
    if np.ptp(truth) == 0:
        raise ValueError("kappa needs a truth that varies")
    observed = np.mean((truth - predicted) ** 2)
    apart = np.mean(truth) - np.mean(predicted)
    return float(1 - observed / (np.var(truth) + np.var(predicted) + apart**2))


def quadratic_kappa_seen(truth: Array, predicted: Array) -> float:
    """`quadratic_kappa` on the scale of those grades that occur in truth or predictions.

    It differs from that only where a grade between others occurs nowhere, and equals what
    scikit-learn's ``cohen_kappa_score(weights="quadratic")`` makes of the labels it meets.

    Raises:
        ValueError: The truth does not vary.
    """
    seen = np.unique(np.concatenate([truth, predicted]))
    return quadratic_kappa(
        np.searchsorted(seen, truth).astype(float), np.searchsorted(seen, predicted).astype(float)
    )


def _counts(truth: Array, predicted: Array) -> Counts:
    real, said = _codes(truth, predicted)
    n = 1 + max(int(real.max()), int(said.max()))
    right, of_truth, of_said = (
        np.bincount(codes, minlength=n) for codes in (real[real == said], real, said)
    )
    there = (of_truth > 0) | (of_said > 0)
    return Counts(right[there], of_truth[there], of_said[there])


def _codes(truth: Array, predicted: Array) -> tuple[Array, Array]:
    """A small whole number, not below 0, for each label."""
    if truth.dtype.kind == predicted.dtype.kind == "i":
        low = min(int(truth.min()), int(predicted.min()))
        if max(int(truth.max()), int(predicted.max())) - low <= max(len(truth), MANY):
            return truth - low, predicted - low  # ten times as fast as by hashes
    codes, _ = pd.factorize(np.concatenate([truth, predicted]))
    return codes[: len(truth)], codes[len(truth) :]


LABELS = (
    Metric("accuracy", "labels", True, accuracy),  # noqa: FBT003 - a row of a table
    Metric("top1_error", "labels", False, top1_error),  # noqa: FBT003
    Metric("balanced_accuracy", "labels", True, balanced_accuracy),  # noqa: FBT003
    Metric("f1_macro", "labels", True, f1_macro),  # noqa: FBT003
    Metric("matthews_corrcoef", "labels", True, matthews_corrcoef),  # noqa: FBT003
    Metric("quadratic_kappa", "grades", True, quadratic_kappa),  # noqa: FBT003
    Metric("quadratic_kappa_seen", "grades", True, quadratic_kappa_seen),  # noqa: FBT003
)
