"""Tables in every form: on a terminal, as Markdown, CSV, Parquet and JSON.

Names come from results, which anybody may have written: where people read them, control characters
are written out and markup is escaped. Machines get them as they are.
"""

import csv
import io
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

Kind: TypeAlias = Literal["text", "integer", "number"]
Record: TypeAlias = Mapping[str, str | int | float | None]
UNKNOWN = "-"
"""How people are shown what there is not."""
WIDE = 1000
"""Columns of text that goes into a file or a pipe, where no line is broken."""
NAME_WIDTH = 40
"""Longer names are folded on a terminal. Numbers never are: a part of one would be another."""

_HIDDEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
_MARKUP = re.compile(r"[\\`*_\[\]<>#!|~&$@]|:(?=//)|(?<=www)\.", re.IGNORECASE)
"""What means something within a line of Markdown; GitHub makes links of bare addresses, too."""


@dataclass(frozen=True)
class Shown:
    """A table for people."""

    title: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    names: int = 1
    """How many of the first columns hold names, which are set to the left."""


@dataclass(frozen=True)
class Document:
    """What a command found, for people and for machines."""

    shown: tuple[Shown, ...]
    remarks: tuple[str, ...]
    columns: Mapping[str, Kind]
    """Of the flat table for machines, in order."""
    records: tuple[Record, ...]
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What JSON has beside the records: the settings."""


def print_document(document: Document, console: Console) -> None:
    """Print tables and remarks; nothing in them is taken for markup."""
    for shown in document.shown:
        table = Table(box=None, pad_edge=False, title_justify="left", title_style="bold")
        table.title = Text(visible(shown.title))
        for number, header in enumerate(shown.headers):
            name = number < shown.names
            table.add_column(
                Text(visible(header)),
                justify="left" if name else "right",
                overflow="fold",
                no_wrap=not name,
                max_width=NAME_WIDTH if name and console.width < WIDE else None,
            )
        for row in shown.rows:
            table.add_row(*(Text(visible(cell)) for cell in row))
        anything = console.options.update(width=WIDE)
        table.width = Measurement.get(console, anything, table).maximum
        console.print(table, crop=False)
        console.print()
    for remark in document.remarks:
        console.print(Text(visible(remark)))


def as_text(document: Document) -> str:
    """As a terminal shows it, without colours."""
    console = Console(file=io.StringIO(), width=WIDE, color_system=None)
    print_document(document, console)
    return "".join(f"{line.rstrip()}\n" for line in _written(console).splitlines())


def as_markdown(document: Document) -> str:
    """GitHub's Markdown."""
    lines: list[str] = []
    for shown in document.shown:
        rules = [":--" if n < shown.names else "--:" for n in range(len(shown.headers))]
        lines += [f"### {in_markdown(shown.title)}", "", _piped(map(in_markdown, shown.headers))]
        lines += [_piped(rules), *(_piped(map(in_markdown, row)) for row in shown.rows), ""]
    lines += [f"- {in_markdown(remark)}" for remark in document.remarks]
    return "\n".join(lines).rstrip("\n") + "\n"


def as_csv(document: Document) -> str:
    """The flat table; what is unknown is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [*document.columns], lineterminator="\n")
    writer.writeheader()
    writer.writerows(document.records)
    return text.getvalue()


def as_json(document: Document) -> str:
    """The flat table as objects, the settings and the remarks."""
    whole = {**document.facts, "records": document.records, "remarks": document.remarks}
    return json.dumps(whole, indent=2, allow_nan=False) + "\n"


def as_parquet(document: Document) -> bytes:
    """The flat table, each column of one type whatever is unknown.

    Raises:
        ImportError: pyarrow is not installed.
    """
    import pandas as pd  # noqa: PLC0415 - only this form needs it

    types = {"text": "string", "integer": "Int64", "number": "Float64"}
    made = {
        name: pd.Series([record[name] for record in document.records], dtype=types[kind])
        for name, kind in document.columns.items()
    }
    file = io.BytesIO()
    pd.DataFrame(made).to_parquet(file, engine="pyarrow", index=False)
    return file.getvalue()


def visible(text: str) -> str:
    """`text` on one line, with whatever is invisible or steers a terminal as ``<U+001B>``."""
    return "".join(
        f"<U+{ord(each):04X}>" if unicodedata.category(each) in _HIDDEN else each for each in text
    )


def in_markdown(text: str) -> str:
    """`text` as Markdown that shows just that."""
    return _MARKUP.sub(r"\\\g<0>", visible(text))


def number(value: float | None, digits: int = 3) -> str:
    """A number for people."""
    return UNKNOWN if value is None else f"{value:.{digits}f}"


def _piped(cells: Any) -> str:  # noqa: ANN401 - any iterable of text
    return f"| {' | '.join(cells)} |"


def _written(console: Console) -> str:
    file = console.file
    return file.getvalue() if isinstance(file, io.StringIO) else ""


def flat(records: Sequence[Record], columns: Mapping[str, Kind]) -> tuple[Record, ...]:
    """Records with every column, in order."""
    return tuple({name: record.get(name) for name in columns} for record in records)
