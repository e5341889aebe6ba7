"""The files that a competition's author reads and edits: its declaration and its description."""

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl
import tomli_w

from proctor.tasks.competitions.definition import CompetitionFile, SourceSplit
from proctor.tasks.competitions.sources.table import TIME

SHOWN_VALUES = 8
"""So many different texts are listed, and of more only their number is said."""
SHOWN_CHARS = 40
COMMENTS = {
    "id": "What agents are told, and may be edited at any time, as may description.md.",
    "form": "What is handed in.",
    "metric": "How it is scored. The leaderboard was made with it: another one needs another.",
    "source": (
        "Where the rows come from. Whoever has this file and the table has the answers:\n"
        "keep both from the agents, and from whatever they may search."
    ),
    "split": (
        "Which rows are the test's. Another split has other answers, which the leaderboard\n"
        "does not fit: make the competition anew with 'proctor competitions new --force'."
    ),
}
"""Before each part of the declaration."""


def declaration(file: CompetitionFile, split: SourceSplit) -> str:
    """``competition.toml``, with comments."""
    said = file.model_dump(mode="json", exclude_defaults=True)
    said["split"] = {k: v for k, v in split.model_dump(mode="json").items() if v != ""}
    plain = {key: value for key, value in said.items() if not isinstance(value, Mapping)}
    parts: list[Mapping[str, Any]] = [plain]
    parts += [{key: said[key]} for key in ("form", "metric", "source", "split")]
    return "\n".join(_commented(part) for part in parts)


def _commented(part: Mapping[str, Any]) -> str:
    lines = COMMENTS[next(iter(part))].splitlines()
    return "".join(f"# {line}\n" for line in lines) + tomli_w.dumps(part)


def description(
    file: CompetitionFile, split: SourceSplit, positive: str, train: pl.DataFrame
) -> str:
    """``description.md``: the story as far as it is known, and the columns.

    Args:
        file: The declaration.
        split: Its split.
        positive: The label that was made 1, if one was.
        train: The rows that agents see the target of; nothing is said of others.
    """
    (id_column,) = file.form.ids
    named = _cell(id_column)
    target = _cell(file.form.true_columns[0])
    rows = "\n".join(
        f"| `{_cell(c.name)}` | {_type(c)} | {c.null_count() / len(c):.1%} | {_values(c)} |"
        for c in train.iter_columns()
        if c.name != id_column
    )
    return f"""Each row is one case. For the rows of `test.csv`, `{target}` is to be predicted.
{_parting(split)}{_meaning(target, positive)}

`{named}` names a row. The other columns, as they are in the {train.height} rows of `train.csv`:

| column | type | missing | values |
|---|---|---|---|
{rows}
"""


def _parting(split: SourceSplit) -> str:
    column = _cell(split.column)
    return {
        "rows": "Those were drawn at random.",
        "group": f"No `{column}` of the test is in `train.csv`, too.",
        "time": f"By `{column}`, all rows of the test come after those of `train.csv`.",
    }[split.by]


def _meaning(target: str, positive: str) -> str:
    return f" `{target}` is 1 where it was `{_cell(positive)}`, and else 0." if positive else ""


def _type(cells: pl.Series) -> str:
    if cells.dtype == pl.String:
        return "text"
    return "whole number" if cells.dtype == pl.Int64 else "number"


def _values(cells: pl.Series) -> str:
    there = cells.drop_nulls()
    if there.is_empty():
        return "none"
    if cells.dtype != pl.String or all(map(TIME.fullmatch, there)):
        return f"{there.sort()[0]} to {there.sort()[-1]}"
    values = there.unique().sort().to_list()
    if len(values) > SHOWN_VALUES or max(map(len, values)) > SHOWN_CHARS:
        return f"{len(values)} different ones"
    return ", ".join(f"`{_cell(each)}`" for each in values)


def _cell(text: str) -> str:
    """Text as a cell of a table in Markdown takes it."""
    return "".join(_escaped(text))


def _escaped(text: str) -> Iterator[str]:
    for character in text:
        if character in "|\\":
            yield "\\" + character
        else:
            yield " " if character in "\r\n`" else character
