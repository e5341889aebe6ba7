"""How a competition of Kaggle's is prepared from its raw files: `[raw]` and `[recipe]`.

One table's rows are split into the training's and the test's. Everything else follows from the two
parts: tables with some of the columns, answers and sample submission, side tables with the rows of
either part, and files that move with the row that names them.

**Raw files.** A path is relative to the raw folder. An archive counts as what it holds: the members
of ``train.zip`` are found as if they lay beside it and as if they lay in a folder ``train``, those
of ``train.csv.zip`` as ``train.csv``. Archives are ``.zip``, ``.7z``, ``.tar``, ``.tar.gz``.

**Cells** are text, and are written as they were read: no number changes a digit. An empty cell is
empty text. A table's kind is its ending: ``.csv``, ``.tsv``, ``.json`` (an array of objects),
``.jsonl`` (one to a line), ``.parquet``. Objects keep their nested values when they are written
as JSON again; only plain values are cells.

**Patterns** are paths with columns of a row in braces: ``train/{label}/{id}.jpg``, one letter of a
cell ``{id[0]}``, a cell filled up with zeros ``{id:0>5}``. In ``raw`` and ``copy``, ``*`` stands
for anything within a name. A path that ends with ``/`` is a folder with all that is in it.
"""

import re
from collections.abc import Mapping
from string import Formatter
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field, model_validator

from proctor.schemas.base import Value
from proctor.tasks.formats.reading import leads_out

PLACEHOLDER = re.compile(r"[^\[\]{}.!]+(\[\d+\])?")
FILLED = re.compile(r"(.[<>]\d+)?")


def _inside(path: str) -> str:
    if leads_out(path):
        raise ValueError(f"{path!r} leads out of its folder; write it without '..' and '/' first")
    return path


def _filled(text: str) -> str:
    try:
        parts = list(Formatter().parse(text))
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}; a column stands in braces: {{id}}") from error
    for _, name, filling, conversion in parts:
        plain = name is None or (PLACEHOLDER.fullmatch(name) and FILLED.fullmatch(filling or ""))
        if not plain or conversion:
            raise ValueError(
                f"{text!r}: write a column as {{id}}, {{id[0]}} or {{id:0>5}}, not {{{name}}}"
            )
    return text


RawPath: TypeAlias = Annotated[str, AfterValidator(_inside)]
"""Where something lies in the raw folder."""
OutPath: TypeAlias = Annotated[str, AfterValidator(_inside)]
"""Where something comes to lie for agents."""
Filled: TypeAlias = Annotated[str, AfterValidator(_filled)]
"""A text with columns in braces."""
Pattern: TypeAlias = Annotated[Filled, AfterValidator(_inside)]
"""A path with such."""
Part: TypeAlias = Literal["train", "test", "all"]
"""``all``: the training's rows, then the test's."""
Cell: TypeAlias = bool | int | float | str
"""Written as Python writes it: ``0.5``, ``False``."""
Seed: TypeAlias = Annotated[int, Field(ge=0, lt=2**32)]


class RawFiles(Value):
    """`[raw]`: what must be there."""

    files: tuple[RawPath, ...] = Field(min_length=1)
    """Paths, folders (``train/``) or paths with ``*``; each must find something. An archive may be
    named as it is, or by what it holds: what was unpacked by hand serves as well."""
    zip_md5: str = Field(default="", pattern=r"^([0-9a-f]{32})?$")
    """Of the archive that Kaggle offers with everything in it; empty where nobody knows it."""
    size_bytes: int = Field(default=0, ge=0)
    """Of that archive, about; 0 where nobody knows it."""


class RowSplit(Value):
    """Any rows are the test's.

    One of `test`, `train` and `like` must say how many. The rows are those that scikit-learn's
    ``train_test_split(table, test_size=test, train_size=train, random_state=seed)`` draws.
    """

    by: Literal["rows"]
    test: int | float | None = None
    """A share of the rows, or, as a whole number, so many."""
    train: int | float | None = None
    """The same of the training rows; with both, further rows are left out."""
    like: RawPath | None = None
    """A raw table, or a path with ``*``: the test is as large a share as these rows, or files, are
    of themselves and the table's together."""
    seed: Seed
    order: Literal["shuffled", "file"] = "shuffled"
    """How both parts are sorted: as drawn, or as in the raw table."""

    @model_validator(mode="after")
    def _sized(self) -> "RowSplit":
        if (self.like is None) == (self.test is None and self.train is None):
            raise ValueError("say how many rows: with test, train or both, or else with like")
        return self


