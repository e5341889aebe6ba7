"""Tables against the truth: how many cells of each row are right.

It imports what is slow to import, and reads what an agent wrote: it belongs into a worker.
"""

import io
from pathlib import Path

import numpy as np
import pandas as pd

from proctor.evaluator.documents import listed
from proctor.evaluator.graders.table import Compared, Options
from proctor.evaluator.metrics.base import Array
from proctor.evaluator.tables import ANY_NUMBER, by_id, matched, numbers, read_table
from proctor.evaluator.tolerance import ROUNDING
from proctor.schemas.errors import SubmissionError, TaskError

MAX_ROWS = 1_000_000
"""Of a table whose number of rows is not settled by the truth, or must not be told."""


def right_cells(options: Options, truth: bytes, source: Path | bytes, name: str) -> Compared:
    """The number of right cells of each row of the truth, in its order.

    Raises:
        SubmissionError: The table has not the form asked for.
    """
    columns = (options.id, *options.columns)
    wanted = by_id(read_table(truth, options.truth, columns, ANY_NUMBER), options.id, options.truth)
    settled = options.unknown == options.repeated == "invalid"
    table = read_table(source, name, columns, len(wanted) if settled else MAX_ROWS)
    stray = np.asarray(~table[options.id].isin(wanted.index))
    if options.unknown == "invalid" and stray.any():
        raise SubmissionError(f"{name}: unknown {options.id}: {listed(table[options.id][stray])}")
    missing = wanted.index.difference(pd.Index(table[options.id]))
    if len(missing) and not options.partial:
        raise SubmissionError(f"{name}: missing {options.id}: {listed(missing)}")
    found = by_id(_without_repeats(table[~stray], options), options.id, name)
    there = wanted.index.intersection(found.index)
    right = pd.Series(0, index=wanted.index)
    for column in options.columns:
        same = _same(options, column, wanted.loc[there, column], found.loc[there, column], name)
        right.loc[there] += same.astype(int)
    return Compared([int(count) for count in right], int(stray.sum()))


def check_form(options: Options, public: bytes | None, source: Path, name: str) -> None:
    """Check what can be said of a table without the truth.

    Args:
        options: What it must look like.
        public: The ids that may occur, where they are known to the agent.
        source: The table.
        name: What it is called.

    Raises:
        SubmissionError: It has not the form asked for.
    """
    table = read_table(source, name, (options.id, *options.columns), MAX_ROWS)
    for column, tolerance in options.columns.items():
        if tolerance != "exact":
            numbers(table[column], name)
    found = by_id(_without_repeats(table, options), options.id, name)
    if public is not None and options.unknown == "invalid":
        known = found.index.intersection(pd.Index(_public_ids(options, public)))
        matched(found, known.rename(options.id), name)


def check_ids(options: Options, truth: bytes, public: bytes) -> None:
    """Check that the truth has no ids but public ones.

    Raises:
        TaskError: It has, or those cannot be read.
    """
    columns = (options.id, *options.columns)
    wanted = read_table(truth, options.truth, columns, ANY_NUMBER)[options.id]
    try:
        known = _public_ids(options, public)
    except ValueError as error:
        raise TaskError(f"workspace/{options.ids}: {error}") from error
    if not wanted.isin(known).all():
        raise TaskError(f"grading/{options.truth} has rows that are not in {options.ids}")


def _public_ids(options: Options, public: bytes) -> list[str]:
    table = pd.read_csv(io.BytesIO(public), dtype=str, na_filter=False, usecols=[options.id])
    return [str(id_) for id_ in table[options.id]]


def _without_repeats(table: pd.DataFrame, options: Options) -> pd.DataFrame:
    if options.repeated == "invalid":
        return table
    return table[~table[options.id].duplicated(keep=False)]


def _same(
    options: Options, column: str, expected: "pd.Series[str]", given: "pd.Series[str]", name: str
) -> Array:
    tolerance = options.columns[column]
    if tolerance == "exact":
        return np.asarray(expected == given)
    want, have = numbers(expected, options.truth), numbers(given, name)
    room = np.maximum(tolerance.absolute, tolerance.relative * np.abs(want))
    return np.abs(want - have) <= room * (1 + ROUNDING)
