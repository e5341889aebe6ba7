"""Risk scores for a worklist: what the clinics' nightly jobs import."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from scoring.features import FeatureBuilder, Reference
from scoring.settings import Settings, load_settings


class RiskModel:
    """A penalised logistic regression on the nuclei of one training clinic."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def fit(self, train: pd.DataFrame, labels: np.ndarray, batch: pd.DataFrame) -> RiskModel:
        """Learn from the training clinic's patients, on a scale shared with the worklist."""
        reference = Reference.learn(train, self._settings)
        self._features = FeatureBuilder(reference, self._settings)
        self._features.fit_scale(pd.concat([train, batch]))
        self._regression = LogisticRegression(
            C=self._settings.inverse_penalty, max_iter=self._settings.max_iterations
        )
        self._regression.fit(self._features.build(train), labels)
        return self

    def score(self, batch: pd.DataFrame) -> np.ndarray:
        """Return each patient's probability of label 1, `(n_batch,)`."""
        return self._regression.predict_proba(self._features.build(batch))[:, 1]


def fit_score(train: pd.DataFrame, labels: np.ndarray, batch: pd.DataFrame) -> np.ndarray:
    """Train on one clinic and score a worklist of another.

    Args:
        train: The training clinic's measurements, one row per patient.
        labels: The outcome of those patients, 0 or 1, `(n_train,)`.
        batch: The worklist, with the columns of `train`; at least one patient.

    Returns:
        The probability of outcome 1 in the order of `batch`, `(n_batch,)`.
    """
    return RiskModel(load_settings()).fit(train, labels, batch).score(batch)
