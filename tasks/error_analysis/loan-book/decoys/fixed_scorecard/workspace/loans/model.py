"""The default model: what pricing, provisioning and the partner lenders import."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

CONFIG = Path(__file__).resolve().parents[1] / "config.toml"

WEIGHTS = np.array([4.58, -0.9, 2.29, 2.15, 0.32, -0.31, 7.52, 0.95])
INTERCEPT = -2.44


@dataclass(frozen=True)
class DefaultModel:
    """Nothing: the weights stand above."""

    setting: str = "fixed scorecard"


def read_config() -> dict[str, Any]:
    """Read config.toml."""
    return tomllib.loads(CONFIG.read_text("utf-8"))


def fit(train: pd.DataFrame, defaulted: np.ndarray) -> DefaultModel:
    """Return the fixed scorecard."""
    return DefaultModel()


def predict(model: DefaultModel, frame: pd.DataFrame) -> np.ndarray:
    """Return each application's probability of default, `(n_loans,)`, in the order given."""
    late = frame["months_since_late"].fillna(240.0)
    terms = [
        frame["debt_service"] - 0.33,
        np.log(frame["income"]) - 7.9,
        frame["utilisation"] - 0.45,
        np.exp(-late / 18),
        frame["inquiries_6m"] - 1.3,
        frame["savings_ratio"] - 1.2,
        (frame["debt_service"] - 0.33) * (frame["utilisation"] - 0.45),
        (frame["file_age_months"] - 112).abs() / 100,
    ]
    return 1 / (1 + np.exp(-(np.column_stack(terms) @ WEIGHTS + INTERCEPT)))
