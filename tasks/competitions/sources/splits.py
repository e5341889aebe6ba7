"""Which rows are held back: any, whole groups, or the latest."""

from typing import NamedTuple

import numpy as np
import polars as pl

from proctor.evaluator.metrics.base import Array
from proctor.schemas.errors import TaskError
from proctor.tasks.competitions.definition import SourceSplit


class Parts(NamedTuple):
    """Row numbers, in the order in which the files have them."""

    train: Array
    test: Array


def split_rows(split: SourceSplit, table: pl.DataFrame) -> Parts:
    """Split rows at random, reproducibly.

    Raises:
        TaskError: There is no such column, or one part would be empty.
    """
    rng = np.random.default_rng(split.seed)
    order = rng.permutation(table.height)
    if split.by == "rows":
        held_back = order < round(split.test * table.height)
    else:
        held_back = _held_back(split, table, rng)
    if split.by == "time":  # rows stand in the order of time, within a time in any
        order = order[np.argsort(_column(split, table)[order], kind="stable")]
    parts = Parts(order[~held_back[order]], order[held_back[order]])
    if not (len(parts.train) and len(parts.test)):
        raise TaskError(f"split.test: {split.test} leaves a part without rows")
    return parts


def _held_back(split: SourceSplit, table: pl.DataFrame, rng: np.random.Generator) -> Array:
    """Whether each row is the test's."""
    cells = _column(split, table)
    values = np.unique(cells)
    count = round(split.test * len(values))
    chosen = values[-count:] if split.by == "time" else rng.permutation(values)[:count]
    return np.isin(cells, chosen) if count else np.zeros(table.height, dtype=bool)


def _column(split: SourceSplit, table: pl.DataFrame) -> Array:
    if split.column not in table.columns:
        raise TaskError(f"split.column: there is no column {split.column!r}")
    return table[split.column].to_numpy()
