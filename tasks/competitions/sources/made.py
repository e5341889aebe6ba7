"""What a source makes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from proctor.evaluator.metrics.base import Array


@dataclass(frozen=True)
class Made:
    """Rows, without ids and in any order."""

    table: pl.DataFrame
    """The features and what is to be predicted."""
    targets: tuple[str, ...]
    """Columns that only the training rows show."""
    arrays: Mapping[str, Array] = field(default_factory=dict[str, Array])
    """What is no table, such as images: by name, one entry for each row."""
