"""What the depots import: fit a sorter on labelled scans, predict chutes for new ones."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from sklearn.linear_model import LogisticRegression

from sorter.data import FULL_INK


@dataclass
class Sorter:
    """A fitted sorter."""

    classifier: LogisticRegression
    history: list[object] = field(default_factory=list)


def fit(images: np.ndarray, labels: np.ndarray) -> Sorter:
    """Fit a sorter on (n, 64) scans and (n,) chute numbers."""
    classifier = LogisticRegression(max_iter=500)
    return Sorter(classifier.fit(np.asarray(images) / FULL_INK, np.asarray(labels)))


def predict(model: Sorter, images: np.ndarray) -> np.ndarray:
    """(n,) chute numbers for (n, 64) scans."""
    return model.classifier.predict(np.asarray(images) / FULL_INK)
