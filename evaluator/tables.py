"""Tables that agents wrote, as CSV, JSON or npz: read strictly, or refused with the reason.

Every cell is text, as it stands in the file; what a column holds is decided by whoever reads it.
"""

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import pandas as pd

from proctor.evaluator.arrays import read_npz
from proctor.evaluator.delimited import Columns, cell, check_names, read_csv
from proctor.evaluator.documents import listed, parse_json
from proctor.schemas.errors import SubmissionError

ANY_NUMBER = 1 << 31
"""Of rows, where nobody limits them."""
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
"""What a number looks like: not as Python's "1_0" or "inf"."""

Numbers = np.ndarray[Any, np.dtype[np.float64]]


def read_table(
    source: Path | bytes, name: str, columns: Sequence[str], max_rows: int
) -> pd.DataFrame:
    """Read a table that has these columns, in any order, and no other.

    Args:
        source: The file or what it holds: CSV with a header, a JSON array of objects, or an
            archive of numpy's with an array for each column.
        name: What the file is called; it ends in ``.json`` or ``.npz``, or it is CSV.
        columns: Their names.
        max_rows: More are refused.

    Returns:
        A frame of text, in the order of `columns`.

    Raises:
        SubmissionError: It is not such a table.
    """
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as opened:
        if name.endswith(".json"):
            found = _read_json(opened, name, columns)
        elif name.endswith(".npz"):
            found = read_npz(opened, name, columns, max_rows)
        else:
            found = read_csv(opened, name, columns, max_rows)
    table = pd.DataFrame(found, columns=list(columns), dtype=str)
    if len(table) > max_rows:
        raise SubmissionError(f"{name} has more than {max_rows} rows")
    return table


def by_id(table: pd.DataFrame, column: str, name: str) -> pd.DataFrame:
    """A table with its ids as index.

    Raises:
        SubmissionError: An id stands twice, or is missing.
    """
    ids = table[column]
    if (ids == "").any():
        raise SubmissionError(f"{name}: {int((ids == '').sum())} rows have no {column}")
    if ids.duplicated().any():
        raise SubmissionError(f"{name}: {column} stands twice: {listed(ids[ids.duplicated()])}")
    return table.set_index(column)


def matched(table: pd.DataFrame, wanted: pd.Index, name: str) -> pd.DataFrame:
    """The rows of a table in the order of the ids that are wanted.

    Raises:
        SubmissionError: An id is missing or unknown.
    """
    if len(unknown := table.index.difference(wanted)):
        raise SubmissionError(f"{name}: unknown {wanted.name}: {listed(unknown)}")
    if len(missing := wanted.difference(table.index)):
        raise SubmissionError(f"{name}: missing {wanted.name}: {listed(missing)}")
    return table.loc[wanted]


def numbers(cells: "pd.Series[str]", name: str) -> Numbers:
    """The cells of a column as finite numbers.

    Raises:
        SubmissionError: One is not.
    """
    read = [float(text) if NUMBER.fullmatch(text.strip()) else np.nan for text in cells]
    found = np.asarray(read, dtype=np.float64)
    wrong = ~np.isfinite(found)
    if wrong.any():
        raise SubmissionError(
            f"{name}: {int(wrong.sum())} of {len(cells)} values of {cells.name} are no finite "
            f"numbers: {listed(cells[wrong])}"
        )
    return found


def _read_json(source: BinaryIO, name: str, wanted: Sequence[str]) -> Columns:
    rows: Any = parse_json(source.read(), name)
    if not isinstance(rows, list) or not all(_is_object(row) for row in cast("list[object]", rows)):
        raise SubmissionError(f"{name} is not an array of objects, one for each row")
    objects = cast("list[dict[str, object]]", rows)
    if not objects:
        raise SubmissionError(f"{name} has no rows")
    first = objects[0].keys()
    check_names([*first], wanted, name)
    if odd := next((n for n, row in enumerate(objects) if row.keys() != first), None):
        raise SubmissionError(f"{name}: row {odd} has other columns than the first")
    return {key: [cell(row[key], name) for row in objects] for key in first}


def _is_object(row: object) -> bool:
    return isinstance(row, dict)
