"""Submissions as MLE-bench reads and aligns them, for comparison with published results.

Facts about its graders are followed here even where they are mistakes: pandas guesses types, rows
are compared by position, ids are not looked at. What its graders refuse is refused, for reasons in
our words. A number that is NaN is refused in every competition, which for a few it is not there.

Source: MLE-bench's graders, at its commit 783b15a.
"""

from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import polars as pl

from proctor.evaluator.answers import gathered, span_answers
from proctor.evaluator.documents import shown
from proctor.evaluator.metrics import METRICS
from proctor.evaluator.metrics.base import Array
from proctor.evaluator.values import check_numbers, score_values
from proctor.schemas.competition import Competition, Form
from proctor.schemas.errors import SubmissionError, TaskError

Frames: TypeAlias = tuple[pd.DataFrame, pd.DataFrame]
"""The answers and the submission."""


def upstream_score(competition: Competition, submission: Path, answers: Path) -> float:
    """The score that MLE-bench gives; NaN and infinities are scores, too.

    Raises:
        SubmissionError: It gives none.
        TaskError: The answers cannot be read.
    """
    name, form = submission.name, competition.form
    real = read_upstream_answers(competition, answers)
    try:
        said = pd.read_csv(submission)
        said = _renamed(said, form) if competition.upstream.by_place else said
        said = said[[*form.ids, *form.targets]]
        real, said = brought_together(competition, real, said)
        arrays = (
            _true(competition, real),
            _predicted(competition, said, name),
            _further(competition, real),
        )
        settings = {**competition.metric.settings, **competition.upstream.settings}
        return score_values(competition, arrays, settings, name)
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
        raise SubmissionError(f"{name}: {type(error).__name__}: {shown(str(error))}") from error


def read_upstream_answers(competition: Competition, answers: Path) -> pd.DataFrame:
    """The answers, read as MLE-bench reads them.

    Raises:
        TaskError: They cannot be.
    """
    form = competition.form
    try:
        if answers.suffix == ".jsonl":
            rows = span_answers(answers.read_text("utf-8"))
            return pd.DataFrame(rows, columns=[*form.ids, *form.targets])
        if form.gathered:
            table = gathered(pl.read_csv(answers, infer_schema=False), form)
            return pd.DataFrame(table.to_dict(as_series=False))
        return pd.read_csv(answers)
    except (OSError, ValueError, KeyError, pl.exceptions.PolarsError) as error:
        raise TaskError(f"the answers of {competition.id} cannot be read: {error}") from error


def brought_together(competition: Competition, real: pd.DataFrame, said: pd.DataFrame) -> Frames:
    """The rows of both as they are compared.

    Raises:
        ValueError: Their numbers or ids differ where they must not.
    """
    ids, align = list(competition.form.ids), competition.upstream.align
    if align == "merged":
        return _merged(real, said, ids)
    if align == "superset":
        said = _within(said, real, ids[0])
    if align == "subset":
        real = _within(real, said, ids[0])
    if len(real) != len(said):
        raise ValueError(f"{len(said)} rows instead of {len(real)}")
    if align == "position":
        return real, said
    if competition.upstream.mask_by_position:
        return _masked(competition, real, said)
    if align == "position in group":
        ids = ids[:1]
        real, said = real.sort_values(ids, kind="stable"), said.sort_values(ids, kind="stable")
    else:  # by default not stable, where ids repeat
        real, said = real.sort_values(ids), said.sort_values(ids)
    if align != "sorted unchecked":
        _check_ids(real, said, ids)
    return real, said


def _renamed(said: pd.DataFrame, form: Form) -> pd.DataFrame:
    """A table whose columns are the ids and, in their order, the targets."""
    values = said.set_index(list(form.ids))
    if len(values.columns) != len(form.targets):
        raise ValueError(f"{len(values.columns)} columns instead of {len(form.targets)}")
    return values.set_axis(list(form.targets), axis=1).reset_index()


def _within(more: pd.DataFrame, fewer: pd.DataFrame, id_: str) -> pd.DataFrame:
    """The rows of one table whose ids the other has, which has no others."""
    if not fewer[id_].isin(more[id_]).all():
        raise ValueError("ids are unknown on one side")
    return more[more[id_].isin(fewer[id_])]


def _check_ids(real: pd.DataFrame, said: pd.DataFrame, ids: list[str]) -> None:
    if not (real[ids].to_numpy() == said[ids].to_numpy()).all():
        raise ValueError("the ids are others, or of another type")


def _merged(real: pd.DataFrame, said: pd.DataFrame, ids: list[str]) -> Frames:
    if set(real[ids[0]]) != set(said[ids[0]]):
        raise ValueError("the ids are others")
    both = real.assign(n=range(len(real)))[[*ids, "n"]].merge(said, on=ids)
    rows: Array = both["n"].to_numpy()
    return real.take(rows), both.drop(columns="n")


def _masked(competition: Competition, real: pd.DataFrame, said: pd.DataFrame) -> Frames:
    """Both sorted; of each the rows that the mask names by where they stood in their files."""
    ids, column = list(competition.form.ids), str(competition.metric.columns["kept"])
    kept = real[column].to_numpy(dtype=bool)
    real, said = real.sort_values(ids), said.sort_values(ids)
    _check_ids(real, said, ids)
    masks = (pd.Series(kept[table.index.to_numpy()], table.index) for table in (real, said))
    of_real, of_said = masks
    return real.loc[of_real], said.loc[of_said]


def _true(competition: Competition, real: pd.DataFrame) -> Array:
    form, metric = competition.form, METRICS[competition.metric.name]
    columns = list(form.true_columns)
    if form.one_hot:
        labels = real[columns[0]].to_numpy()
        return np.stack([labels == each for each in form.targets], axis=1).astype(float)
    if metric.reads == "labels":
        return _labels(competition, real[columns[0]])
    if metric.reads == "text":
        return _texts(real[columns[0]])
    found = real[columns].to_numpy(dtype=np.float64)
    return found if len(columns) > 1 else found[:, 0]


def _predicted(competition: Competition, said: pd.DataFrame, name: str) -> Array:
    form, metric = competition.form, METRICS[competition.metric.name]
    cells: pd.Series[Any] = said[form.targets[0]]
    if metric.reads == "text":
        return _texts(cells)
    if metric.reads == "labels":
        if form.first_token and cells.dtype.kind != "i":
            cells = cells.str.split().str[0].astype(int)
        return _labels(competition, cells)
    found = said[list(form.targets)].to_numpy(dtype=np.float64)
    if competition.upstream.nan is not None:
        found = np.where(np.isnan(found), competition.upstream.nan, found)
    if np.isnan(found).any():
        raise ValueError("predictions are NaN")
    check_numbers(competition, found, name)
    return found if len(form.targets) > 1 else found[:, 0]


def _further(competition: Competition, real: pd.DataFrame) -> dict[str, Array]:
    found: dict[str, Array] = {}
    for key, columns in competition.metric.columns.items():
        if isinstance(columns, str):
            found[key] = real[columns].to_numpy()
        else:
            found[key] = real[list(columns)].to_numpy(dtype=np.float64)
    return found


def _texts(cells: "pd.Series[Any]") -> Array:
    return cells.astype(object).where(cells.notna(), "").astype(str).to_numpy(dtype=object)


def _labels(competition: Competition, cells: "pd.Series[Any]") -> Array:
    if competition.upstream.as_text:
        return np.array([str(each) for each in cells.astype(object)], dtype=object)
    return cells.to_numpy() if cells.dtype.kind in "biuf" else cells.to_numpy(dtype=object)
