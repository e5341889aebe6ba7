"""A competition's files, of rows that a source makes: the same bytes at each call."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl

from proctor.evaluator.metrics import METRICS
from proctor.evaluator.metrics.base import Array
from proctor.schemas.errors import TaskError
from proctor.tasks.competitions.definition import DESCRIPTION, Definition
from proctor.tasks.competitions.output import as_submission
from proctor.tasks.competitions.prepared import ANSWERS, PRIVATE, PUBLIC, REFERENCE, SAMPLE
from proctor.tasks.competitions.sources import rows_from
from proctor.tasks.competitions.sources.made import Made
from proctor.tasks.competitions.sources.splits import Parts, split_rows

ID_SPAN = 9
"""Ids are drawn from so many times their number, so that they tell nothing."""


def made_files(definition: Definition) -> dict[str, bytes]:
    """All files of a competition, by path; equal at each call.

    Raises:
        TaskError: The declaration does not fit what its source makes.
    """
    source, split = definition.file.origin
    try:
        rows = rows_from(source, definition.place)
        parts = split_rows(split, rows.table)
        return _tables(definition, rows, parts)
    except TaskError as error:
        raise TaskError(f"{definition.place}: {error}") from error


def write_files(root: Path, files: Mapping[str, bytes]) -> None:
    """Write files, as `made_files` gives them, below a directory."""
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _tables(definition: Definition, rows: Made, parts: Parts) -> dict[str, bytes]:
    form = definition.file.form
    (id_column,) = form.ids
    rng = np.random.default_rng(definition.file.origin.split.seed + 1)
    ids = rng.permutation(ID_SPAN * rows.table.height)[: rows.table.height] + 10**5
    table = rows.table
    if id_column not in table.columns:
        table = table.insert_column(0, pl.Series(id_column, ids))
    reads_labels = METRICS[definition.file.metric.name].reads in ("labels", "grades")
    train, test = table[parts.train], table[parts.test]
    answers = test.select(id_column, *rows.targets)
    reference = as_submission(form, answers)
    return {
        f"{PUBLIC}/{DESCRIPTION}": definition.description.encode(),
        f"{PUBLIC}/train.csv": _csv(train),
        f"{PUBLIC}/test.csv": _csv(test.drop(rows.targets)),
        f"{PUBLIC}/{SAMPLE}": _csv(_sample(reference, id_column, train, labels=reads_labels)),
        f"{PRIVATE}/{ANSWERS}": _csv(answers),
        f"{PRIVATE}/{REFERENCE}": _csv(reference),
        **_row_files(f"{PUBLIC}/train", rows, ids, parts.train),
        **_row_files(f"{PUBLIC}/test", rows, ids, parts.test),
    }


def _row_files(folder: str, rows: Made, ids: Array, part: Array) -> dict[str, bytes]:
    if not rows.files:
        return {}
    return {f"{folder}/{ids[row]}{rows.suffix}": rows.files[row] for row in part}


def _sample(
    reference: pl.DataFrame, id_column: str, train: pl.DataFrame, *, labels: bool
) -> pl.DataFrame:
    """A submission that says the same of every row, from the training rows alone."""
    said = {
        name: _typical(train[name], label=labels)
        if name in train.columns
        else 1 / (reference.width - 1)
        for name in reference.columns
        if name != id_column
    }
    return reference.select(id_column, *(pl.lit(value).alias(name) for name, value in said.items()))


def _typical(cells: pl.Series, *, label: bool) -> float | str:
    if label or cells.dtype == pl.String:
        common: str | int = cells.mode().sort()[0]
        return common
    values = cells.to_numpy()
    whole = cells.dtype.is_integer()  # a class or a grade, between two of which there is none
    middle = np.quantile(values, 0.5, method="lower") if whole else np.median(values)
    return round(float(middle), 2)


def _csv(table: pl.DataFrame) -> bytes:
    return table.write_csv().encode()
