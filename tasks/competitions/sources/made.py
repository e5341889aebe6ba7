"""What a source makes."""

from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True)
class Made:
    """Rows in any order, without ids unless they have some of their own."""

    table: pl.DataFrame
    """The features and what is to be predicted."""
    targets: tuple[str, ...]
    """Columns that only the training rows show."""
    files: tuple[bytes, ...] = ()
    """One for each row, in their order; none where rows say everything."""
    suffix: str = ""
    """Of the files' names, which begin with the row's id."""
