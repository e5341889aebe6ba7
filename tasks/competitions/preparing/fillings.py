"""What a sample submission's targets are filled with, so that they tell nothing of the answers."""

from typing import Any

import numpy as np
import polars as pl

from proctor.evaluator.metrics.base import Array
from proctor.tasks.competitions.preparing.splits import column_of
from proctor.tasks.competitions.raw.cells import as_text
from proctor.tasks.competitions.recipe import (
    Cell,
    Filling,
    Linspace,
    MeanOf,
    RandomIntegers,
    SameAs,
    Uniform,
)


def filled_sample(filling: Filling | None, rows: pl.DataFrame, train: pl.DataFrame) -> pl.Series:
    """The cells of one of the sample's targets.

    Args:
        filling: What the recipe says.
        rows: The sample's rows, with the test's columns.
        train: The training rows.

    Raises:
        TaskError: A column is missing.
    """
    if isinstance(filling, SameAs):
        return column_of(rows, filling.same_as, "recipe.sample")
    if isinstance(filling, MeanOf):
        cells = column_of(train, filling.mean_of, "recipe.sample")
        mean: Any = cells.cast(pl.Float64, strict=False).mean()
        return _repeated(mean, rows.height)
    if isinstance(filling, Linspace | RandomIntegers | Uniform):
        return pl.Series([as_text(each) for each in _numbers(filling, rows.height).tolist()])
    return _repeated(filling, rows.height)


def _repeated(value: Cell | None, count: int) -> pl.Series:
    """One cell, so many times."""
    return pl.Series([as_text(value)], dtype=pl.String).new_from_index(0, count)


def _numbers(filling: Linspace | RandomIntegers | Uniform, count: int) -> Array:
    """Numbers that tell nothing."""
    if isinstance(filling, Linspace):
        return np.linspace(*filling.linspace, count)
    if isinstance(filling, RandomIntegers):
        return np.random.RandomState(filling.seed).randint(*filling.integers, count)
    return (
        np.random.default_rng(filling.seed).uniform(*filling.uniform, count).round(filling.digits)
    )