class GroupSplit(Value):
    """Whole groups are the test's: all rows with the same cell in a column.

    ``train_test_split`` draws among the groups, not among the rows.
    """

    by: Literal["groups"]
    column: str
    test: int | float
    """A share of the groups, or, as a whole number, so many."""
    seed: Seed
    groups: Literal["seen", "sorted"] = "seen"
    """From which order groups are drawn: as first seen in the table (pandas' ``unique``), or sorted
    (its ``groupby``), as numbers where all are."""
    order: Literal["file", "shuffled"] = "file"
    """How both parts are sorted: as in the raw table, or group by group as drawn."""


class TimeSplit(Value):
    """The last days are the test's: rows on or after the latest date less `days`."""

    by: Literal["time"]
    column: str
    """Dates, ``2020-09-22``, with or without a time."""
    days: int = Field(gt=0)


class ValueSplit(Value):
    """Rows with one of some cells in a column are the test's."""

    by: Literal["values"]
    column: str
    test: tuple[str, ...] = Field(min_length=1)


class GivenSplit(Value):
    """The test is another raw table; the recipe's `table` holds the training rows."""

    by: Literal["given"]
    tables: tuple[RawPath, ...] = Field(min_length=1)
    """The first one's rows, with the columns of the others, matched on the form's ids."""


RecipeSplit: TypeAlias = Annotated[
    RowSplit | GroupSplit | TimeSplit | ValueSplit | GivenSplit, Field(discriminator="by")
]


class Numbering(Value):
    """New cells for a column, so that the old ones tell nothing: numbers, in the order of the rows.

    Rows that had the same cell get the same number.
    """

    train: str = "{}"
    """The new cell, with ``{}`` for the number: ``Train_{}``."""
    test: str = "{}"
    first: int = Field(default=0, ge=0)
    """The first number of each part."""
    follows: bool = False
    """Whether the test's numbers go on where the training's end."""

    @model_validator(mode="after")
    def _numbered(self) -> "Numbering":
        if not (self.train.count("{}") == self.test.count("{}") == 1):
            raise ValueError("train and test each hold {} once, where the number goes")
        return self


class Table(Value):
    """A table for agents, by the path it gets."""

    part: Part
    """Whose rows."""
    raw: RawPath | None = None
    """A side table that the rows come from, in its own order; the split table if left out."""
    key: tuple[str, ...] = ()
    """For a side table: columns that it shares with the split table. It keeps the rows whose cells
    there are those of a row of the part; where the column is renumbered, they change along."""
    columns: tuple[str, ...] = ()
    """These, in this order; all of the raw table's if empty."""
    drop: tuple[str, ...] = ()
    """All but these. What is predicted must be dropped from a table with the test's rows."""
    rename: Mapping[str, str] = Field(default_factory=dict[str, str])
    """From the raw table's names to the new ones; all other keys use the raw table's."""
    first_of: tuple[str, ...] = ()
    """Only the first of the rows that have the same cells in these columns."""
    sort: tuple[str, ...] = ()
    """Sorted by these columns, as numbers where all cells are; as the part if empty."""

    @model_validator(mode="after")
    def _clear(self) -> "Table":
        if self.columns and self.drop:
            raise ValueError("columns and drop exclude each other")
        if bool(self.raw) != bool(self.key):
            raise ValueError("raw and key go together; what is copied whole belongs into copy")
        return self


