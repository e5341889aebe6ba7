"""Whatever an agent hands in to any competition that can be graded is scored, or refused."""

import csv
import io
import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.evaluator.test_competition_scores import CASES, drawn

from proctor.evaluator.competitions import check_form, measure
from proctor.evaluator.earned import Measured
from proctor.evaluator.metrics import METRICS
from proctor.schemas.competition import Compat, Competition
from proctor.schemas.errors import SubmissionError

Rows = list[list[str]]
Edit = Callable[[Rows], None]
RULES = ("strict", "upstream")
LONGEST_REASON = 1000
NO_VALUES = ("nan", "inf", "-1e400", "1e400", "\u0663", "\uff11", "1_0", "0x1p0", "\u202e0.5", "0.5\0")
"""What is no number, whatever it looks like."""
CELLS = (
    *NO_VALUES, "", " ", "\t1 ", "-0", "+1", "1e308", "-1e308", "1e-400", "1.", "True", "NA", "None",
    "9" * 25, "-" + "9" * 5000, str(2**63 - 1), str(2**63), str(-(2**63)), "1" * 400, "\0", "a\0b",
    "x" * 1_000_000, "7 " * 100_000, "1 " + str(2**63 - 1), "1 2 1 2", "-1 5", "1 2 3",
    '"', 'he "said"', "a,b", "a\nb", "a\r\nb", "\r", "\ufeff", "\u2028", "=1+1", "\U0001f600",
)  # fmt: skip


class Tables(NamedTuple):
    """A competition, its answers, and a submission that is valid."""

    competition: Competition
    answers: bytes
    other_answers: bytes
    """The same ids, with the truth of other rows."""
    rows: Rows
    """With the header."""


@cache
def tables(name: str) -> Tables:
    with TemporaryDirectory() as place:
        made = drawn(name, 0, Path(place))
        answers, rows = (read(each.read_text("utf-8")) for each in (made.answers, made.submission))
        return Tables(
            made.competition,
            made.answers.read_bytes(),
            written(turned(answers, made.competition)),
            rows,
        )


def read(text: str) -> Rows:
    return list(csv.reader(io.StringIO(text, newline="")))


def written(rows: Rows, end: str = "\n") -> bytes:
    held = io.StringIO()
    csv.writer(held, lineterminator=end).writerows(rows)
    return held.getvalue().encode()


def turned(rows: Rows, competition: Competition) -> Rows:
    """The same ids, each with the cells of the row before."""
    header, *body = rows
    kept = [header.index(each) for each in competition.form.ids]
    return [
        header,
        *(
            [row[n] if n in kept else last[n] for n in range(len(header))]
            for row, last in zip(body, [body[-1], *body[:-1]], strict=True)
        ),
    ]


# Edits


@st.composite
def edits(draw: st.DrawFn, cells: tuple[str, ...] = CELLS) -> Edit:
    """A change of a table: of a cell, a column, a row, or of how many there are."""
    at, to = draw(st.integers(0, 40)), draw(st.integers(0, 40))
    cell = draw(st.sampled_from(cells))
    what = draw(st.sampled_from(sorted(EDITS)))
    return lambda rows: EDITS[what](rows, at, to, cell) if rows and rows[0] else None


def put(rows: Rows, at: int, to: int, cell: str) -> None:
    row = rows[at % len(rows)]
    if row:
        row[to % len(row)] = cell


def fill(rows: Rows, at: int, to: int, cell: str) -> None:
    for row in rows[1:]:
        if row:
            row[to % len(row)] = cell


def swap_columns(rows: Rows, at: int, to: int, cell: str) -> None:
    for row in rows:
        if row:
            row[at % len(row)], row[to % len(row)] = row[to % len(row)], row[at % len(row)]


def add_column(rows: Rows, at: int, to: int, cell: str) -> None:
    for row in rows:
        row.insert(at, row[to % len(row)] if row and to % 2 else cell)


def drop_column(rows: Rows, at: int, to: int, cell: str) -> None:
    for row in rows:
        if row:
            row.pop(at % len(row))


EDITS: dict[str, Callable[[Rows, int, int, str], Any]] = {
    "put": put,
    "fill": fill,
    "swap columns": swap_columns,
    "add a column": add_column,
    "drop a column": drop_column,
    "drop a row": lambda rows, at, to, cell: rows.pop(at % len(rows)),
    "repeat a row": lambda rows, at, to, cell: rows.append(list(rows[at % len(rows)])),
    "add a row": lambda rows, at, to, cell: rows.insert(at, [cell] * len(rows[0])),
    "move a row": lambda rows, at, to, cell: rows.insert(1 + to, rows.pop(at % len(rows))),
    "a longer row": lambda rows, at, to, cell: rows[at % len(rows)].append(cell),
    "a shorter row": lambda rows, at, to, cell: rows[at % len(rows)] and rows[at % len(rows)].pop(),
    "only the header": lambda rows, at, to, cell: rows.__delitem__(slice(1, None)),
    "nothing": lambda rows, at, to, cell: rows.clear(),
}
ENCODED: dict[str, Callable[[Rows], bytes]] = {
    "plain": written,
    "with a mark": lambda rows: b"\xef\xbb\xbf" + written(rows),
    "with carriage returns": lambda rows: written(rows, "\r\n"),
    "with carriage returns alone": lambda rows: written(rows, "\r"),
    "in UTF-16": lambda rows: written(rows).decode().encode("utf-16"),
    "in another code": lambda rows: b"\xff\xfe\xed\xa0\x80" + written(rows),
    "cut off": lambda rows: written(rows)[: -len(rows) - 3],
    "with an open quote": lambda rows: written(rows) + b'"',
    "without quotes": lambda rows: "\n".join(map(",".join, rows)).encode(),
}
OF_TABLES = st.lists(edits(), max_size=3)
OF_BYTES = st.sampled_from(["plain"] * 5 + sorted(ENCODED))


def edited(rows: Rows, changes: list[Edit]) -> Rows:
    found = [list(row) for row in rows]
    for change in changes:
        change(found)
    return found


def graded(task: Competition, submission: bytes, answers: bytes, compat: Compat) -> Measured:
    with TemporaryDirectory() as place:
        files = Path(place, "submission.csv"), Path(place, "answers.csv")
        for file, data in zip(files, (submission, answers), strict=True):
            file.write_bytes(data)
        return measure(task, *files, compat)


def best(task: Competition) -> float:
    if METRICS[task.metric.name].higher_is_better:
        return 1
    return -math.inf if task.metric.name == "group_mean_log_mae" else 0


@pytest.mark.parametrize("compat", RULES)
@pytest.mark.parametrize("name", CASES)
@given(OF_TABLES, OF_BYTES)
@settings(max_examples=int(__import__("os").environ.get("EX","20")), deadline=None)
def test_a_submission_is_scored_or_refused_for_a_reason_that_says_nothing_of_the_answers(
    name: str, compat: Compat, changes: list[Edit], encoded: str
) -> None:
    task, answers, other_answers, rows = tables(name)
    handed_in = ENCODED[encoded](edited(rows, changes))
    found = graded(task, handed_in, answers, compat)
    if found.score is None:
        assert found.reason
        assert len(found.reason) < LONGEST_REASON
        assert found.reason.isprintable()
        other = graded(task, handed_in, other_answers, compat)
        assert other.reason == found.reason
    elif compat == "strict":
        assert METRICS[task.metric.name].reaches(best(task), found.score)
        assert math.isfinite(found.score) or found.score == best(task)
