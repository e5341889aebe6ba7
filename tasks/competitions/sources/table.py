"""``table``: a table of somebody's own, which lies beside ``competition.toml`` as CSV or Parquet.

Cells are numbers where a whole column is, and text elsewhere: nothing is rounded, no date is
rewritten, and a code such as ``007`` stays one.
"""

import csv
import hashlib
import io
import re
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import polars.selectors as cs
from polars.exceptions import PolarsError
from pydantic import Field

from proctor.evaluator.documents import listed
from proctor.evaluator.submissions import check_header
from proctor.schemas.base import Value
from proctor.schemas.errors import SubmissionError, TaskError
from proctor.tasks.competitions.sources.made import Made
from proctor.tasks.formats.reading import read_bytes, read_text

CSV, PARQUET = ".csv", ".parquet"
EMPTY = (
    *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"),
    *("<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
)
"""Cells that pandas takes for missing ones, and so would whoever reads the files with it."""
CODE = r"^\s*[+-]?(0\d|\d{19})"
"""Digits that are no number: they begin with a zero, or a 64-bit integer cannot hold them."""
TIME = re.compile(r"\d{4}(?:[-/.]\d\d(?:[-/.]\d\d(?:[ T]\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z?)?)?)?")
"""Texts that stand in the order of time when they stand in their own."""
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
OTHER_SEPARATORS = (";", "\t", "|")


class Settings(Value):
    """Which file it is, and what its columns are for."""

    file: str = Field(pattern=r"^data\.(csv|parquet)$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    target: str
    positive: str = ""
    """The target's value that counts as 1, and any other as 0; if empty, it stays as it is."""
    ids: str = ""
    """The column of ids; if empty, new ones are made."""
    drop: tuple[str, ...] = ()
    """Columns that nobody gets to see."""


def read(settings: Settings, place: Path) -> Made:
    """The rows, with ids if the file has them.

    Args:
        settings: What there is to know of the file.
        place: The directory that it lies in.

    Raises:
        TaskError: It is another file than it was, or has no such columns.
    """
    path = place / settings.file
    if hashlib.sha256(read_bytes(path)).hexdigest() != settings.sha256:
        raise TaskError(
            f"{path}: not the file that the competition was made of; put that back, or make the "
            "competition anew with 'proctor competitions new --force'"
        )
    ids = [settings.ids] if settings.ids else []
    table = read_table(path, settings.drop, [*ids, settings.target])
    if settings.positive:
        table = table.with_columns(as_ones(table[settings.target], settings.positive))
    return Made(
        table.select(*ids, pl.exclude(*ids, settings.target), settings.target), (settings.target,)
    )


def as_ones(cells: pl.Series, positive: str) -> pl.Series:
    """1 where a cell is `positive`, and 0 elsewhere."""
    return (cells.cast(pl.String) == positive).cast(pl.Int64)


def read_table(path: Path, drop: Sequence[str] = (), used: Sequence[str] = ()) -> pl.DataFrame:
    """A file's columns: whole numbers, finite numbers, or text.

    Args:
        path: The file.
        drop: Columns to leave out.
        used: Further columns that it must have.

    Raises:
        TaskError: It is no such table; the message says what to do.
    """
    if path.suffix.lower() not in (CSV, PARQUET):
        raise TaskError(f"{path}: neither .csv nor .parquet; save the table as one of these")
    is_csv = path.suffix.lower() == CSV
    table = _read_csv(path) if is_csv else _read_parquet(path)
    if missing := [each for each in (*used, *drop) if each not in table.columns]:
        raise TaskError(f"{path}: no column {listed(missing)}; it has {listed(table.columns, 20)}")
    table = table.drop(drop)
    if odd := [each for each in table.columns if CONTROL.search(each)]:
        raise TaskError(
            f"{path}: the column's name {odd[0]!r} holds a line break or another control "
            "character, which instructions cannot show; name it in one line"
        )
    table = _typed(table) if is_csv else _plain(table, path)
    if not table.height:
        raise TaskError(f"{path}: it has no rows below its header")
    return table


def _read_csv(path: Path) -> pl.DataFrame:
    """All cells as text.

    Raises:
        TaskError: It is no CSV table with a header.
    """
    text = read_text(path)
    if "\0" in text:
        raise TaskError(f"{path}: not text; save the table as CSV in UTF-8")
    try:
        check_header(text.encode(), str(path), ())
        _check_rows(path, text)
        table = pl.read_csv(text.encode(), infer_schema=False)
    except SubmissionError as error:
        raise TaskError(str(error)) from error
    except (PolarsError, csv.Error) as error:
        said = str(error).partition("\n")[0]
        raise TaskError(f"{path}: not CSV: {said}") from error
    return table.filter(~pl.all_horizontal(pl.all().is_null()))


def _check_rows(path: Path, text: str) -> None:
    """Check the header, and that each row is as long: polars fills up what is short."""
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    names = next(rows)
    if odd := [each for each in OTHER_SEPARATORS if len(names) == 1 and each in names[0]]:
        raise TaskError(f"{path}: columns stand apart by {odd[0]!r}; save it with commas")
    if any(_is_number(each) for each in names):
        raise TaskError(f"{path}: no header: its first line is {listed(names)}; name the columns")
    if not all(each.strip() for each in names):
        n = [bool(each.strip()) for each in names].index(False) + 1
        raise TaskError(f"{path}: column {n} has no name; name it, or leave it out")
    for row in rows:
        if row and len(row) != len(names):
            raise TaskError(
                f"{path}: the row that ends in line {rows.line_num} has {len(row)} of "
                f"{len(names)} cells; fill it up, or quote cells that hold commas"
            )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.lower() not in ("nan", "inf", "infinity")


def _typed(table: pl.DataFrame) -> pl.DataFrame:
    table = table.with_columns(pl.all().replace(EMPTY, None))
    return table.with_columns(_as_numbers(column) for column in table.iter_columns())


def _as_numbers(cells: pl.Series) -> pl.Series:
    """A column of text as numbers, where each cell that is there is one."""
    if cells.null_count() == len(cells) or cells.str.contains(CODE).any():
        return cells
    for kind in (pl.Int64, pl.Float64):
        found = cells.str.strip_chars().cast(kind, strict=False)
        if found.null_count() == cells.null_count() and found.is_finite().all():
            return found
    return cells


def _read_parquet(path: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(io.BytesIO(read_bytes(path)))
    except PolarsError as error:
        said = str(error).partition("\n")[0]
        raise TaskError(f"{path}: not a Parquet file: {said}") from error


def _plain(table: pl.DataFrame, path: Path) -> pl.DataFrame:
    """Columns of a Parquet file as a CSV file has them; moments in UTC, as ISO 8601 writes them."""
    number = cs.float() | cs.decimal()
    text = cs.string() | cs.categorical() | cs.enum() | cs.boolean() | cs.date()
    odd = table.select(~(number | text | cs.integer() | cs.datetime())).columns
    if odd:
        raise TaskError(
            f"{path}: {odd[0]!r} holds {table[odd[0]].dtype}, which a CSV file cannot; "
            "leave it out with --drop"
        )
    table = table.with_columns(
        cs.datetime(time_zone="*").dt.convert_time_zone("UTC").dt.replace_time_zone(None),
    ).with_columns(
        number.cast(pl.Float64).fill_nan(None),
        cs.integer().cast(pl.Int64, strict=False),
        (text | cs.datetime()).cast(pl.String).replace(EMPTY, None),
    )
    infinite = [c.name for c in table.select(cs.float()).iter_columns() if c.is_infinite().any()]
    if infinite:
        raise TaskError(f"{path}: {infinite[0]!r} has infinities; leave their cells empty")
    return table
