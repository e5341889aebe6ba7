"""Which rows are drawn for the test: the very ones, in the very order, that MLE-bench drew.

It uses scikit-learn's ``train_test_split`` everywhere, on rows, on groups of them, or on files.
Drawing their numbers in place of them draws the same ones.
"""

from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from proctor.evaluator.metrics.base import Array
from proctor.schemas.errors import TaskError

SELECTION: Any = import_module("sklearn.model_selection")
"""It has no types of its own."""


class Drawn(NamedTuple):
    """Numbers from 0, in the order in which they were drawn."""

    train: Array
    test: Array

    def of(self, names: Sequence[str]) -> tuple[list[str], list[str]]:
        """The names at those numbers, of both parts."""
        train, test = ([int(n) for n in part] for part in self)
        return [names[n] for n in train], [names[n] for n in test]


def drawn(
    count: int, what: str, *, test: float | None, seed: int, train: float | None = None
) -> Drawn:
    """Draw some of so many.

    Args:
        count: How many there are.
        what: What they are, for errors: rows, groups or files.
        test: A share of them, or, as a whole number, so many; what `train` leaves, if None.
        seed: What decides which.
        train: The same of the training's; what `test` leaves, if None.

    Raises:
        TaskError: There are too few.
    """
    try:
        parts = SELECTION.train_test_split(
            np.arange(count), test_size=test, train_size=train, random_state=seed
        )
    except ValueError as error:
        raise TaskError(f"{count} {what} cannot be split: {error}; download them again") from error
    return Drawn(*parts)
