"""A recipe, followed: from raw files to an output.

Each part of the split table is kept twice, row by row: as it was, by which raw files and side
tables are found, and as it is to be shown, with new ids and made columns.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property

import polars as pl

from proctor.schemas.competition import Competition, Form
from proctor.schemas.errors import TaskError
from proctor.tasks.competitions.output import Output
from proctor.tasks.competitions.preparing.fillings import filled_sample
from proctor.tasks.competitions.preparing.patterns import filled
from proctor.tasks.competitions.preparing.splits import column_of, divide
from proctor.tasks.competitions.raw.cells import RECORD, sorted_by
from proctor.tasks.competitions.raw.files import Raw
from proctor.tasks.competitions.recipe import (
    Answers,
    Files,
    Part,
    Recipe,
    Table,
)


@dataclass(frozen=True)
class Rows:
    """The rows of a part."""

    was: pl.DataFrame
    """As in the raw table."""
    now: pl.DataFrame
    """With new ids, and with the columns that the recipe makes."""


def follow(recipe: Recipe, competition: Competition, raw: Raw, out: Output) -> None:
    """Prepare a competition.

    Raises:
        TaskError: The raw files are not what the recipe expects.
    """
    _Following(recipe, competition, raw, out).all()


class _Following:
    """A recipe that is being followed."""

    def __init__(self, recipe: Recipe, competition: Competition, raw: Raw, out: Output) -> None:
        self.recipe, self.raw, self.out = recipe, raw, out
        self.form: Form = competition.form
        self.competition = competition

    def all(self) -> None:
        for path, table in self.recipe.tables.items():
            self.table(path, table)
        answers = self.answers()
        self.sample(answers)
        for files in self.recipe.files:
            self.files(files)
        for path in self.recipe.copy_whole:
            self.copy(path)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Of the raw table."""
        return tuple(self._table.columns)

    @cached_property
    def _table(self) -> pl.DataFrame:
        table = self.raw.table(self.recipe.table)
        for column, cells in self.recipe.exclude.items():
            found = column_of(table, column, "recipe.exclude").cast(pl.String)
            table = table.filter(~found.is_in(cells))
        return table

    @cached_property
    def parts(self) -> Mapping[Part, Rows]:
        train, test = divide(self.recipe.split, self._table, self.raw, self.form.ids)
        shown = self.renumbered(train, test)
        rows: dict[Part, Rows] = {
            "train": Rows(self.with_made(train), self.with_made(shown[0])),
            "test": Rows(self.with_made(test), self.with_made(shown[1])),
        }
        return rows

    def rows(self, part: Part) -> Rows:
        """The rows of a part; a column that the other part lacks has empty cells."""
        if part != "all":
            return self.parts[part]
        train, test = self.parts["train"], self.parts["test"]
        return Rows(
            *(
                pl.concat(both, how="diagonal_relaxed").with_columns(
                    pl.selectors.string().fill_null("")
                )
                for both in ((train.was, test.was), (train.now, test.now))
            )
        )

    def renumbered(self, train: pl.DataFrame, test: pl.DataFrame) -> tuple[pl.DataFrame, ...]:
        for column, numbering in self.recipe.renumber.items():
            first = numbering.first
            train = train.with_columns(
                new_cells(column_of(train, column, "recipe.renumber"), numbering.train, first)
            )
            if numbering.follows:
                first += train[column].n_unique()
            test = test.with_columns(
                new_cells(column_of(test, column, "recipe.renumber"), numbering.test, first)
            )
        return train, test

    def with_made(self, table: pl.DataFrame) -> pl.DataFrame:
        for name, pattern in self.recipe.make.items():
            table = table.with_columns(filled(pattern, table, f"recipe.make.{name}").alias(name))
        return table

    def table(self, path: str, spec: Table) -> None:
        """One of the tables for agents."""
        key = f'recipe.tables."{path}"'
        if spec.raw is None:
            table, columns = self.rows(spec.part).now, self._own_columns(spec.part)
        else:
            table = self.side(spec, spec.raw, key)
            columns = tuple(table.columns)
        columns = spec.columns or tuple(each for each in columns if each not in spec.drop)
        for each in (*columns, *spec.drop):
            column_of(table, each, key)
        self._check_hidden(spec, columns, key)
        table = arranged(table, spec.first_of, spec.sort, key)
        record = [RECORD] if RECORD in table.columns and RECORD not in columns else []
        rename = {old: new for old, new in spec.rename.items() if old in columns}
        self.out.table(path, table.select(*columns, *record), rename)

    def side(self, spec: Table, raw: str, key: str) -> pl.DataFrame:
        """The rows of a side table that belong to a part, renumbered as it was."""
        rows, table = self.rows(spec.part), self.raw.table(raw)
        of_part = pl.DataFrame(
            [column_of(rows.was, each, key).cast(pl.String) for each in spec.key]
        )
        own = pl.DataFrame(
            [column_of(table, each, f"{key}: {raw}").cast(pl.String) for each in spec.key]
        )
        new = {each: rows.now[each] for each in spec.key if each in self.recipe.renumber}
        matched = own.with_row_index("\0row").join(
            of_part.with_columns(**{f"\0{name}": cells for name, cells in new.items()}).unique(
                spec.key, maintain_order=True
            ),
            on=spec.key,
            maintain_order="left",
        )
        found = table[matched["\0row"]]
        return found.with_columns(matched[f"\0{name}"].alias(name) for name in new)

    def answers(self) -> pl.DataFrame:
        """Keep the answers; returns the test's rows that they are, with all columns."""
        spec, form = self.recipe.answers, self.form
        rows = arranged(self.rows("test").now, spec.first_of, spec.sort, "recipe.answers")
        was = {new: old for old, new in spec.rename.items()}
        table = pl.DataFrame(
            [
                self._replaced(
                    column_of(rows, was.get(name, name), "recipe.answers").alias(name), spec
                )
                for name in self._answered()
            ]
        )
        if not form.gathered:
            self._check_once(table.select(form.ids))
        self.out.answers(table)
        return rows

    def sample(self, rows: pl.DataFrame) -> None:
        """Make the sample submission of the answers' rows."""
        spec, form = self.recipe.sample, self.form
        if spec.raw is not None:
            self.out.sample(self.raw.table(spec.raw), spec.file)
            return
        if form.gathered:
            rows = rows.unique(form.ids, maintain_order=True)
        was = {new: old for old, new in self.recipe.answers.rename.items()}
        cells = {name: rows[was.get(name, name)].alias(name) for name in form.ids}
        for name in form.targets:
            if name not in spec.values and spec.value is None:
                raise TaskError(f"recipe.sample.values: there is none for {name!r}")
            filling, train = spec.values.get(name, spec.value), self.rows("train").now
            cells[name] = filled_sample(filling, rows, train)
        columns = spec.columns or tuple(cells)
        table = {
            name: cells[name] if name in cells else column_of(rows, name, "recipe.sample.columns")
            for name in columns
        }
        self.out.sample(pl.DataFrame(table), spec.file)

    def files(self, spec: Files) -> None:
        """Move the files of a part's rows."""
        rows, key = self.rows(spec.part), f"recipe.files: {spec.raw}"
        pairs = pl.DataFrame(
            {
                "raw": filled(spec.raw, rows.was, key),
                "to": filled(spec.to, rows.now, key),
            }
        ).unique(maintain_order=True)
        if spec.to.endswith("/"):
            found = [each for raw, to in pairs.iter_rows() for each in self.listed(raw, to, spec)]
            self.out.files(found, link=spec.part == "train")
        else:
            has, optional = self.raw.has, spec.optional
            rows_of = (pair for pair in pairs.iter_rows() if not optional or has(pair[0]))
            self.out.files(rows_of, link=spec.part == "train", empty=False)

    def listed(self, raw: str, to: str, spec: Files) -> Iterator[tuple[str, str]]:
        """What a folder holds, or what a pattern finds, and where in a folder it comes to lie."""
        names = self.raw.names(raw)
        if not names and not spec.optional:
            raise self.raw.missing(raw)
        start = raw if raw.endswith("/") else raw.partition("*")[0].rpartition("/")[0] + "/"
        for name in left(names, spec.but):
            yield name, to + name.removeprefix(start)

    def copy(self, path: str) -> None:
        """Give agents raw files as they are; of one alone, its time tells nothing."""
        several = "*" in path or path.endswith("/")
        names = self.raw.names(path) if several else (path,)
        if not names:
            raise self.raw.missing(path)
        self.out.files(((name, name) for name in left(names, self.recipe.but)), link=not several)

    def _own_columns(self, part: Part) -> tuple[str, ...]:
        """A part's columns that were not made."""
        table = self.rows(part).was
        return tuple(
            each for each in table.columns if each not in self.recipe.make and each != RECORD
        )

    def _answered(self) -> tuple[str, ...]:
        """The columns of the answers."""
        further = self.competition.metric.answer_columns
        return tuple(dict.fromkeys((*self.form.answer_columns, *further)))

    def _check_hidden(self, spec: Table, columns: Sequence[str], key: str) -> None:
        """Check that a table with the test's rows does not say what is true."""
        form = self.form
        truth = set(form.answer_columns) - set(form.ids)
        was = {new: old for old, new in self.recipe.answers.rename.items()}
        told = [each for each in columns if each in {was.get(name, name) for name in truth}]
        if spec.part != "train" and told:
            raise TaskError(f"{key}: shows {told[0]!r}, which is to be predicted; drop it")

    def _check_once(self, ids: pl.DataFrame) -> None:
        if self.form.repeated == "invalid" and (twice := ids.filter(ids.is_duplicated())).height:
            raise TaskError(
                f"the answers would have {'/'.join(map(str, twice.row(0)))!r} as an id twice; the "
                "raw table is damaged, or answers.first_of is missing"
            )

    @staticmethod
    def _replaced(cells: pl.Series, spec: Answers) -> pl.Series:
        by = spec.replace.get(cells.name)
        return cells.cast(pl.String).replace(dict(by)) if by else cells


def new_cells(cells: pl.Series, pattern: str, first: int) -> pl.Series:
    """A number in place of each different cell, in the order in which they come."""
    values = cells.unique(maintain_order=True)
    before, after = pattern.split("{}")
    new = [f"{before}{n}{after}" for n in range(first, first + len(values))]
    return cells.replace_strict(values, pl.Series(new, dtype=pl.String), return_dtype=pl.String)


def arranged(
    table: pl.DataFrame, first_of: Sequence[str], sort: Sequence[str], key: str
) -> pl.DataFrame:
    """The first of the rows that are alike in some columns, sorted by others."""
    for each in (*first_of, *sort):
        column_of(table, each, key)
    if first_of:
        table = table.unique(first_of, keep="first", maintain_order=True)
    return sorted_by(table, sort) if sort else table


def left(names: Iterable[str], but: Sequence[str]) -> Iterable[str]:
    """The names without those that are left out."""
    return (
        each
        for each in names
        if not any(fnmatchcase(each.rpartition("/")[2], pattern) for pattern in but)
    )
