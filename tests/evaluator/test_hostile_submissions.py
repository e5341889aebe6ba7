"""Whatever an agent hands in to any competition that can be graded is scored, or refused."""

import csv
import io
import math
import tracemalloc
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.evaluator.test_competition_scores import CASES, drawn
from tests.evaluator.test_competitions import competition

from proctor.evaluator.competitions import check_form, measure
from proctor.evaluator.earned import Measured
from proctor.evaluator.metrics import METRICS
from proctor.schemas.competition import Compat, Competition
from proctor.schemas.errors import SubmissionError

Rows = list[list[str]]
Edit = Callable[[Rows], None]
RULES = ("strict", "upstream")
LONGEST_REASON = 1000
NO_NUMBERS = (
    "nan",
    "inf",
    "-1e400",
    "1e400",
    "\u0663",
    "\uff11",
    "1_0",
    "0x1p0",
    "\u202e0.5",
    "0.5\0",
)
"""What is no number, whatever it looks like."""
CELLS = (
    *NO_NUMBERS, "", " ", "\t1 ", "-0", "+1", "1e308", "-1e308", "1e-400", "1.", "True", "NA",
    "None", "9" * 25, "-" + "9" * 5000, str(2**63 - 1), str(2**63), str(-(2**63)), "1" * 400, "\0",
    "a\0b", "x" * 1_000_000, "7 " * 100_000, "1 " + str(2**63 - 1), "1 2 1 2", "-1 5", "1 2 3",
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
    change = draw(st.sampled_from(EDITS))
    return lambda rows: change(rows, at, to, cell) if rows and rows[0] else None


def put(rows: Rows, at: int, to: int, cell: str) -> None:
    row = rows[at % len(rows)]
    if row:
        row[to % len(row)] = cell


def fill(rows: Rows, _: int, to: int, cell: str) -> None:
    for row in rows[1:]:
        if row:
            row[to % len(row)] = cell[:1000]


def swap_columns(rows: Rows, at: int, to: int, _: str) -> None:
    for row in rows:
        if row:
            row[at % len(row)], row[to % len(row)] = row[to % len(row)], row[at % len(row)]


def add_column(rows: Rows, at: int, to: int, cell: str) -> None:
    for row in rows:
        row.insert(at, row[to % len(row)] if row and to % 2 else cell)


def drop_column(rows: Rows, at: int, *_: object) -> None:
    for row in rows:
        if row:
            row.pop(at % len(row))


def drop_row(rows: Rows, at: int, *_: object) -> None:
    rows.pop(at % len(rows))


def repeat_row(rows: Rows, at: int, *_: object) -> None:
    rows.append(list(rows[at % len(rows)]))


def add_row(rows: Rows, at: int, _: int, cell: str) -> None:
    rows.insert(at, [cell] * len(rows[0]))


def move_row(rows: Rows, at: int, to: int, _: str) -> None:
    rows.insert(1 + to, rows.pop(at % len(rows)))


def lengthen(rows: Rows, at: int, _: int, cell: str) -> None:
    rows[at % len(rows)].append(cell)


def shorten(rows: Rows, at: int, *_: object) -> None:
    del rows[at % len(rows)][-1:]


def leave_header(rows: Rows, *_: object) -> None:
    del rows[1:]


def leave_nothing(rows: Rows, *_: object) -> None:
    rows.clear()


EDITS: tuple[Callable[[Rows, int, int, str], None], ...] = (
    put, fill, swap_columns, add_column, drop_column, drop_row, repeat_row, add_row, move_row,
    lengthen, shorten, leave_header, leave_nothing,
)  # fmt: skip
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
@settings(max_examples=12)
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


@pytest.mark.parametrize("compat", RULES)
@pytest.mark.parametrize("name", CASES)
@given(st.randoms(use_true_random=False))
@settings(max_examples=3)
def test_rows_and_columns_in_another_order_score_the_same(
    name: str, compat: Compat, random: Any
) -> None:
    task, answers, _, rows = tables(name)
    by_place = compat == "upstream" and (
        task.upstream.align == "position" or task.upstream.by_place
    )
    columns, body = list(range(len(rows[0]))), rows[1:]
    if not by_place:
        random.shuffle(columns)
        body = random.sample(body, len(body))
    other = [[row[n] for n in columns] for row in (rows[0], *body)]
    found = graded(task, written(other, "\r\n"), answers, compat)
    assert found.score is not None
    assert found == graded(task, written(rows), answers, compat)


@pytest.mark.parametrize("name", CASES)
def test_what_only_looks_like_a_number_is_none(name: str) -> None:
    task, answers, _, rows = tables(name)
    reads = METRICS[task.metric.name].reads
    target = rows[0].index(task.form.targets[-1])
    if reads == "text" or (reads == "labels" and not rows[1][target].isdigit()):
        return
    for cell in NO_NUMBERS:
        said = [list(row) for row in rows]
        said[7][target] = cell
        found = graded(task, written(said), answers, "strict")
        assert "no finite numbers" in str(found.reason), cell


INVALID = st.lists(edits((*NO_NUMBERS, "", "x", '"', "a\nb", "a\0b")), max_size=3)


@pytest.mark.parametrize("name", CASES)
@given(INVALID)
@settings(max_examples=8)
def test_the_form_is_judged_alike_whatever_values_are_predicted(
    name: str, changes: list[Edit]
) -> None:
    task, answers, _, rows = tables(name)
    both = [edited(base, changes) for base in (rows, turned(rows, task))]
    assume(both[0][:1] == both[1][:1])  # names of columns are repeated, whatever they are
    told: list[str] = []
    for handed_in in map(written, both):
        told.append(checked(task, handed_in, written(rows)))
        assert not told[-1] or graded(task, handed_in, answers, "strict").score is None
    assert told[0] == told[1]
    assert len(told[0]) < LONGEST_REASON


def checked(task: Competition, submission: bytes, sample: bytes) -> str:
    with TemporaryDirectory() as place:
        file = Path(place, "submission.csv")
        file.write_bytes(submission)
        try:
            check_form(task, file, sample)
        except SubmissionError as error:
            return str(error)
    return ""


# Notations

SHAPED = {"height": "h", "width": "w"}
NOTATIONS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "map_at_k": ("a b", "b a", {"settings": {"k": 2}}),
    "f1_micro_multilabel": ("a b", "b c", {}),
    "word_jaccard": ("a b", "b c", {}),
    "kendall_tau": ("a b c", "b a c", {}),
    "mean_levenshtein": ("abc", "abd", {}),
    "normalised_levenshtein": ("1 2 3", "2 1", {}),
    "span_accuracy": ("1:2 YES", "1:2", {}),
    "global_dice": ("1 2 5 1", "2 3", {"columns": SHAPED}),
    "mean_dice": ("1 2 5 1", "2 3", {"columns": SHAPED}),
    "fbeta_half": ("1 2 5 1", "2 3", {"columns": SHAPED}),
    "mean_precision_iou": ("1 2 5 1", "2 3", {}),
    "dice_hausdorff": ("1 2 5 1", "2 3", {"columns": {**SHAPED, "slices": "id"}}),
    "points_f1": ("a 1 1 2 2", "a 2 2", {}),
    "voc_map": ("a 1 1 1 2 2", "a 0.5 1 1 2 2", {}),
    "coco_map": ("a 1 1 2 2", "a 0.5 1 1 2 2", {"settings": {"iou": 0.5}}),
    "cuboid_map": ("1 1 1 1 2 2 2 0 a", "1 1 1 1 2 2 2 0 a", {}),
}


