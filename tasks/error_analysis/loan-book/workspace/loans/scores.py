"""How good a set of default probabilities is."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.metrics import log_loss, roc_auc_score

CERTAINTY = 1e-6


def deviance(outcome: np.ndarray, probability: np.ndarray) -> float:
    """Return the log loss in nats per loan; a probability of 0 or 1 counts as `CERTAINTY` away."""
    sure = np.clip(probability, CERTAINTY, 1 - CERTAINTY)
    return float(log_loss(outcome, sure, labels=[0, 1]))


def summary(outcome: np.ndarray, probability: np.ndarray) -> dict[str, float]:
    """Return the figures of the monthly report for one set of loans."""
    return {
        "loans": float(len(outcome)),
        "default_rate": float(outcome.mean()),
        "expected_rate": float(probability.mean()),
        "log_loss": deviance(outcome, probability),
        "auc": float(roc_auc_score(outcome, probability)),
    }


def by_group(group: pd.Series, outcome: np.ndarray, probability: np.ndarray) -> pd.DataFrame:
    """Return `summary` for each value of `group`, one row each."""
    values = group.to_numpy()
    return pd.DataFrame(
        {
            value: summary(outcome[values == value], probability[values == value])
            for value in sorted(set(values))
        }
    ).T
