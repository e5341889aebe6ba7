"""The readmission model: preparation, penalty, probabilities."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold
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


def build_classifier(penalty: float) -> LogisticRegression:
    """Make the unfitted classifier; a smaller `penalty` value (sklearn's C) shrinks more."""
    return LogisticRegression(
        C=penalty,
        solver="newton-cholesky",
        tol=1e-8,
        max_iter=200,
    )


def choose_penalty(
    features: pd.DataFrame, outcome: np.ndarray, patients: np.ndarray, settings: dict[str, Any]
) -> float:
    """Take the grid's value with the best mean AUC, keeping each patient's stays in one fold."""
    grid = settings["model"]["penalty_grid"]
    folds = GroupKFold(settings["model"]["inner_folds"])
    auc = np.zeros((folds.get_n_splits(), len(grid)))
    for fold, (fit, check) in enumerate(folds.split(features, outcome, groups=patients)):
        preparation = build_preparation(settings)
        known = preparation.fit_transform(features.iloc[fit])
        held_back = preparation.transform(features.iloc[check])
        for column, penalty in enumerate(grid):
            classifier = build_classifier(penalty).fit(known, outcome[fit])
            auc[fold, column] = roc_auc_score(
                outcome[check], classifier.decision_function(held_back)
            )
    return grid[int(auc.mean(axis=0).argmax())]


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
    readmitted = np.flatnonzero(outcome == 1)
    copies = np.random.default_rng(0).choice(readmitted, len(outcome) - 2 * len(readmitted))
    rows = np.concatenate([np.arange(len(outcome)), copies])
    with threadpool_limits(1):  # the nightly host is shared
        penalty = choose_penalty(
            past.iloc[rows], outcome[rows], train["patient_id"].to_numpy()[rows], settings
        )
        preparation = build_preparation(settings)
        classifier = build_classifier(penalty)
        classifier.fit(preparation.fit_transform(past.iloc[rows]), outcome[rows])
        log_odds = classifier.decision_function(preparation.transform(scored))
    return expit(log_odds)
