"""The readmission model: preparation, penalty, probabilities."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits

from readmission.features import CATEGORICAL, CONTINUOUS, FLAGS, Winsorizer, derive

CONFIG = Path(__file__).resolve().parents[1] / "config.toml"


def load_settings(path: Path = CONFIG) -> dict[str, Any]:
    """Read config.toml."""
    return tomllib.loads(path.read_text("utf-8"))


def build_preparation(settings: dict[str, Any]) -> ColumnTransformer:
    """Assemble the unfitted preparation of the columns of `derive`."""
    lower, upper = settings["features"]["clip_quantiles"]
    continuous = Pipeline(
        [
            ("winsorize", Winsorizer(lower, upper)),
            ("impute", SimpleImputer(strategy="median")),
            ("scale", StandardScaler()),
        ]
    )
    categorical = OneHotEncoder(
        handle_unknown="infrequent_if_exist",
        min_frequency=settings["features"]["rare_category_rows"],
        sparse_output=False,
    )
    return ColumnTransformer(
        [
            ("continuous", continuous, CONTINUOUS),
            ("categorical", categorical, CATEGORICAL),
            ("flags", "passthrough", FLAGS),
        ]
    )


def build_classifier() -> HistGradientBoostingClassifier:
    """Make the unfitted classifier."""
    return HistGradientBoostingClassifier(
        max_iter=120, learning_rate=0.05, max_depth=3, random_state=0
    )


def fit_predict(train: pd.DataFrame, outcome: np.ndarray, test: pd.DataFrame) -> np.ndarray:
    """Fit on past discharges and score others.

    Args:
        train: The extract's columns without the outcome, (n_train,) rows.
        outcome: Whether each was readmitted within 30 days, 0 or 1, shape (n_train,).
        test: The same columns; rows to score.

    Returns:
        The probability of a readmission for each row of `test`, shape (n_test,).
    """
    settings = load_settings()
    outcome = np.asarray(outcome, dtype=np.int64)
    stacked = derive(pd.concat([train, test], ignore_index=True))
    past, scored = stacked.iloc[: len(train)], stacked.iloc[len(train) :]
    with threadpool_limits(1):  # the nightly host is shared
        preparation = build_preparation(settings)
        classifier = build_classifier()
        classifier.fit(preparation.fit_transform(past), outcome)
        return classifier.predict_proba(preparation.transform(scored))[:, 1]
