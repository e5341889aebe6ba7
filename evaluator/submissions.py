"""A competition's submission: a CSV table of up to millions of rows, in the order of the answers.

polars reads and joins on every core, several times as fast as pandas. Nothing is guessed: every
cell is text until a column is asked for as numbers, and what is wrong is said with counts and ids.
"""

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import polars as pl
from polars.exceptions import PanicException, PolarsError

from proctor.evaluator.delimited import MAX_COLUMNS
from proctor.evaluator.documents import listed, shown
from proctor.evaluator.matching import matched_rows
from proctor.evaluator.metrics.base import Array
from proctor.schemas.competition import Form
from proctor.schemas.errors import SubmissionError

MAX_HEADER_BYTES = 1 << 20
PEEK = 100
"""Cells that mostly tell already whether a column holds numbers."""
AT = "row of the submission"
TURN = "n-th row of its id"
Types: TypeAlias = Mapping[str, type[pl.Int64 | pl.Float64]]


def read_csv(
    source: Path | bytes,
    name: str,
    wanted: Sequence[str],
    max_rows: int,
    *types: Types,
) -> pl.DataFrame:
    """Read the columns that are wanted; others are passed over, and so are blank lines.

    Args:
        source: A file or what it holds.
        name: What it is called.
        wanted: The columns' names.
        max_rows: More are refused.
        types: What columns are read as at once: the first of these that suits every cell. Other
            columns are text, and all are where none does.

    Raises:
        SubmissionError: It is no CSV table in UTF-8, or lacks a column, or has one twice.
    """
    check_header(_head(source), name, wanted)
    try:
        table = _parsed(source, max_rows, types[0] if types else {})
    except (PolarsError, PanicException) as error:  # a lone quote as a number makes it panic
        if types:  # perhaps for one cell, which whoever asks for numbers will name
            return read_csv(source, name, wanted, max_rows, *types[1:])
        said = str(error).partition("\n")[0]
        raise SubmissionError(f"{name} is not a CSV table in UTF-8: {shown(said)}") from error
    if missing := [each for each in wanted if each not in table.columns]:
        raise SubmissionError(  # a line that ends otherwise is none to polars
            f"{name}: its first line does not end after {listed(missing)}; end lines with a line "
            "feed, and not with a carriage return alone"
        )
    if all(column.null_count() for column in table.iter_columns()):
        table = table.filter(~pl.all_horizontal(pl.all().is_null()))
    if types and any(
        table[name].null_count() for name, kind in types[0].items() if kind == pl.Int64
    ):
        return read_csv(source, name, wanted, max_rows, *types[1:])  # an empty cell is no number
    if table.height > max_rows:
        raise SubmissionError(f"{name} has more than {max_rows} rows")
    blank = [each for each in wanted if table[each].dtype == pl.String and table[each].null_count()]
    return table.select(wanted).with_columns(pl.col(blank).fill_null(""))


def check_header(head: bytes, name: str, wanted: Sequence[str]) -> None:
    """Check that a table has the columns that are wanted, and no name twice.

    Raises:
        SubmissionError: It has not.
    """
    try:
        lines = io.StringIO(head.decode("utf-8-sig"), newline="")
        columns = next(csv.reader(lines), list[str]())
    except UnicodeDecodeError as error:
        raise SubmissionError(f"{name} has no header in UTF-8: {error}") from error
    except csv.Error as error:
        said = f"{name} has no header with the names of its columns: {error}"
        raise SubmissionError(f"{said}; is there a line break, and each quote closed?") from error
    if not columns:
        raise SubmissionError(f"{name} is empty; it must begin with the names of its columns")
    if len(columns) > MAX_COLUMNS:
        raise SubmissionError(f"{name} has {len(columns)} columns, more than {MAX_COLUMNS}")
    if twice := sorted(each for each, count in Counter(columns).items() if count > 1):
        raise SubmissionError(f"{name}: the column {listed(twice)} stands twice")
    if missing := [each for each in wanted if each not in columns]:
        raise SubmissionError(f"{name} has no column {listed(missing)}; it has {listed(columns)}")


def aligned(table: pl.DataFrame, answers: pl.DataFrame, form: Form, name: str) -> pl.DataFrame:
    """The rows of a submission in the order of the answers, one for each.

    Ids that are whole numbers throughout the answers are compared as numbers, so that ``0300`` is
    ``300``; others as text.

    Raises:
        SubmissionError: Ids are missing or unknown, or stand in more or fewer rows.
    """
    ids = list(form.ids)
    keys, wanted = _comparable(table.select(ids), answers.select(ids))
    if form.repeated == "in order":
        keys, wanted = _numbered(keys, ids), _numbered(wanted, ids)
    at = matched_rows(keys, wanted)  # the answers' own ids are checked beforehand
    if at is not None:
        return _taken(table, at, answers.select(ids))
    if form.repeated == "invalid":
        _check_repeated(keys, ids, name)
    on = keys.columns
    found = wanted.join(keys.with_row_index(AT), on=on, how="left", maintain_order="left")[AT]
    if found.null_count():
        missing = answers.select(ids).filter(found.is_null())
        raise SubmissionError(f"{name}: missing {_named(ids)}: {_some(missing)}")
    if table.height > answers.height and form.unknown == "invalid":
        unknown = table.select(ids).filter(~pl.Series(np.isin(np.arange(table.height), found)))
        raise SubmissionError(f"{name}: unknown {_named(ids)}: {_some(unknown)}")
    return _taken(table, found.to_numpy(), answers.select(ids))


