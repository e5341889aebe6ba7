"""Tables as CSV with a header: RFC 4180's quotes, UTF-8, and as many cells in every row.

pandas fills short rows without a word, so the standard library's reader does it.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import BinaryIO, TypeAlias

from proctor.evaluator.documents import listed, shown
from proctor.schemas.errors import SubmissionError

MAX_COLUMNS = 10_000

Columns: TypeAlias = dict[str, list[str]]
"""Cells as text, by the column's name."""


def read_csv(source: BinaryIO, name: str, wanted: Sequence[str], max_rows: int) -> Columns:
    """Read all columns; blank lines are passed over.

    Raises:
        SubmissionError: It is no such table, or has more than `max_rows` rows.
    """
    with io.TextIOWrapper(source, encoding="utf-8-sig", newline="") as text:
        rows = _rows(text, name)
        _, header = next(rows, (0, list[str]()))
        if not header:
            raise SubmissionError(f"{name} is empty; it must begin with the names of its columns")
        check_names(header, wanted, name)
        columns: list[list[str]] = [[] for _ in header]
        for count, (line, row) in enumerate(rows, start=1):
            if count > max_rows:
                raise SubmissionError(f"{name} has more than {max_rows} rows")
            if len(row) != len(header):
                raise SubmissionError(
                    f"{name} is not a CSV table: line {line} has {len(row)} cells, "
                    f"and the header {len(header)}"
                )
            for column, text_ in zip(columns, row, strict=True):
                column.append(text_)
    return dict(zip(header, columns, strict=True))


def cell(value: object, name: str) -> str:
    """A value as text: numbers as Python writes them, ``true`` and ``false``, nothing for null.

    Raises:
        SubmissionError: It is an array, an object, or of some other kind.
    """
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    raise SubmissionError(f"{name} holds an array or object in a cell")


def check_names(found: Sequence[str], wanted: Sequence[str], table: str) -> None:
    """Check that a table has the columns that are wanted, each once, and no others.

    Raises:
        SubmissionError: It has not.
    """
    if len(found) > MAX_COLUMNS:
        raise SubmissionError(f"{table} has {len(found)} columns, more than {MAX_COLUMNS}")
    if twice := [name for name, count in Counter(found).items() if count > 1]:
        raise SubmissionError(f"{table}: the column {shown(twice[0])} stands twice")
    if missing := [name for name in wanted if name not in found]:
        raise SubmissionError(f"{table} has no column {listed(missing)}; it has {listed(found)}")
    if extra := [name for name in found if name not in wanted]:
        raise SubmissionError(f"{table} has a column too many: {listed(extra)}")


def _rows(text: Iterator[str], name: str) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not blank, each with the number of the line on which it ends."""
    reader = csv.reader(_without_nul(text, name), strict=True)
    try:
        for row in reader:
            if row:
                yield reader.line_num, row
    except UnicodeDecodeError as error:
        raise SubmissionError(
            f"{name} is not text in UTF-8, after line {reader.line_num}: {error.reason}"
        ) from error
    except csv.Error as error:
        raise SubmissionError(
            f"{name} is not a CSV table, in line {reader.line_num}: {error}"
        ) from error


def _without_nul(lines: Iterator[str], name: str) -> Iterator[str]:
    for line in lines:
        if "\0" in line:
            raise SubmissionError(f"{name} is not text in UTF-8: it holds NUL characters")
        yield line
