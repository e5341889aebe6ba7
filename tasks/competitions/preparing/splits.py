"""Which rows of a raw table are the test's, as a recipe says it."""

from typing import NamedTuple

import numpy as np
import polars as pl

from proctor.evaluator.metrics.base import Array
from proctor.schemas.errors import TaskError
from proctor.tasks.competitions.drawing import Drawn, drawn
from proctor.tasks.competitions.raw.cells import in_order
from proctor.tasks.competitions.raw.files import Raw
from proctor.tasks.competitions.recipe import (
    GivenSplit,
    GroupSplit,
    RecipeSplit,
    RowSplit,
    TimeSplit,
    ValueSplit,
)


class Divided(NamedTuple):
    """Two tables, made of one."""

    train: pl.DataFrame
    test: pl.DataFrame


def divide(split: RecipeSplit, table: pl.DataFrame, raw: Raw, ids: tuple[str, ...]) -> Divided:
    """The training's rows and the test's.

    Args:
        split: What the recipe says.
        table: The raw table.
        raw: Where further tables are found.
        ids: What tables of a given test are matched on.

    Raises:
        TaskError: A column is missing, or a part would be empty.
    """
    if isinstance(split, GivenSplit):
        parts = Divided(table, _given(split, raw, ids))
    else:
        train, test = _rows(split, table, raw)
        parts = Divided(table[train], table[test])
    if not (parts.train.height and parts.test.height):
        raise TaskError("recipe.split leaves a part without rows; the raw table is not whole")
    return parts


def column_of(table: pl.DataFrame, column: str, key: str) -> pl.Series:
    """A column.

    Raises:
        TaskError: There is none.
    """
    if column not in table.columns:
        raise TaskError(f"{key}: there is no column {column!r}")
    return table[column]


def _rows(split: RecipeSplit, table: pl.DataFrame, raw: Raw) -> Drawn:
    """The numbers of the training's rows and of the test's."""
    if isinstance(split, RowSplit):
        return _any_rows(split, table.height, raw)
    if isinstance(split, GroupSplit):
        return _groups(split, column_of(table, split.column, "recipe.split.column"))
    if isinstance(split, TimeSplit):
        is_test = _latest(split, column_of(table, split.column, "recipe.split.column"))
    elif isinstance(split, ValueSplit):
        cells = column_of(table, split.column, "recipe.split.column").cast(pl.String)
        is_test = cells.is_in(split.test).to_numpy()
    else:
        raise TypeError(f"{split.by} is no split of one table")
    return Drawn(np.flatnonzero(~is_test), np.flatnonzero(is_test))


def _any_rows(split: RowSplit, height: int, raw: Raw) -> Drawn:
    size = split.test
    if split.like:
        count = len(raw.names(split.like)) if "*" in split.like else raw.table(split.like).height
        if not count:
            raise raw.missing(split.like)
        size = count / (count + height)
    train, test = drawn(height, "rows", test=size, train=split.train, seed=split.seed)
    return Drawn(np.sort(train), np.sort(test)) if split.order == "file" else Drawn(train, test)


def _groups(split: GroupSplit, cells: pl.Series) -> Drawn:
    values = cells.unique(maintain_order=True)
    if split.groups == "sorted":
        values = values.gather(in_order(values).arg_sort())
    numbers = pl.DataFrame({"value": values, "number": np.arange(len(values))})
    rows = pl.DataFrame({"value": cells}).join(
        numbers, on="value", how="left", nulls_equal=True, maintain_order="left"
    )
    group = rows["number"].to_numpy()
    train, test = drawn(len(values), "groups", test=split.test, seed=split.seed)
    return Drawn(_members(train, group, split.order), _members(test, group, split.order))


def _members(chosen: Array, group: Array, order: str) -> Array:
    """The rows of the groups that were drawn, group by group or as they come."""
    rank = np.full(group.max() + 1, -1)
    rank[chosen] = np.arange(len(chosen))
    rows = np.flatnonzero(rank[group] >= 0)
    return rows[np.argsort(rank[group[rows]], kind="stable")] if order == "shuffled" else rows


def _latest(split: TimeSplit, cells: pl.Series) -> Array:
    try:
        days = cells.cast(pl.String).str.slice(0, 10).str.to_date("%Y-%m-%d")
    except pl.exceptions.PolarsError as error:
        raise TaskError(
            f"recipe.split.column: {split.column!r} has cells that are no dates such as 2020-09-22"
        ) from error
    numbers = days.to_physical().to_numpy()
    return np.asarray(numbers >= numbers.max() - split.days)


def _given(split: GivenSplit, raw: Raw, ids: tuple[str, ...]) -> pl.DataFrame:
    first, *others = split.tables
    table = raw.table(first)
    for each in ids if others else ():
        column_of(table, each, f"recipe.split.tables: {first}")
    for other in others:
        further = raw.table(other)
        for each in ids:
            column_of(further, each, f"recipe.split.tables: {other}")
        new = [*ids, *(each for each in further.columns if each not in table.columns)]
        joined = table.join(further.select(new), on=ids, how="left", maintain_order="left")
        missing = table.join(further, on=ids, how="anti").height
        if missing or joined.height != table.height:
            raise TaskError(f"{other} does not have each row of {first} once; download it again")
        table = joined
    return table