class Answers(Value):
    """What is true: the ids, the form's truth and what the metric asks for, of the test's rows."""

    rename: Mapping[str, str] = Field(default_factory=dict[str, str])
    """From the raw table's names to the form's and the metric's."""
    replace: Mapping[str, Mapping[str, str]] = Field(default_factory=dict[str, Mapping[str, str]])
    """Other cells: by column, as it is called in the answers, and by the old cell."""
    first_of: tuple[str, ...] = ()
    """As a table's."""
    sort: tuple[str, ...] = ()
    """As a table's; of the sample submission, too."""


class Linspace(Value):
    """Numbers from one to another, evenly."""

    linspace: tuple[float, float]


class RandomIntegers(Value):
    """Numbers drawn by NumPy's ``RandomState(seed).randint(low, high, n)``."""

    integers: tuple[int, int]
    """The lowest, and one more than the highest."""
    seed: Seed


class Uniform(Value):
    """Numbers drawn by NumPy's ``default_rng(seed).uniform(low, high, n)``."""

    uniform: tuple[float, float]
    digits: int = Field(default=6, ge=0)
    """How many decimals they are rounded to."""
    seed: Seed


class SameAs(Value):
    """The cells of another column of the test's rows."""

    same_as: str


class MeanOf(Value):
    """The mean of a column of the training rows."""

    mean_of: str


Filling: TypeAlias = Cell | Linspace | RandomIntegers | Uniform | SameAs | MeanOf


class Sample(Value):
    """The sample submission: the ids of the answers, and cells that tell nothing."""

    file: OutPath = "sample_submission.csv"
    value: Filling | None = None
    """What each target's cells are."""
    values: Mapping[str, Filling] = Field(default_factory=dict[str, Filling])
    """The same, by target."""
    raw: RawPath | None = None
    """In place of these: a raw table that is taken as it is."""
    columns: tuple[str, ...] = ()
    """Ids, targets and further columns of the test, in this order; ids, then targets, if empty."""

    @model_validator(mode="after")
    def _one(self) -> "Sample":
        if sum((self.value is not None, bool(self.values), self.raw is not None)) != 1:
            raise ValueError("say one of value, values and raw")
        return self


class Files(Value):
    """Files that come along, for each row of a part."""

    part: Part
    raw: Pattern
    """Where they lie, in the raw table's cells: ``train/{id}.jpg``, ``train/{id}_*.mp4``,
    ``train/{id}/``."""
    to: Pattern
    """Where they come to lie, in the new cells: ``test/{id}.jpg``; a folder for ``*`` in `raw`."""
    but: tuple[str, ...] = ()
    """Names (``*`` allowed) that are left out of a folder, or of what ``*`` finds: known leaks."""
    optional: bool = False
    """Whether a row may be without."""

    @model_validator(mode="after")
    def _alike(self) -> "Files":
        many = self.raw.endswith("/") or "*" in self.raw
        if many != self.to.endswith("/"):
            raise ValueError(
                "to ends with '/' where raw does or holds '*', and only there: "
                f"{self.raw!r} goes to {self.to!r}"
            )
        return self


class Recipe(Value):
    """`[recipe]`: from raw files to what agents are given and what grading needs."""

    table: RawPath
    """The raw table whose rows are split."""
    exclude: Mapping[str, tuple[str, ...]] = Field(default_factory=dict[str, tuple[str, ...]])
    """Rows that are left out before: by column, the cells."""
    split: RecipeSplit
    renumber: Mapping[str, Numbering] = Field(default_factory=dict[str, Numbering])
    """By column; after the split."""
    make: Mapping[str, Filled] = Field(default_factory=dict[str, Filled])
    """New columns, from the cells of others (after `renumber`): ``id = "{sentence}_{token}"``.
    They are in tables that name them, in answers, and wherever else a column is named."""
    tables: Mapping[OutPath, Table] = Field(default_factory=dict[str, Table])
    """What agents are given, by path."""
    files: tuple[Files, ...] = ()
    copy_whole: tuple[RawPath, ...] = Field(default=(), alias="copy")
    """Raw files and folders (``images/``) that agents are given as they are; what comes out of an
    archive lies where it was found."""
    but: tuple[str, ...] = ()
    """Names (``*`` allowed) that are left out of what `copy` finds."""
    answers: Answers = Answers()
    sample: Sample