def test_every_metric_of_text_has_a_notation_here() -> None:
    assert {name for name, metric in METRICS.items() if metric.reads == "text"} == set(NOTATIONS)


@pytest.mark.parametrize("compat", RULES)
@pytest.mark.parametrize("metric", NOTATIONS)
@given(st.lists(st.tuples(st.integers(0, 12), st.sampled_from(CELLS)), min_size=1, max_size=3))
@settings(max_examples=25)
def test_any_token_in_any_notation_is_scored_or_refused(
    metric: str, compat: Compat, tokens: list[tuple[int, str]]
) -> None:
    real, said, needs = NOTATIONS[metric]
    task = competition(metric, metric=needs)
    cell = said.split()
    for at, token in tokens:
        cell[at % len(cell)] = token
    ids = [f"case_day_slice_{n}" for n in range(3)]
    answers = written([["id", "target", "h", "w"], *([each, real, "3", "4"] for each in ids)])
    rows = [["id", "target"], *([each, said] for each in ids[:2]), [ids[2], " ".join(cell)]]
    found = graded(task, written(rows), answers, compat)
    if found.score is None:
        assert 0 < len(str(found.reason)) < LONGEST_REASON
    else:
        assert METRICS[metric].reaches(float(METRICS[metric].higher_is_better), found.score)


LONG = 100_000


@pytest.mark.parametrize(
    ("metric", "one", "long"),
    [("mean_dice", "1 1", "1 " + "1" * LONG), ("points_f1", "a 2 2", "a" * LONG + " 2 2")],
)
def test_a_long_token_makes_no_other_cost_as_much(metric: str, one: str, long: str) -> None:
    real, _, needs = NOTATIONS[metric]
    cells = np.array([*[one] * 1000, long], dtype=object)
    shape = {key: np.full(len(cells), 9) for key in needs.get("columns", ())}
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="row 1001"):
            METRICS[metric].score(np.full(len(cells), real, dtype=object), cells, **shape)
        assert tracemalloc.get_traced_memory()[1] < 20 * LONG
    finally:
        tracemalloc.stop()


# What was found once

FOUND: dict[str, tuple[Competition, Compat, str, str]] = {
    "a lone quote": (competition("rmse"), "strict", '1\nb,"', "not a CSV table"),
    "too far off": (competition("rmse"), "strict", "1\nb,1e200", "is infinite"),
    "too far off to round": (competition("mae_int"), "strict", "1e308\nb,1e308", "is infinite"),
    "numbers in place of text": (
        competition("accuracy", form={"first_token": True}),
        "upstream",
        "1.5\nb,1",
        "AttributeError",
    ),
    "too many digits": (
        competition("rmse"), "upstream", f"1\nb,{'9' * 400}", "OverflowError",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FOUND)
def test_what_brought_grading_down_once_is_refused(case: str) -> None:
    task, compat, cells, reason = FOUND[case]
    found = graded(task, f"id,target\na,{cells}".encode(), b"id,target\na,1\nb,2\n", compat)
    assert found.score is None
    assert reason in str(found.reason)
