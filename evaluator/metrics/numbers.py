"""Metrics of numbers."""

import numpy as np

from proctor.evaluator.metrics.base import SKLEARN, Array, Metric


def rmse(truth: Array, predicted: Array) -> float:
    """The root of the mean squared error, in the unit of the truth."""
    return float(np.sqrt(np.mean((truth - predicted) ** 2)))


def rmsle(truth: Array, predicted: Array) -> float:
    """The root of the mean squared difference of ``log(1 + x)``; no value is negative."""
    return rmse(np.log1p(truth), np.log1p(predicted))


def mae(truth: Array, predicted: Array) -> float:
    """The mean absolute error, in the unit of the truth."""
    return float(np.mean(np.abs(truth - predicted)))


def r2(truth: Array, predicted: Array) -> float:
    """The coefficient of determination: 1 less the share of the variance that is left.

    Raises:
        ValueError: The truth does not vary.
    """
    if len(truth) < 2 or np.ptp(truth) == 0:  # noqa: PLR2004 - one value has no variance
        raise ValueError("R² needs a truth that varies")
    return float(SKLEARN.r2_score(truth, predicted))


NUMBERS = (
    Metric("rmse", "numbers", False, rmse),  # noqa: FBT003 - a row of a table
    Metric("rmsle", "amounts", False, rmsle),  # noqa: FBT003
    Metric("mae", "numbers", False, mae),  # noqa: FBT003
    Metric("r2", "numbers", True, r2),  # noqa: FBT003
)
