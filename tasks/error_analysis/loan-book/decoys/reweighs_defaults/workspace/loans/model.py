"""The default model: what pricing, provisioning and the partner lenders import."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.utils.class_weight import compute_sample_weight

from loans.booster import Sampling, Setting, build
from loans.features import build_matrix
from loans.search import choose, make_folds, run_trial

CONFIG = Path(__file__).resolve().parents[1] / "config.toml"


@dataclass(frozen=True)
class DefaultModel:
    """A fitted booster and the setting it was given."""

    booster: GradientBoostingClassifier
    setting: Setting


def read_config() -> dict[str, Any]:
    """Read config.toml."""
    return tomllib.loads(CONFIG.read_text("utf-8"))


def fit(train: pd.DataFrame, defaulted: np.ndarray) -> DefaultModel:
    """Search for the setting that suits this book, then fit it on all of the book.

    Args:
        train: Applications, with the columns that README.md lists.
        defaulted: `(n_loans,)` of 0 and 1, in the same order.
    """
    config = read_config()
    sampling = Sampling(**config["sampling"])
    settings = [Setting(**entry) for entry in config["search"]["settings"]]
    matrix, outcome = build_matrix(train), np.asarray(defaulted, dtype=int)
    folds = make_folds(outcome, config["search"]["folds"], sampling.seed)
    trials = [run_trial(setting, sampling, folds, matrix, outcome) for setting in settings]
    chosen = choose(trials)
    weights = compute_sample_weight("balanced", outcome)
    return DefaultModel(build(chosen, sampling).fit(matrix, outcome, weights), chosen)


def predict(model: DefaultModel, frame: pd.DataFrame) -> np.ndarray:
    """Return each application's probability of default, `(n_loans,)`, in the order given."""
    return model.booster.predict_proba(build_matrix(frame))[:, 1]
