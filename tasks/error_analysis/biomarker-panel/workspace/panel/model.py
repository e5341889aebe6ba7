"""A panel: two dozen proteins chosen among the candidates, and the score made of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from panel.ranking import moderated_statistics
from panel.settings import Settings


@dataclass(frozen=True)
class FittedPanel:
    """A panel ready to score patients."""

    proteins: list[str]
    score: Pipeline

    def predict(self, markers: pd.DataFrame) -> np.ndarray:
        """Return each patient's probability of rejection."""
        return self.score.predict_proba(markers[self.proteins].to_numpy(float))[:, 1]

    def weights(self) -> dict[str, float]:
        """Return the log-odds per standard deviation of each protein."""
        coefficients = self.score.named_steps["logisticregression"].coef_[0]
        return dict(zip(self.proteins, coefficients.tolist(), strict=True))


def fit_panel(
    markers: pd.DataFrame, outcome: np.ndarray, candidates: list[str], settings: Settings
) -> FittedPanel:
    """Choose a panel among the candidates on these patients, and fit its score on them."""
    proteins = choose_proteins(markers[candidates], outcome, settings)
    score = make_pipeline(
        SimpleImputer(strategy="median"),
        StandardScaler(),
        LogisticRegression(C=settings.inverse_penalty, max_iter=2000),
    )
    score.fit(markers[proteins].to_numpy(float), outcome)
    return FittedPanel(proteins, score)


def choose_proteins(markers: pd.DataFrame, outcome: np.ndarray, settings: Settings) -> list[str]:
    """Take proteins from the strongest down, passing over those that repeat a chosen one."""
    cases = (outcome == 1)[None, :]
    strength = np.abs(moderated_statistics(markers.to_numpy(float), cases, ~cases))[0]
    correlation = markers.corr().abs().fillna(0.0).to_numpy()
    chosen: list[int] = []
    for column in np.argsort(-strength, kind="stable"):
        if len(chosen) == settings.panel_size:
            break
        if not (correlation[column, chosen] > settings.max_correlation).any():
            chosen.append(int(column))
    return markers.columns[chosen].tolist()
