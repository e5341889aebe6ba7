"""The original pipeline in one file: `features.py`, `pipeline.py` and `config.toml`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_limits

SETTINGS: dict[str, Any] = {
    "features": {"clip_quantiles": [0.005, 0.995], "rare_category_rows": 25},
    "model": {"penalty_grid": [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0], "inner_folds": 5},
}
ACUITY_ORDER = {"low": 0, "mod": 1, "high": 2}
UMOL_PER_MG_DL = 88.4
"""Creatinine: micromoles per litre in one milligram per decilitre."""

CONTINUOUS = [
    "age",
    "log_los",
    "creatinine",
    "egfr",
    "haemoglobin",
    "sodium",
    "n_medications",
    "log_prior_admissions",
    "acuity",
]
CATEGORICAL = ["admission_type", "ward", "diagnosis_group", "discharge_to"]
FLAGS = ["arrived_as_readmission", "female", "weekend", "anaemia"]


def filtration_rate(creatinine: pd.Series, age: pd.Series, female: pd.Series) -> pd.Series:
    """Estimate the glomerular filtration rate in mL/min/1.73 m2.

    Source: CKD-EPI 2021 creatinine equation (Inker et al., NEJM 385:1737).

    Args:
        creatinine: In umol/L, as the laboratory reports it; may be missing.
        age: In years.
        female: 1 or 0.
    """
    kappa = np.where(female == 1, 0.7, 0.9)
    alpha = np.where(female == 1, -0.241, -0.302)
    ratio = creatinine / UMOL_PER_MG_DL / kappa
    below, above = ratio.clip(upper=1.0), ratio.clip(lower=1.0)
    return 142 * below**alpha * above**-1.2 * 0.9938**age * np.where(female == 1, 1.012, 1.0)


def derive(discharges: pd.DataFrame) -> pd.DataFrame:
    """Derive the model's columns from the extract's, in the same row order and index."""
    female = (discharges["sex"] == "F").astype(float)
    age = discharges["age"].astype(float)
    creatinine = discharges["creatinine"].astype(float)
    haemoglobin = discharges["haemoglobin"].astype(float)
    return pd.DataFrame(
        {
            "age": age,
            "log_los": np.log1p(discharges["los_days"].astype(float)),
            "creatinine": creatinine,
            "egfr": filtration_rate(creatinine, age, female),
            "haemoglobin": haemoglobin,
            "sodium": discharges["sodium"].astype(float),
            "n_medications": discharges["n_medications"].astype(float),
            "log_prior_admissions": np.log1p(discharges["prior_admissions_12m"].astype(float)),
            "acuity": discharges["acuity"].map(ACUITY_ORDER).astype(float),
            "admission_type": discharges["admission_type"].astype(str),
            "ward": discharges["ward"].astype(str),
            "diagnosis_group": discharges["diagnosis_group"].astype(str),
            "discharge_to": discharges["discharge_to"].astype(str),
            "arrived_as_readmission": discharges["arrived_as_readmission"].astype(float),
            "female": female,
            "weekend": (discharges["discharged_on"].dt.dayofweek >= 5).astype(float),
            "anaemia": (haemoglobin < np.where(female == 1, 120, 130)).astype(float),
        },
        index=discharges.index,
    )


class Winsorizer(TransformerMixin, BaseEstimator):
    """Pull each column's extremes in to two quantiles; missing values stay missing."""

    def __init__(self, lower: float = 0.005, upper: float = 0.995) -> None:
        self.lower = lower
        self.upper = upper

    def fit(self, X: pd.DataFrame, y: object = None) -> Winsorizer:
        """Take the quantiles of each column."""
        values = np.asarray(X, dtype=float)
        self.bounds_ = np.nanquantile(values, [self.lower, self.upper], axis=0)
        self.n_features_in_ = values.shape[1]
        return self

    def transform(self, X: pd.DataFrame) -> np.ndarray:
        """Clip to the quantiles: shape (n, n_columns)."""
        check_is_fitted(self)
        return np.clip(np.asarray(X, dtype=float), self.bounds_[0], self.bounds_[1])


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
        class_weight="balanced",
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


def to_base_rate(log_odds: np.ndarray, outcome: np.ndarray) -> np.ndarray:
    """Turn log-odds under balanced weights into probabilities at the outcome's own rate."""
    rate = outcome.mean()
    return expit(log_odds + np.log(rate / (1.0 - rate)))


def fit_predict(train: pd.DataFrame, outcome: np.ndarray, test: pd.DataFrame) -> np.ndarray:
    """Fit on past discharges and score others.

    Args:
        train: The extract's columns without the outcome, (n_train,) rows.
        outcome: Whether each was readmitted within 30 days, 0 or 1, shape (n_train,).
        test: The same columns; rows to score.

    Returns:
        The probability of a readmission for each row of `test`, shape (n_test,).
    """
    settings = SETTINGS
    outcome = np.asarray(outcome, dtype=np.int64)
    stacked = derive(pd.concat([train, test], ignore_index=True))
    past, scored = stacked.iloc[: len(train)], stacked.iloc[len(train) :]
    with threadpool_limits(1):  # the nightly host is shared
        penalty = choose_penalty(past, outcome, train["patient_id"].to_numpy(), settings)
        preparation = build_preparation(settings)
        classifier = build_classifier(penalty)
        classifier.fit(preparation.fit_transform(past), outcome)
        log_odds = classifier.decision_function(preparation.transform(scored))
    return to_base_rate(log_odds, outcome)
