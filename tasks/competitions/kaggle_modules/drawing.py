"""No competition of its own: files drawn for the test, for those whose raw files have no table."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple

from proctor.schemas.errors import TaskError

SELECTION: Any = import_module("sklearn.model_selection")
"""It has no types of its own."""


class Drawn(NamedTuple):
    """Paths of both parts, as drawn."""

    train: list[str]
    test: list[str]


def drawn(paths: Sequence[str], test: float, seed: int) -> Drawn:
    """Draw a share of the files, as MLE-bench does.

    Raises:
        TaskError: There are too few.
    """
    try:
        parts = SELECTION.train_test_split(list(paths), test_size=test, random_state=seed)
    except ValueError as error:
        raise TaskError(f"{len(paths)} files cannot be split; download them again") from error
    return Drawn(*parts)
