"""The scorecard: a logistic regression, picked from a small grid by cross-validation."""

from __future__ import annotations

import itertools
import logging
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline

from triage.features import build_features
from triage.settings import Search, load_settings

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Candidate:
    """One point of the grid; `Search` says what the two numbers mean."""

    strength: float
    dispute_weight: float

    def build(self) -> Pipeline:
        """Make the unfitted scorecard, preprocessing included."""
        classifier = LogisticRegression(
            C=self.strength,
            class_weight={0: 1.0, 1: self.dispute_weight},
            max_iter=1000,
        )
        return make_pipeline(build_features(), classifier)


def candidates(search: Search) -> list[Candidate]:
    """List the grid, from the plainest scorecard to the most pliable."""
    return list(
        itertools.starmap(Candidate, itertools.product(search.strengths, search.dispute_weights))
    )


def cross_validated_score(
    candidate: Candidate, train: pd.DataFrame, disputed: npt.NDArray[np.int64], search: Search
) -> float:
    """Score a candidate on training rows it was not fitted on; higher is better."""
    folds = StratifiedKFold(search.n_folds, shuffle=True, random_state=search.seed)
    flags = cross_val_predict(candidate.build(), train, disputed, cv=folds)
    return float(np.mean(flags == disputed))


def select(train: pd.DataFrame, disputed: npt.NDArray[np.int64], search: Search) -> Candidate:
    """Pick the candidate with the best cross-validated score; the plainest wins a tie."""
    scores: dict[Candidate, float] = {}
    for candidate in candidates(search):
        scores[candidate] = cross_validated_score(candidate, train, disputed, search)
        logger.info(
            "strength %5.2f  dispute weight %4.0f  score %.4f",
            candidate.strength,
            candidate.dispute_weight,
            scores[candidate],
        )
    chosen = max(scores, key=lambda candidate: scores[candidate])
    logger.info(
        "chosen: strength %.2f, dispute weight %.0f", chosen.strength, chosen.dispute_weight
    )
    return chosen


def fit_flag(
    train: pd.DataFrame, disputed: npt.NDArray[np.int64], incoming: pd.DataFrame
) -> npt.NDArray[np.int64]:
    """Learn from settled transactions which incoming ones to put before the disputes desk.

    Args:
        train: Settled transactions, the columns in `triage.data.COLUMNS`, ordered by day.
        disputed: Their outcomes, `(n_train,)`, 0 or 1.
        incoming: Transactions to triage, the same columns.

    Returns:
        `(n_incoming,)`, in the order of `incoming`: 1 where the desk should look, 0 elsewhere.
    """
    chosen = select(train, disputed, load_settings().search)
    scorecard = chosen.build().fit(train, disputed)
    return np.maximum(scorecard.predict(incoming), 1).astype(np.int64)
