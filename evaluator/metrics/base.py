"""What a metric is."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal, TypeAlias

import numpy as np

SKLEARN: Any = import_module("sklearn.metrics")
"""It has no types of its own."""

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]

Reads: TypeAlias = Literal["labels", "grades", "scores", "probabilities", "numbers", "amounts"]
"""``labels``: text that is equal or not. ``grades``: whole numbers on a scale. ``scores``: one
number for each row, the higher the likelier the positive class. ``probabilities``: of the positive
class, or of each class. ``numbers``: finite numbers. ``amounts``: such as are not negative."""


@dataclass(frozen=True)
class Metric:
    """One way to compare predictions with the truth.

    `score` takes two arrays of shape (n,), the truth and the predictions, with n > 0. It raises a
    ValueError where the truth itself does not allow it, such as one class alone.
    """

    name: str
    reads: Reads
    higher_is_better: bool
    score: Callable[[Array, Array], float]

    def reaches(self, score: float, bound: float) -> bool:
        """Whether a score is at least as good as a bound."""
        return score >= bound if self.higher_is_better else score <= bound
