"""The default model: what pricing, provisioning and the partner lenders import."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from loans.features import build_matrix

CONFIG = Path(__file__).resolve().parents[1] / "config.toml"


@dataclass(frozen=True)
class DefaultModel:
    """A fitted scorecard."""

    scorecard: Pipeline
    setting: str = "logistic scorecard"


def read_config() -> dict[str, Any]:
    """Read config.toml."""
    return tomllib.loads(CONFIG.read_text("utf-8"))


def fit(train: pd.DataFrame, defaulted: np.ndarray) -> DefaultModel:
    """Fit the scorecard."""
    scorecard = make_pipeline(StandardScaler(), LogisticRegression(C=0.05, max_iter=2000))
    return DefaultModel(scorecard.fit(build_matrix(train), np.asarray(defaulted, dtype=int)))


def predict(model: DefaultModel, frame: pd.DataFrame) -> np.ndarray:
    """Return each application's probability of default, `(n_loans,)`, in the order given."""
    return model.scorecard.predict_proba(build_matrix(frame))[:, 1]