def numbers(table: pl.DataFrame, columns: Sequence[str], ids: Sequence[str], name: str) -> Array:
    """Columns as finite numbers, of shape ``(n_rows, n_columns)``.

    Raises:
        SubmissionError: A cell is something else.
    """
    found = np.empty((table.height, len(columns)), order="F")
    for n, column in enumerate(columns):
        found[:, n] = _as_numbers(table[column])
        wrong = ~np.isfinite(found[:, n])
        if wrong.any():
            cells = table.filter(pl.Series(wrong)).head(6)
            raise SubmissionError(
                f"{name}: {int(wrong.sum())} of {table.height} values of {column} are no finite "
                f"numbers: {listed(cells[column], 3)}, of {_named(ids)} {_some(cells.select(ids))}"
            )
    return found


def are_numbers(cells: pl.Series) -> bool:
    """Whether every cell of a column is a finite number."""
    if not np.isfinite(_as_numbers(cells.head(PEEK))).all():
        return False
    return bool(np.isfinite(_as_numbers(cells)).all())


def _as_numbers(cells: pl.Series) -> Array:
    """A column's numbers; NaN where a cell is none."""
    found = cells.cast(pl.Float64, strict=False)
    if found.null_count() and cells.dtype == pl.String:  # perhaps for blanks around it
        found = cells.str.strip_chars().cast(pl.Float64, strict=False)
    return found.fill_null(float("nan")).to_numpy()


def _parsed(source: Path | bytes, max_rows: int, types: Types) -> pl.DataFrame:
    return pl.read_csv(
        source,
        infer_schema=False,
        schema_overrides=types,
        n_rows=max_rows + 1,
        raise_if_empty=False,
        glob=False,
    )


def _taken(table: pl.DataFrame, at: Array, ids: pl.DataFrame) -> pl.DataFrame:
    """Rows of a table, under the ids that they were matched to."""
    return ids.with_columns(
        pl.Series(column.name, column.to_numpy()[at])  # four times as fast as by polars
        if column.dtype.is_numeric()
        else column.rechunk()[at]
        for column in table.drop(ids.columns).iter_columns()
    )


def _head(source: Path | bytes) -> bytes:
    """The first line, or several where a name holds a line break."""
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as opened:
        lines = [opened.readline(MAX_HEADER_BYTES)]
        size, quotes = len(lines[0]), lines[0].count(b'"')
        while quotes % 2 and size < MAX_HEADER_BYTES:
            more = opened.readline(MAX_HEADER_BYTES)
            if not more:
                break
            lines.append(more)
            size, quotes = size + len(more), quotes + more.count(b'"')
    return b"".join(lines)


def _comparable(table: pl.DataFrame, answers: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The ids of both, column by column as whole numbers where all of the answers' are."""
    for column in answers.columns:
        if answers[column].dtype == table[column].dtype == pl.Int64:
            continue
        whole = answers[column].head(PEEK).cast(pl.Int64, strict=False)
        if whole.null_count() == 0:
            whole = answers[column].cast(pl.Int64, strict=False)
        if whole.null_count() == 0:
            theirs = table[column].cast(pl.Int64, strict=False)
            answers = answers.with_columns(whole)
            if theirs.null_count() == 0:
                table = table.with_columns(theirs)
            else:  # text, so that the ids that are none can be named
                answers = answers.with_columns(whole.cast(pl.String))
                plain = pl.coalesce(theirs.cast(pl.String), table[column])
                table = table.with_columns(plain.alias(column))
    return table, answers


def _numbered(keys: pl.DataFrame, ids: Sequence[str]) -> pl.DataFrame:
    return keys.with_columns(pl.int_range(pl.len()).over(ids).alias(TURN))


def _check_repeated(keys: pl.DataFrame, ids: Sequence[str], name: str) -> None:
    if keys.n_unique() < keys.height:
        twice = keys.filter(keys.is_duplicated()).unique(maintain_order=True)
        raise SubmissionError(f"{name}: {_named(ids)} stands twice: {_some(twice)}")


def _named(ids: Sequence[str]) -> str:
    return "/".join(ids)


def _some(rows: pl.DataFrame) -> str:
    """The first few ids of rows, and how many there are."""
    shown_ids = ["/".join(map(str, row)) for row in rows.head(5).rows()]
    more = f" and {rows.height - 5} more" if rows.height > 5 else ""  # noqa: PLR2004 - as above
    return listed(shown_ids) + more
