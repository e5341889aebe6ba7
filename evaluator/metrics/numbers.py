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


def mae_int(truth: Array, predicted: Array) -> float:
    """The mean absolute error to the nearest whole number, halves to the even one."""
    return float(np.round(mae(truth, predicted)))  # which leaves infinity as it is


def masked_mae(truth: Array, predicted: Array, *, masked: Array) -> float:
    """The mean absolute error of the rows where `masked` is 0.

    Source: evaluation of Kaggle's ventilator-pressure-prediction, which scores inspiration only.

    Raises:
        ValueError: Every row is masked.
    """
    kept = masked == 0
    if not kept.any():
        raise ValueError("every row is masked")
    return mae(truth[kept], predicted[kept])


def group_mean_log_mae(truth: Array, predicted: Array, *, group: Array) -> float:
    """The mean over groups of the logarithm of a group's mean absolute error.

    A group without any error makes it minus infinity.

    Source: evaluation of Kaggle's champs-scalar-coupling, less its floor of 1e-9.
    """
    _, codes = np.unique(group, return_inverse=True)
    errors = np.bincount(codes, np.abs(truth - predicted)) / np.bincount(codes)
    with np.errstate(divide="ignore"):
        return float(np.mean(np.log(errors)))


def r2(truth: Array, predicted: Array) -> float:
    """The coefficient of determination: 1 less the share of the variance that is left.

    Raises:
        ValueError: The truth does not vary.
    """
    if len(truth) < 2 or np.ptp(truth) == 0:  # noqa: PLR2004 - one value has no variance
        raise ValueError("R² needs a truth that varies")
    return float(SKLEARN.r2_score(truth, predicted))


def pearson(truth: Array, predicted: Array) -> float:
    """The correlation coefficient; NaN where the predictions do not vary.

    Raises:
        ValueError: The truth does not vary.
    """
    if len(truth) < 2 or np.ptp(truth) == 0:  # noqa: PLR2004 - one value has no variance
        raise ValueError("a correlation needs a truth that varies")
    if np.ptp(predicted) == 0:
        return float("nan")
    real, said = _unit(truth), _unit(predicted)
    return float(np.clip(real @ said, -1, 1))


def _unit(values: Array) -> Array:
    """Less their mean, and of length one; scaled first, so that no square is beyond a float."""
    apart = values - np.mean(values)
    largest = np.max(np.abs(apart))
    apart = apart / (largest if largest > 0 else 1)
    return np.asarray(apart / np.linalg.norm(apart))


NUMBERS = (
    Metric("rmse", "numbers", False, rmse),  # noqa: FBT003 - a row of a table
    Metric("rmsle", "amounts", False, rmsle),  # noqa: FBT003
    Metric("mae", "numbers", False, mae),  # noqa: FBT003
    Metric("mae_int", "numbers", False, mae_int),  # noqa: FBT003
    Metric("masked_mae", "numbers", False, masked_mae, needs=("masked",)),  # noqa: FBT003
    Metric("group_mean_log_mae", "numbers", False, group_mean_log_mae, needs=("group",)),  # noqa: FBT003
    Metric("r2", "numbers", True, r2),  # noqa: FBT003
    Metric("pearson", "numbers", True, pearson),  # noqa: FBT003
)
