"""What a metric is."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal, TypeAlias

import numpy as np

SKLEARN: Any = import_module("sklearn.metrics")
STATS: Any = import_module("scipy.stats")
SPATIAL: Any = import_module("scipy.spatial")
"""They have no types of their own."""

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]

Reads: TypeAlias = Literal[
    "labels", "grades", "scores", "probabilities", "numbers", "amounts", "text"
]
"""``labels``: text that is equal or not. ``grades``: whole numbers on a scale. ``scores``: one
number for each row, the higher the likelier the positive class. ``probabilities``: of the positive
class, or of each class. ``numbers``: finite numbers. ``amounts``: such as are not negative.
``text``: sentences, or tokens in a notation that the metric reads; it may be empty."""


@dataclass(frozen=True)
class Metric:
    """One way to compare predictions with the truth.

    `score` takes two arrays, the truth and the predictions, row by row, with n > 0 rows; then the
    arrays that it `needs` and its settings by keyword. It raises a ValueError where the truth does
    not allow it, such as one class alone, or where text is not in the notation. It may return NaN
    or an infinity, where that is what the definition gives.
    """

    name: str
    reads: Reads
    higher_is_better: bool
    score: Callable[..., float]
    several: bool = False
    """Whether predictions have shape (n, n_columns) rather than (n,)."""
    needs: tuple[str, ...] = ()
    """Further columns of the truth, by the keyword that `score` takes them as."""

    @property
    def plain(self) -> bool:
        """Whether a column of truth and a column of predictions are all it asks for."""
        return not (self.several or self.needs or self.reads == "text")

    def reaches(self, score: float, bound: float) -> bool:
        """Whether a score is at least as good as a bound."""
        return score >= bound if self.higher_is_better else score <= bound
