"""How strongly each protein differs between rejection and no rejection."""

from __future__ import annotations

import numpy as np

MIN_GROUP = 3
"""Detected values that each group needs for a statistic."""


def moderated_statistics(
    values: np.ndarray, in_cases: np.ndarray, in_controls: np.ndarray
) -> np.ndarray:
    """Return two-sample statistics with a fudge constant in the denominator.

    The constant, the median standard error over the proteins, holds back proteins that look
    strong only because they hardly vary. Undetected values are left out.

    Args:
        values: ``(n_patients, n_proteins)``, NaN where undetected.
        in_cases: ``(n_draws, n_patients)``, true where a patient is a case of that draw.
        in_controls: The same for controls.

    Returns:
        ``(n_draws, n_proteins)``, zero where a group has fewer than `MIN_GROUP` detected values.

    Source: Tusher, Tibshirani, Chu (2001), PNAS 98, 5116.
    """
    n_cases, mean_cases, var_cases = _moments(values, in_cases)
    n_controls, mean_controls, var_controls = _moments(values, in_controls)
    usable = (n_cases >= MIN_GROUP) & (n_controls >= MIN_GROUP)
    error = np.sqrt(var_cases / np.maximum(n_cases, 1) + var_controls / np.maximum(n_controls, 1))
    fudge = np.median(error, axis=1, keepdims=True)
    return np.where(usable, (mean_cases - mean_controls) / (error + fudge + 1e-12), 0.0)


def _moments(values: np.ndarray, members: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    detected = ~np.isnan(values)
    filled = np.where(detected, values, 0.0)
    weights = members.astype(float)
    count = weights @ detected
    mean = weights @ filled / np.maximum(count, 1)
    spread = weights @ filled**2 - count * mean**2
    return count, mean, np.maximum(spread, 0.0) / np.maximum(count - 1, 1)
