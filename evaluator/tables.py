"""Tables that agents wrote, as CSV or JSON: read strictly, or refused with the reason.

Every cell is text, as it stands in the file; what a column holds is decided by whoever reads it.
"""

import csv
import io
import json
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from proctor.schemas.errors import SubmissionError

HEADER_BYTES = 1 << 20
ANY_NUMBER = 1 << 31
"""Of rows, where nobody limits them."""
SHOWN = 5
"""So many ids or names are named in a refusal."""

Numbers = np.ndarray[Any, np.dtype[np.float64]]


def read_table(
    source: Path | bytes, name: str, columns: Sequence[str], max_rows: int
) -> pd.DataFrame:
    """Read a table that has these columns, in any order, and no other.

    Args:
        source: The file or what it holds, as CSV with a header or as a JSON array of objects.
        name: What the file is called; one that ends in ``.json`` is JSON.
        columns: Their names.
        max_rows: More are refused.

    Returns:
        A frame of text, in the order of `columns`.

    Raises:
        SubmissionError: It is not such a table.
    """
    table = (
        _read_json(source, name) if name.endswith(".json") else _read_csv(source, name, max_rows)
    )
    _check_columns(list(table.columns), columns, name)
    if len(table) > max_rows:
        raise SubmissionError(f"{name} has more than {max_rows} rows")
    return table[list(columns)]


def by_id(table: pd.DataFrame, column: str, name: str) -> pd.DataFrame:
    """A table with its ids as index.

    Raises:
        SubmissionError: An id stands twice, or is missing.
    """
    ids = table[column]
    if (ids == "").any():
        raise SubmissionError(f"{name}: {int((ids == '').sum())} rows have no {column}")
    if ids.duplicated().any():
        raise SubmissionError(f"{name}: {column} stands twice: {_some(ids[ids.duplicated()])}")
    return table.set_index(column)


def matched(table: pd.DataFrame, wanted: pd.Index, name: str) -> pd.DataFrame:
    """The rows of a table in the order of the ids that are wanted.

    Raises:
        SubmissionError: An id is missing or unknown.
    """
    if len(unknown := table.index.difference(wanted)):
        raise SubmissionError(f"{name}: unknown {wanted.name}: {_some(unknown)}")
    if len(missing := wanted.difference(table.index)):
        raise SubmissionError(f"{name}: missing {wanted.name}: {_some(missing)}")
    return table.loc[wanted]


def numbers(cells: "pd.Series[str]", name: str) -> Numbers:
    """The cells of a column as finite numbers.

    Raises:
        SubmissionError: One is not.
    """
    try:
        found = pd.to_numeric(cells.str.strip(), errors="coerce").to_numpy(np.float64)
    except OverflowError as error:
        raise SubmissionError(f"{name}: {cells.name}: {error}") from error
    wrong = ~np.isfinite(found)
    if wrong.any():
        raise SubmissionError(
            f"{name}: {int(wrong.sum())} of {len(cells)} values of {cells.name} are no finite "
            f"numbers: {_some(cells[wrong])}"
        )
    return found


def _read_csv(source: Path | bytes, name: str, max_rows: int) -> pd.DataFrame:
    header = _header(source, name)
    if repeated := [column for column, count in Counter(header).items() if count > 1]:
        raise SubmissionError(f"{name}: the column {repeated[0]!r} stands twice")
    opened = io.BytesIO(source) if isinstance(source, bytes) else source
    try:  # fields that a row lacks are read as empty
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            table = pd.read_csv(
                opened, dtype=str, na_filter=False, index_col=False, encoding="utf-8-sig",
                skipinitialspace=False, nrows=max_rows + 1,
            )  # fmt: skip
    except UnicodeDecodeError as error:
        raise SubmissionError(f"{name} is not UTF-8: {error.reason}") from error
    except (pd.errors.ParserError, pd.errors.ParserWarning, ValueError) as error:
        raise SubmissionError(f"{name} is not a CSV table: {error}") from error
    return table


def _header(source: Path | bytes, name: str) -> list[str]:
    if isinstance(source, bytes):
        first = source[:HEADER_BYTES]
    else:
        with source.open("rb") as file:
            first = file.read(HEADER_BYTES)
    try:
        line = first.decode("utf-8-sig", "ignore" if len(first) == HEADER_BYTES else "strict")
        header = next(csv.reader(io.StringIO(line)), None)
    except (UnicodeDecodeError, csv.Error) as error:
        raise SubmissionError(f"{name} is not a CSV table in UTF-8: {error}") from error
    if not header:
        raise SubmissionError(f"{name} is empty; it must begin with the names of its columns")
    return header


def _read_json(source: Path | bytes, name: str) -> pd.DataFrame:
    raw = source if isinstance(source, bytes) else source.read_bytes()
    try:
        rows: Any = json.loads(
            raw.decode("utf-8-sig"), parse_constant=_refuse, object_pairs_hook=_once
        )
    except RecursionError:
        raise SubmissionError(f"{name} is nested too deeply") from None
    except ValueError as error:
        raise SubmissionError(f"{name} is not JSON in UTF-8: {error}") from error
    if not isinstance(rows, list) or not all(_is_object(row) for row in cast("list[object]", rows)):
        raise SubmissionError(f"{name} is not an array of objects, one for each row")
    listed = cast("list[dict[str, object]]", rows)
    if not listed:
        raise SubmissionError(f"{name} has no rows")
    first = listed[0].keys()
    if odd := next((n for n, row in enumerate(listed) if row.keys() != first), None):
        raise SubmissionError(f"{name}: row {odd} has other columns than the first")
    return pd.DataFrame(
        {key: [_cell(row[key], name) for row in listed] for key in first}, dtype=str
    )


def _is_object(row: object) -> bool:
    return isinstance(row, dict)


def _cell(value: object, name: str) -> str:
    if value is None:
        return ""
    if isinstance(value, list | dict):
        raise SubmissionError(f"{name} holds an array or object in a cell")
    return value if isinstance(value, str) else json.dumps(value)


def _check_columns(found: Sequence[str], wanted: Sequence[str], name: str) -> None:
    if missing := [column for column in wanted if column not in found]:
        raise SubmissionError(f"{name} has no column {_some(missing)}; it has {_some(found)}")
    if extra := [column for column in found if column not in wanted]:
        raise SubmissionError(f"{name} has a column too many: {_some(extra)}")


def _some(values: Any) -> str:  # noqa: ANN401 - anything that can be iterated over
    listed = [f"{value!s:.40}" for _, value in zip(range(SHOWN), values, strict=False)]
    more = len(values) - len(listed)
    return ", ".join(map(repr, listed)) + (f" and {more} more" if more > 0 else "")


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a JSON value")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice in one object")
    return found
