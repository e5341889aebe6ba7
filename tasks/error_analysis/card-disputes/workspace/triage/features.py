"""From a transaction's columns to the scorecard's inputs."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

LONG_TAILED = ["amount", "tx_24h", "card_age_days", "merchant_age_days"]
NUMBERS = [*LONG_TAILED, "abroad", "night", "hour_sin", "hour_cos"]
WORDS = ["category", "entry"]
NIGHT_ENDS_HOUR = 7


def derive(transactions: pd.DataFrame) -> pd.DataFrame:
    """Put long-tailed quantities on a log scale and the hour on a circle, row by row."""
    derived = transactions[LONG_TAILED].apply(np.log1p)
    angle = 2 * np.pi * transactions["hour"] / 24
    return derived.assign(
        abroad=transactions["abroad"],
        night=(transactions["hour"] < NIGHT_ENDS_HOUR).astype(int),
        hour_sin=np.sin(angle),
        hour_cos=np.cos(angle),
        category=transactions["category"],
        entry=transactions["entry"],
    )


def build_features() -> Pipeline:
    """Make the unfitted preprocessing: derived columns, standardised, one column per word."""
    columns = ColumnTransformer([
        ("numbers", StandardScaler(), NUMBERS),
        ("words", OneHotEncoder(handle_unknown="ignore", sparse_output=False), WORDS),
    ])  # fmt: skip
    return make_pipeline(FunctionTransformer(derive), columns)
