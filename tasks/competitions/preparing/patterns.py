"""Patterns of a recipe, filled in for all rows of a table at once."""

import re
from collections.abc import Iterator
from string import Formatter

import polars as pl

from proctor.schemas.errors import TaskError

FILLED = "\0filled"
COLUMN = re.compile(r"(?P<name>[^\[]+)(\[(?P<letter>\d+)\])?")


def columns_of(pattern: str) -> tuple[str, ...]:
    """The columns that a pattern names, each once."""
    names = (_column(name)["name"] for _, name, _, _ in Formatter().parse(pattern) if name)
    return tuple(dict.fromkeys(names))


def filled(pattern: str, table: pl.DataFrame, key: str) -> pl.Series:
    """The pattern for each row.

    Args:
        pattern: A pattern, as a recipe checked it.
        table: What has the columns.
        key: Where the pattern stands, for errors.

    Raises:
        TaskError: There is no such column.
    """
    for name in columns_of(pattern):
        if name not in table.columns:
            raise TaskError(f"{key}: {pattern!r}: there is no column {name!r}")
    whole = pl.concat_str(list(_pieces(pattern))).alias(FILLED)
    return table.with_columns(whole)[FILLED]  # `select` would make one row of a pattern without any


def _pieces(pattern: str) -> Iterator[pl.Expr]:
    for text, name, filling, _ in Formatter().parse(pattern):
        yield pl.lit(text)
        if not name:
            continue
        said = _column(name)
        cell = pl.col(said["name"]).cast(pl.String).fill_null("")
        if said["letter"]:
            cell = cell.str.slice(int(said["letter"]), 1)
        if filling:
            width = int(filling[2:])
            padded = cell.str.pad_start if filling[1] == ">" else cell.str.pad_end
            cell = padded(width, filling[0])
        yield cell


def _column(name: str) -> "re.Match[str]":
    found = COLUMN.fullmatch(name)
    if found is None:
        raise ValueError(f"{name!r} was no column in a pattern")
    return found
