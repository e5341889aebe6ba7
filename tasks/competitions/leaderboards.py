"""Leaderboards as files: CSV tables with a column of scores, and perhaps of whose they are.

Kaggle's own download calls the column ``Score``. Where the best must come first nothing is sorted
here: whoever mixed the order up may have mixed up more, and MLE-bench tells by the order which way
is better.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from math import isfinite, nan
from pathlib import Path
from typing import NamedTuple

from proctor.evaluator.documents import listed, shown
from proctor.schemas.errors import TaskError
from proctor.tasks.formats.reading import read_text

COLUMNS = ("score", "Score")


class Entry(NamedTuple):
    """A row of a leaderboard."""

    score: float
    by: str
    """Whose it is; empty where nobody says."""


def read_scores(path: Path, *, lower_is_better: bool) -> tuple[float, ...]:
    """The scores of a leaderboard that has the best one first.

    Raises:
        TaskError: It has none, or one is no number, or the best is not first.
    """
    scores = tuple(each.score for each in read_entries(path))
    if scores != _best_first(scores, lower_is_better=lower_is_better):
        best = "lowest" if lower_is_better else "highest"
        if scores == _best_first(scores, lower_is_better=not lower_is_better):
            said = f"it begins with its worst score, {scores[0]:g}"
        else:
            n = next(n for n in range(1, len(scores)) if _worse(scores, n, lower=lower_is_better))
            said = f"score {n + 1}, {scores[n]:g}, is better than the one before, {scores[n - 1]:g}"
        raise TaskError(f"{path}: {said}; sort it so that the {best} comes first")
    return scores


def read_entries(path: Path) -> list[Entry]:
    """The rows of a leaderboard, in any order.

    Raises:
        TaskError: It has none, or a score is no number.
    """
    found = list(_entries(path))
    if not found:
        raise TaskError(f"{path}: it has no scores; a leaderboard has a row for each team")
    return found


def in_order(entries: Sequence[Entry], *, lower_is_better: bool) -> list[Entry]:
    """The best first."""
    return sorted(entries, key=lambda each: each.score, reverse=not lower_is_better)


def written(entries: Sequence[Entry]) -> str:
    """A leaderboard as its file holds it."""
    held = io.StringIO()
    csv.writer(held, lineterminator="\n").writerows([Entry._fields, *entries])
    return held.getvalue()


def _entries(path: Path) -> Iterator[Entry]:
    rows = csv.DictReader(io.StringIO(read_text(path), newline=""))
    try:
        columns = rows.fieldnames or ()
        named = next((each for each in COLUMNS if each in columns), None)
        if named is None:
            said = f"it has {listed(columns)}" if columns else "it is empty"
            raise TaskError(f"{path}: it has no column 'score'; {said}")
        if columns.count(named) > 1:
            raise TaskError(f"{path}: the column {named!r} stands twice; leave one")
        for row in rows:
            text = row[named] or ""
            score = _number(text)
            if not isfinite(score):
                raise TaskError(
                    f"{path}: line {rows.line_num}: the score {shown(text)} is no finite number"
                )
            yield Entry(score, row.get("by") or "")
    except csv.Error as error:
        raise TaskError(f"{path}: no CSV table, in line {rows.line_num + 1}: {error}") from error


def _number(text: str) -> float:
    """What a cell says; NaN where that is no number, which "1_0" is to Python alone."""
    try:
        return float(text) if text.isascii() and "_" not in text else nan
    except ValueError:
        return nan


def _best_first(scores: Sequence[float], *, lower_is_better: bool) -> tuple[float, ...]:
    return tuple(sorted(scores, reverse=not lower_is_better))


def _worse(scores: Sequence[float], n: int, *, lower: bool) -> bool:
    """Whether the score before the n-th is worse than it."""
    return scores[n - 1] > scores[n] if lower else scores[n - 1] < scores[n]
