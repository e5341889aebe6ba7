"""Which setting this month's model is fitted with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from sklearn.model_selection import StratifiedKFold

from loans.booster import Sampling, Setting, build
from loans.scores import deviance

MIN_DEFAULTS = 10
"""A fold with fewer defaults than this says nothing about a setting."""


class Fold(NamedTuple):
    """Positions of loans: those a model is fitted on, and the rest."""

    fit: np.ndarray
    check: np.ndarray


@dataclass(frozen=True)
class Trial:
    """How one setting did, over all folds."""

    setting: Setting
    deviance: float
    spread: float
    """The standard deviation over the folds."""


def make_folds(defaulted: np.ndarray, count: int, seed: int) -> list[Fold]:
    """Deal the loans into folds with equal shares of defaults.

    Raises:
        ValueError: The book is too small to be dealt into that many folds.
    """
    dealer = StratifiedKFold(count, shuffle=True, random_state=seed)
    folds = [Fold(*rows) for rows in dealer.split(np.zeros(len(defaulted)), defaulted)]
    fewest = min(int(defaulted[fold.check].sum()) for fold in folds)
    if fewest < MIN_DEFAULTS:
        raise ValueError(f"{fewest} defaults in a fold, need {MIN_DEFAULTS}: use fewer folds")
    return folds


def run_trial(
    setting: Setting,
    sampling: Sampling,
    folds: Sequence[Fold],
    matrix: np.ndarray,
    defaulted: np.ndarray,
) -> Trial:
    """Fit one setting on every fold and take its deviance on the loans left out of it.

    Args:
        setting: What to try.
        sampling: What each tree sees.
        folds: As `make_folds` deals them.
        matrix: `(n_loans, n_features)`.
        defaulted: `(n_loans,)` of 0 and 1.
    """
    deviances = []
    for fold in folds:
        booster = build(setting, sampling).fit(matrix[fold.fit], defaulted[fold.fit])
        answer = booster.predict_proba(matrix[fold.check])[:, 1]
        deviances.append(deviance(defaulted[fold.check], answer))
    return Trial(setting, float(np.mean(deviances)), float(np.std(deviances)))


def choose(trials: Sequence[Trial]) -> Setting:
    """Return the setting with the lowest deviance; of equals, the one with the smaller spread."""
    return min(trials, key=lambda trial: (round(trial.deviance, 4), trial.spread)).setting
