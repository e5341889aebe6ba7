"""Tables with text cells: read as they are, written as they were.

No type is guessed, so that no digit of a number changes. A JSON object travels along in a column of
its own and is written again from that; what is nested in it is a column with empty cells.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import polars as pl

from proctor.schemas.errors import TaskError

RECORD = "\0record"
"""The column with a row's JSON object. No key in a file is called so."""
SEPARATORS: Mapping[str, str] = {".csv": ",", ".tsv": "\t"}
KINDS = (*SEPARATORS, ".json", ".jsonl", ".parquet")


def read_table(path: Path, name: str) -> pl.DataFrame:
    """The rows of a table; cells are text, but for those of parquet.

    Args:
        path: Where it lies.
        name: What it is called in errors; its ending says what it is.

    Raises:
        TaskError: It is no such table.
    """
    kind = Path(name).suffix.lower()
    try:
        if kind in SEPARATORS:
            return pl.read_csv(
                path,
                separator=SEPARATORS[kind],
                infer_schema=False,
                empty_string_is_null=False,
                glob=False,
            )
        if kind == ".parquet":
            return pl.read_parquet(path, glob=False)
        if kind in (".json", ".jsonl"):
            return _of_records(path.read_text("utf-8-sig"))
    except (pl.exceptions.PolarsError, ValueError, TypeError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TaskError(
            f"{name} is damaged, or no {kind[1:]} table: {said}; download it again"
        ) from error
    raise TaskError(f"{name} is no table; tables end with {', '.join(KINDS)}")


def write_table(
    table: pl.DataFrame, path: Path, rename: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Write a table as its ending says, some columns under another name.

    JSON keeps the objects' keys that are still columns.

    Raises:
        TaskError: There is no such kind of table.
    """
    kind = path.suffix.lower()
    plain = table.drop(RECORD, strict=False).rename(dict(rename))
    if kind in SEPARATORS:
        texts = pl.selectors.string()
        empty_as_nothing = plain.with_columns(pl.when(texts != "").then(texts).name.keep())
        empty_as_nothing.write_csv(path, separator=SEPARATORS[kind])
    elif kind == ".parquet":
        plain.write_parquet(path)
    elif kind in (".json", ".jsonl"):
        objects = (
            json.dumps({rename.get(name, name): value for name, value in each.items()})
            for each in _objects(table)
        )
        with path.open("w", encoding="utf-8") as file:
            file.writelines(_written(objects, lines=kind == ".jsonl"))
    else:
        raise TaskError(f"{path.name} is no kind of table; tables end with {', '.join(KINDS)}")


def sorted_by(table: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """Sorted, columns in which all cells are numbers as numbers; equal rows keep their order."""
    return table.sort([in_order(table[each]) for each in columns], maintain_order=True)


def in_order(cells: pl.Series) -> pl.Series:
    """Cells as what they are sorted by: numbers, if all are."""
    if cells.dtype != pl.String:
        return cells
    for number in (pl.Int64, pl.Float64):
        read = cells.cast(number, strict=False)
        if not read.null_count():
            return read
    return cells


def as_text(cell: object) -> str:
    """A plain value as Python writes it; nothing for None."""
    return "" if cell is None else str(cell)


def _of_records(text: str) -> pl.DataFrame:
    records = [(said, _plain(json.loads(said))) for said in _split_records(text)]
    names = dict.fromkeys(name for _, cells in records for name in cells)
    columns = {name: [cells.get(name, "") for _, cells in records] for name in names}
    whole = pl.Series(RECORD, [said for said, _ in records], dtype=pl.String)
    return pl.DataFrame(columns, schema=dict.fromkeys(names, pl.String)).with_columns(whole)


def _split_records(text: str) -> Iterator[str]:
    """The text of each object of an array, or of objects one after another."""
    decoder, at = json.JSONDecoder(), _after_space(text, 0)
    if is_array := text[at : at + 1] == "[":
        at = _after_space(text, at + 1)
    while at < len(text) and text[at] != "]":
        found, end = decoder.raw_decode(text, at)
        if not isinstance(found, dict):
            raise TypeError(f"character {at + 1}: an object was expected")
        yield text[at:end]
        at = _after_space(text, end)
        if is_array and text[at : at + 1] == ",":
            at = _after_space(text, at + 1)
        elif is_array and text[at : at + 1] != "]":
            raise ValueError(f"character {at + 1}: the array does not go on and does not end")
    if is_array and at >= len(text):
        raise ValueError("the array does not end")


def _after_space(text: str, at: int) -> int:
    while text[at : at + 1].isspace():
        at += 1
    return at


def _plain(record: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: "" if isinstance(value, dict | list) else as_text(value)
        for name, value in record.items()
    }


def _objects(table: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """Each row's object, without what is no column any more, and with what was changed since."""
    names = [name for name in table.columns if name != RECORD]
    for row in table.iter_rows(named=True):
        record: dict[str, Any] = json.loads(row.get(RECORD) or "{}")
        was = _plain(record)
        yield {
            name: record[name] if was.get(name) == row[name] else row[name]
            for name in names
            if name in record or row[name] != ""
        }


def _written(objects: Iterator[str], *, lines: bool) -> Iterator[str]:
    if lines:
        yield from (f"{each}\n" for each in objects)
        return
    yield "["
    for n, each in enumerate(objects):
        yield f"{',' if n else ''}\n{each}"
    yield "\n]\n"
