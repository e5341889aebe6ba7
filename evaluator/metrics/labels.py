"""Metrics of labels. Definitions as in scikit-learn's user guide, "Metrics and scoring"."""

import numpy as np

from proctor.evaluator.metrics.base import SKLEARN, Array, Metric


def accuracy(truth: Array, predicted: Array) -> float:
    """The share of rows that are right."""
    return float(np.mean(np.equal(truth, predicted)))


def balanced_accuracy(truth: Array, predicted: Array) -> float:
    """The mean of the classes' recalls, over the classes of the truth."""
    recalls = [
        float(np.mean(np.equal(predicted[truth == label], label))) for label in set(truth.tolist())
    ]
    return float(np.mean(recalls))


def f1_macro(truth: Array, predicted: Array) -> float:
    """The mean of the classes' F1, over the classes of truth and predictions; 0 for 0/0."""
    return float(SKLEARN.f1_score(truth, predicted, average="macro", zero_division=0))


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


LABELS = (
    Metric("accuracy", "labels", True, accuracy),  # noqa: FBT003 - a row of a table
    Metric("balanced_accuracy", "labels", True, balanced_accuracy),  # noqa: FBT003
    Metric("f1_macro", "labels", True, f1_macro),  # noqa: FBT003
    Metric("quadratic_kappa", "grades", True, quadratic_kappa),  # noqa: FBT003
)
