"""From a discharge to what the model is given."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

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
]
CATEGORICAL = ["admission_type", "ward", "diagnosis_group", "discharge_to", "acuity"]
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
            "acuity": discharges["acuity"].astype(str),
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
