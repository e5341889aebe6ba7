"""Graders of data: right, wrong and hostile files, each from a snapshot as agents hand in."""

import json
import math
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor.evaluator.cells import check_form
from proctor.evaluator.grade import measure
from proctor.evaluator.graders import check_options
from proctor.evaluator.graders.metric import Options as MetricOptions
from proctor.evaluator.graders.table import Options as TableOptions
from proctor.evaluator.metrics import METRICS
from proctor.evaluator.metrics.base import SKLEARN
from proctor.evaluator.predictions import check_labels, credit_of
from proctor.evaluator.predictions import score as score_predictions
from proctor.evaluator.tables import read_table
from proctor.evaluator.work import Work
from proctor.sandbox_backends.archive import pack
from proctor.sandbox_backends.local import open_plain
from proctor.schemas.errors import SubmissionError, TaskError
from proctor.schemas.grade import Score
from proctor.schemas.rubric import Criterion, Message, Rubric
from proctor.schemas.task import FileTree, Task

LABELS = b"id,target\na,1\nb,0\nc,1\nd,0\n"
TABLE = b"id,city,price\n1,Rome,10.0\n2,Oslo,20.0\n3,Bonn,\n".replace(b"Bonn,", b"Bonn,30")
METRIC = {
    "metric": "roc_auc",
    "thresholds": [{"score": 0.5, "credit": 0.2}, {"score": 1.0, "credit": 1.0}],
}
TABLE_OPTIONS = {
    "path": "t.csv",
    "columns": {"city": "exact", "price": {"absolute": 0.5, "relative": 0.01}},
}
Graded = Callable[..., Any]


def task_of(grader: str, options: dict[str, Any], workspace: FileTree) -> Task:
    criterion = Criterion(id="it", points=1, text="It is right.", grader=grader, options=options)
    return Task(
        id="data",
        title="Data",
        prompt=(Message(content="Do it."),),
        workspace=workspace,
        rubric=Rubric(criteria=(criterion,)),
        grading={"labels.csv": LABELS, "table.csv": TABLE, "val.csv": LABELS},
    )


@pytest.fixture
def graded(tmp_path: Path) -> Graded:
    """The score of what is handed in, by one grader."""

    async def run(
        grader: str,
        options: dict[str, Any],
        files: FileTree,
        workspace: FileTree | None = None,
        links: tuple[str, ...] = (),
    ) -> Score:
        task = task_of(grader, options, workspace or {})
        check_options(task)
        archive = tmp_path / "work.tar"
        archive.write_bytes(pack(files).getvalue())
        with tarfile.open(archive, "a") as tar:
            for path in links:
                link = tarfile.TarInfo(path)
                link.type, link.linkname = tarfile.SYMTYPE, "/code.py"
                tar.addfile(link)
        work = Work(
            task=task, answer="", snapshot=archive, snapshot_sha256="0" * 64, seed=7,
            backend=open_plain,
        )  # fmt: skip
        return (await measure(work, task.rubric))["it"]

    return run


@pytest.mark.parametrize(
    ("text", "state", "credit", "said"),
    [
        (b"id,target\na,0.9\nb,0.1\nc,0.8\nd,0.2\n", "scored", 1.0, "reaches 1"),
        (b"id,target\nd,0.2\nc,0.8\nb,0.1\na,0.9\n", "scored", 1.0, "reaches 1"),
        (b"target,id\n0.2,d\n0.8,c\n0.1,b\n0.9,a\n", "scored", 1.0, "reaches 1"),
        (b"\xef\xbb\xbfid,target\r\na,1\r\nb,1\r\nc,1\r\nd,1\r\n", "scored", 0.2, "reaches 0.5"),
        (b"id,target\na,0.1\nb,0.9\nc,0.2\nd,0.8\n", "scored", 0.0, "does not reach 0.5"),
        (b"", "invalid", 0, "is empty"),
        (b"id\na\nb\nc\nd\n", "invalid", 0, "has no column 'target'; it has 'id'"),
        (b"id,target,x\na,1,1\n", "invalid", 0, "a column too many: 'x'"),
        (b"id,target,target\na,1,1\n", "invalid", 0, "'target' stands twice"),
        (b"id,target\na,1\nb,0\nc,1\n", "invalid", 0, "missing id: 'd'"),
        (b"id,target\na,1\nb,0\nc,1\nz,0\n", "invalid", 0, "unknown id: 'z'"),
        (b"id,target\na,1\na,0\nc,1\nd,0\n", "invalid", 0, "id stands twice: 'a'"),
        (b"id,target\na,1\n,0\nc,1\nd,0\n", "invalid", 0, "1 rows have no id"),
        (b"id,target\na,1\nb,0\nc,1\nd,0\ne,0\n", "invalid", 0, "more than 4 rows"),
        (b"id,target\na,nan\nb,0\nc,1\nd,0\n", "invalid", 0, "no finite numbers: 'nan'"),
        (b"id,target\na,inf\nb,0\nc,1\nd,0\n", "invalid", 0, "no finite numbers: 'inf'"),
        (b"id,target\na,1e999\nb,0\nc,1\nd,0\n", "invalid", 0, "no finite numbers"),
        (b"id,target\na,\nb,0\nc,1\nd,0\n", "invalid", 0, "1 of 4 values of target"),
        (b"id,target\na,yes\nb,0\nc,1\nd,0\n", "invalid", 0, "no finite numbers: 'yes'"),
        (b"id,target\na,1\nb\nc,1\nd,0\n", "invalid", 0, "line 3 has 1 cells"),
        (b"id,target\na,1,7\nb,0\nc,1\nd,0\n", "invalid", 0, "not a CSV table"),
        (b"id,target\na,1\nb,0,7\nc,1\nd,0\n", "invalid", 0, "not a CSV table"),
        ("id,target\na,½\n".encode("latin-1"), "invalid", 0, "UTF-8"),
        (b"\xff\xfei\0d\0", "invalid", 0, "UTF-8"),
        (b'id,target\na,"1\n', "invalid", 0, "not a CSV table"),
        (b"\0" * 100, "invalid", 0, "NUL characters"),
        (b"PK\3\4" + b"\0" * 50, "invalid", 0, ""),
    ],
)  # fmt: skip
def test_predictions_are_matched_by_id_or_refused(
    tmp_path: Path, text: bytes, state: str, credit: float, said: str
) -> None:
    found = scored(tmp_path, "submission.csv", text)
    assert (found.state, found.credit) == (state, credit), found.evidence
    assert said in found.evidence


def scored(tmp_path: Path, name: str, data: bytes) -> Score:
    """What the worker finds, without the time that one takes to start."""
    path = tmp_path / name
    path.write_bytes(data)
    try:
        found = score_predictions(MetricOptions.model_validate(METRIC), LABELS, path, name)
    except SubmissionError as error:
        return Score(state="invalid", evidence=str(error))
    return Score(state="scored", credit=found.credit, evidence=found.said)


async def test_without_a_file_the_submission_is_invalid(graded: Graded) -> None:
    score = await graded("metric", METRIC, {"other.csv": LABELS})
    assert score.state == "invalid"
    assert "does not exist" in score.evidence


async def test_exact_scores_are_for_the_owner_alone(graded: Graded) -> None:
    text = b"id,target\na,0.9\nb,0.8\nc,0.7\nd,0.2\n"
    score = await graded("metric", METRIC, {"submission.csv": text})
    assert score.value == 0.75
    assert "75" not in score.evidence


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"id": "a", "target": 1}, {"id": "b", "target": 0.0}, {"id": "c", "target": "1"},
          {"id": "d", "target": 0}], ""),
        ([{"id": "a", "target": [1]}] * 4, "array or object in a cell"),
        ([{"id": "a", "target": 1}, {"id": "b"}], "row 1 has other columns"),
        ({"id": "a"}, "not an array of objects"), ([], "no rows"), ([1], "not an array of objects"),
        ([{"id": "a", "target": None}, {"id": "b", "target": 0}, {"id": "c", "target": 1},
          {"id": "d", "target": 0}], "no finite numbers"),
    ],
)  # fmt: skip
def test_json_tables_are_held_to_the_same(tmp_path: Path, rows: Any, said: str) -> None:
    score = scored(tmp_path, "p.json", json.dumps(rows).encode())
    assert (score.state == "scored") == (not said), score.evidence
    assert said in score.evidence


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"[" * 100_000, "nested too deeply"),
        (b'[{"id": "a", "id": "b", "target": 1}]', "stands twice"),
        (b'[{"id": "a", "target": NaN}]', "NaN is not a JSON value"),
        (b'[{"id": "a", "target": 1e400}]', ""),
        (b"\xff", "UTF-8"),
    ],
)
def test_odd_json_is_refused(tmp_path: Path, raw: bytes, said: str) -> None:
    score = scored(tmp_path, "p.json", raw)
    assert score.state == "invalid"
    assert said in score.evidence


@pytest.mark.parametrize(
    ("options", "text", "credit", "said"),
    [
        ({}, TABLE, 1.0, "6 of 6 cells"),
        ({}, b"id,city,price\n3,Bonn,30.2\n1,Rome,10.4\n2,Oslo,21\n", 5 / 6, "5 of 6 cells"),
        ({}, b"id,city,price\n3,bonn,30\n1,Rome,10\n2,Oslo,20\n", 5 / 6, "5 of 6 cells"),
        ({"credit": "rows"}, b"id,city,price\n3,bonn,30\n1,Rome,10\n2,Oslo,20\n", 2 / 3, "2 of 3"),
        ({"credit": "all"}, b"id,city,price\n3,bonn,30\n1,Rome,10\n2,Oslo,20\n", 0.0, "5 of 6"),
        ({"partial": True}, b"id,city,price\n1,Rome,10\n", 1 / 3, "2 of 6 cells"),
        ({"partial": True}, b"id,city,price\n", 0.0, "0 of 6 cells"),
        ({"unknown": "wrong"}, TABLE + b"\n9,Rome,1\n", 6 / 8, "6 of 8 cells"),
        ({"unknown": "wrong", "credit": "rows"}, TABLE + b"\n9,Rome,1\n", 3 / 4, "3 of 4 rows"),
        ({"unknown": "wrong", "credit": "all"}, TABLE + b"\n9,Rome,1\n", 0.0, "6 of 8 cells"),
        ({"repeated": "wrong"}, TABLE + b"\n1,Rome,10\n", 4 / 6, "4 of 6 cells"),
        (
            {"columns": {"city": "exact", "price": {"relative": 0.01}}},
            TABLE.replace(b"20.0", b"20.2").replace(b"10.0", b"10.11"),
            5 / 6,
            "5 of 6 cells",
        ),
    ],
)
async def test_a_table_earns_the_share_that_is_right(
    graded: Graded, options: dict[str, Any], text: bytes, credit: float, said: str
) -> None:
    score = await graded("table", {**TABLE_OPTIONS, **options}, {"t.csv": text})
    assert score.state == "scored", score.evidence
    assert score.credit == pytest.approx(credit)
    assert said in score.evidence


@pytest.mark.parametrize(
    ("options", "text", "said"),
    [
        ({}, b"id,city,price\n1,Rome,10\n", "missing id"),
        ({"repeated": "wrong"}, b"id,city,price\n1,Rome,10\n1,Rome,10\n", "missing id"),
        ({}, TABLE[:-10] + b"9,Bonn,30\n", "unknown id: '9'"),
        ({"partial": True}, b"id,city,price\n9,Rome,10\n", "unknown id: '9'"),
        ({}, b"id,city,price\n1,Rome,10\n2,Oslo,20\n3,Bonn,ten\n", "no finite numbers: 'ten'"),
    ],
)
async def test_a_table_of_another_form_is_invalid(
    graded: Graded, options: dict[str, Any], text: bytes, said: str
) -> None:
    score = await graded("table", {**TABLE_OPTIONS, **options}, {"t.csv": text})
    assert score.state == "invalid"
    assert said in score.evidence


async def test_before_the_end_nothing_is_told_of_ids_that_are_not_public(tmp_path: Path) -> None:
    def look(text: bytes, public: bytes | None, **options: str) -> None:
        path = tmp_path / "t.csv"
        path.write_bytes(text)
        made = TableOptions.model_validate({**TABLE_OPTIONS, **options})
        check_form(made, public, path, "t.csv")

    unknown, public = TABLE + b"\n9,Rome,1\n", b"x,id\n0,1\n0,2\n0,3\n0,4\n"
    look(unknown, None)
    look(TABLE + b"\n4,Rome,1\n", public, ids="ids.csv")
    look(unknown, public, ids="ids.csv", unknown="wrong")
    with pytest.raises(SubmissionError, match="unknown id: '9'"):
        look(unknown, public, ids="ids.csv")
    with pytest.raises(SubmissionError, match="id stands twice: '1'"):
        look(TABLE + b"\n1,Rome,10\n", None)
    look(TABLE + b"\n1,Rome,10\n", None, repeated="wrong")


VALUES = {
    "path": "r.json",
    "values": [
        {"pointer": "/auc", "value": 0.9, "absolute": 0.01},
        {"pointer": "/n/0", "value": 5},
    ],
}


@pytest.mark.parametrize(
    ("document", "credit", "said"),
    [
        ({"auc": 0.905, "n": [5]}, 1.0, "2 of 2"),
        ({"auc": 0.91, "n": [5]}, 1.0, "2 of 2"),
        ({"auc": 0.905, "n": [6]}, 0.5, "/n/0 is 6, which is not near enough"),
        ({"auc": True, "n": [5]}, 0.5, "/auc is True, no number"),
        ({"auc": "0.9", "n": [5.0]}, 0.5, "no number"),
        ({"n": [10**400]}, 0.0, "too large"),
        ([], 0.0, "/auc does not exist"),
    ],
)
async def test_numbers_earn_the_share_that_is_near_enough(
    graded: Graded, document: object, credit: float, said: str
) -> None:
    score = await graded("numbers", VALUES, {"r.json": json.dumps(document).encode()})
    assert (score.state, score.credit) == ("scored", credit)
    assert said in score.evidence
    whole = await graded(
        "numbers", {**VALUES, "all_or_nothing": True}, {"r.json": json.dumps(document).encode()}
    )
    assert whole.credit == float(credit == 1)


@pytest.mark.parametrize("raw", [b'{"auc": NaN}', b"[" * 100_000, b"\xff", b""])
async def test_what_is_no_json_has_no_numbers(graded: Graded, raw: bytes) -> None:
    assert (await graded("numbers", VALUES, {"r.json": raw})).state == "invalid"


async def test_a_link_is_no_file_that_is_as_it_was_and_is_added_like_one(graded: Graded) -> None:
    options = {"paths": ["data/*"], "may_add": False}
    added = await graded("unchanged", options, BEFORE, BEFORE, ("data/new.py",))
    assert (added.credit, added.evidence) == (0, "data/new.py was added")
    rest = {path: data for path, data in BEFORE.items() if path != "data/a.csv"}
    instead = await graded("unchanged", options, rest, BEFORE, ("data/a.csv",))
    assert (instead.credit, instead.evidence) == (0, "data/a.csv was changed")


BEFORE: FileTree = {"data/a.csv": b"1", "data/sub/b.csv": b"2", "code.py": b"x"}


@pytest.mark.parametrize(
    ("after", "options", "said"),
    [
        ({**BEFORE, "code.py": b"y"}, {}, ""),
        ({**BEFORE, "data/new.csv": b"3"}, {}, ""),
        ({**BEFORE, "data/new.csv": b"3"}, {"may_add": False}, "data/new.csv was added"),
        ({**BEFORE, "data/sub/b.csv": b"3"}, {}, "data/sub/b.csv was changed"),
        ({"code.py": b"x", "data/a.csv": b"1"}, {}, "data/sub/b.csv was removed"),
    ],
)
async def test_what_must_not_be_touched_is_as_it_was(
    graded: Graded, after: FileTree, options: dict[str, Any], said: str
) -> None:
    score = await graded("unchanged", {"paths": ["data/*"], **options}, after, BEFORE)
    assert score.credit == float(not said)
    assert said in score.evidence


@pytest.mark.parametrize(
    ("grader", "options", "said"),
    [
        ("metric", {**METRIC, "truth": "none.csv"}, "there is no grading/none.csv"),
        ("metric", {**METRIC, "metric": "auc"}, "there is no metric 'auc'"),
        ("metric", {**METRIC, "positive": "2"}, "both classes"),
        ("metric", {**METRIC, "metric": "rmse"}, "from worse to better"),
        ("metric", {**METRIC, "validation": "val.csv"}, "rows of the validation part"),
        ("metric", {**METRIC, "classes": ["1", "0"]}, "classes are for log_loss"),
        ("metric", {**METRIC, "column": "label"}, "has no column 'label'"),
        ("table", {**TABLE_OPTIONS, "truth": "none.csv"}, "there is no grading/none.csv"),
        ("table", {"columns": {"city": {"absolute": 1}, "price": "exact"}}, "no finite numbers"),
        ("table", {**TABLE_OPTIONS, "ids": "none.csv"}, "there is no workspace/none.csv"),
        ("table", {**TABLE_OPTIONS, "ids": "few.csv"}, "rows that are not in few.csv"),
        ("table", {**TABLE_OPTIONS, "ids": "other.csv"}, "workspace/other.csv"),
        ("numbers", {"values": []}, "at least 1 item"),
        ("unchanged", {"paths": ["nothing*"]}, "no file of the workspace matches"),
    ],
)
async def test_options_that_do_not_fit_the_task_are_the_authors_error(
    graded: Graded, grader: str, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(TaskError, match=r"criterion 'it': .*" + said):
        await graded(grader, options, {}, {"few.csv": b"id\n1\n", "other.csv": b"x\n1\n"})


def test_ten_million_rows_are_refused_by_their_number(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    with path.open("wb") as file:
        file.write(b"id,target\n")
        for _ in range(100):
            file.write(b"a,1\n" * 100_000)
    with pytest.raises(SubmissionError, match="more than 4 rows"):
        read_table(path, "long.csv", ("id", "target"), 4)


async def test_a_file_of_many_gigabytes_is_refused_by_its_size(tmp_path: Path) -> None:
    path = tmp_path / "work.tar"
    head = bytearray(pack({"big.csv": b""}).getvalue()[:512])
    head[124:136] = b"\x80" + (5 << 30).to_bytes(11, "big")
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    path.write_bytes(bytes(head))
    task = task_of("metric", METRIC, {})
    work = Work(task=task, answer="", snapshot=path, snapshot_sha256="", seed=1, backend=open_plain)
    with pytest.raises(SubmissionError, match="holds 5368709120 bytes, more than"):
        async with work.file("big.csv", max_bytes=1 << 30):
            pass


# The metrics, against definitions written out and against scikit-learn.

BINARY = st.lists(
    st.tuples(st.booleans(), st.floats(0, 1, width=32)), min_size=2, max_size=30
).filter(lambda pairs: len({truth for truth, _ in pairs}) == 2)
FINITE = st.floats(-1e6, 1e6)
NUMBERS = st.lists(st.tuples(FINITE, FINITE), min_size=2, max_size=30)
WORDS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from("abcd")), min_size=1, max_size=30
)


@given(BINARY)
def test_roc_auc_is_the_share_of_pairs_in_order(pairs: list[tuple[bool, float]]) -> None:
    positive = [score for truth, score in pairs if truth]
    negative = [score for truth, score in pairs if not truth]
    above = sum((p > n) + 0.5 * (p == n) for p in positive for n in negative)
    expected = above / (len(positive) * len(negative))
    truth, scores = map(np.array, zip(*pairs, strict=True))
    assert METRICS["roc_auc"].score(truth.astype(float), scores) == pytest.approx(expected)


@given(BINARY)
def test_log_loss_is_the_mean_surprise(pairs: list[tuple[bool, float]]) -> None:
    clipped = [(truth, min(max(score, 1e-15), 1 - 1e-15)) for truth, score in pairs]
    expected = sum(-math.log(s) if t else -math.log1p(-s) for t, s in clipped) / len(pairs)
    truth, scores = map(np.array, zip(*pairs, strict=True))
    assert METRICS["log_loss"].score(truth.astype(float), scores) == pytest.approx(expected)


@given(NUMBERS)
def test_errors_of_numbers_are_as_written_out(pairs: list[tuple[float, float]]) -> None:
    truth, found = (np.array(values, float) for values in zip(*pairs, strict=True))
    squares = sum((t - f) ** 2 for t, f in pairs) / len(pairs)
    assert METRICS["rmse"].score(truth, found) == pytest.approx(math.sqrt(squares))
    absolute = sum(abs(t - f) for t, f in pairs) / len(pairs)
    assert METRICS["mae"].score(truth, found) == pytest.approx(absolute)
    logs = [math.log1p(abs(t)) - math.log1p(abs(f)) for t, f in pairs]
    expected = math.sqrt(sum(d * d for d in logs) / len(logs))
    assert METRICS["rmsle"].score(abs(truth), abs(found)) == pytest.approx(expected)


@given(WORDS)
def test_metrics_of_labels_are_as_written_out(pairs: list[tuple[str, str]]) -> None:
    truth, found = (np.array(values) for values in zip(*pairs, strict=True))
    assert METRICS["accuracy"].score(truth, found) == sum(t == f for t, f in pairs) / len(pairs)
    recalls = [
        sum(t == f == label for t, f in pairs) / sum(t == label for t, _ in pairs)
        for label in {t for t, _ in pairs}
    ]
    assert METRICS["balanced_accuracy"].score(truth, found) == pytest.approx(
        sum(recalls) / len(recalls)
    )
    f1s: list[float] = []
    for label in {label for pair in pairs for label in pair}:
        hit = sum(t == f == label for t, f in pairs)
        said = sum((t == label) + (f == label) for t, f in pairs)
        f1s.append(2 * hit / said)
    assert METRICS["f1_macro"].score(truth, found) == pytest.approx(sum(f1s) / len(f1s))


def test_the_others_are_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    truth, scores = rng.integers(0, 2, 50).astype(float), rng.random(50).round(1)
    found = METRICS["average_precision"].score(truth, scores)
    assert found == pytest.approx(SKLEARN.average_precision_score(truth, scores))
    expected = SKLEARN.roc_auc_score(truth, scores)
    assert METRICS["roc_auc"].score(truth, scores) == pytest.approx(expected)
    real = rng.normal(size=50)
    assert METRICS["r2"].score(real, scores) == SKLEARN.r2_score(real, scores)


GRADES = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=30).filter(
    lambda pairs: len({truth for truth, _ in pairs}) > 1
)


@given(GRADES)
def test_kappa_weighs_errors_by_their_square_on_the_scale(pairs: list[tuple[int, int]]) -> None:
    observed = sum((t - f) ** 2 for t, f in pairs) / len(pairs)
    expected = sum((t - f) ** 2 for t, _ in pairs for _, f in pairs) / len(pairs) ** 2
    truth, found = (np.array(values, float) for values in zip(*pairs, strict=True))
    score = METRICS["quadratic_kappa"].score(truth, found)
    assert score == pytest.approx(1 - observed / expected, abs=1e-9)
    reference = SKLEARN.cohen_kappa_score(truth, found, weights="quadratic", labels=range(5))
    assert score == pytest.approx(reference, abs=1e-9)


@given(BINARY)
def test_average_precision_adds_up_precision_by_the_recall_it_gains(
    pairs: list[tuple[bool, float]],
) -> None:
    total = before = 0.0
    for bound in sorted({score for _, score in pairs}, reverse=True):
        taken = [truth for truth, score in pairs if score >= bound]
        recall = sum(taken) / sum(truth for truth, _ in pairs)
        total += (recall - before) * sum(taken) / len(taken)
        before = recall
    truth, scores = map(np.array, zip(*pairs, strict=True))
    found = METRICS["average_precision"].score(truth.astype(float), scores)
    assert found == pytest.approx(total)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), min_size=1, max_size=20))
def test_log_loss_of_several_classes_is_that_of_the_true_one(pairs: list[tuple[int, int]]) -> None:
    truth = np.eye(3)[[label for label, _ in pairs]]
    weights = np.array([[1.0, 1.0 + n, 2.0] for _, n in pairs])
    given_ = weights / weights.sum(axis=1, keepdims=True)
    expected = -sum(math.log(given_[n, t]) for n, (t, _) in enumerate(pairs)) / len(pairs)
    assert METRICS["log_loss"].score(truth, given_) == pytest.approx(expected)


SEVERAL = b"id,target\n1,cat\n2,dog\n"
GRADED = b"id,target\n1,0\n2,4\n"
AMOUNTS = b"id,target\n1,0\n2,3\n"


@pytest.mark.parametrize(
    ("metric", "labels", "predictions", "said"),
    [
        ("log_loss", SEVERAL, b"id,cat,dog\n2,0.2,0.8\n1,0.9,0.1\n", 0.164252),
        ("log_loss", SEVERAL, b"id,cat,dog\n2,0.2,0.9\n1,0.9,0.1\n", "do not add up to 1"),
        ("log_loss", SEVERAL, b"id,cat,dog\n2,-1,2\n1,0.9,0.1\n", "not from 0 to 1"),
        ("log_loss", SEVERAL, b"id,cat\n2,1\n1,1\n", "has no column 'dog'"),
        ("log_loss", LABELS, b"id,target\na,7\nb,-3\nc,1\nd,0\n", "not from 0 to 1"),
        ("quadratic_kappa", GRADED, b"id,target\n1,0\n2,4.0\n", 1),
        ("quadratic_kappa", GRADED, b"id,target\n1,0\n2,3.5\n", "no whole numbers"),
        ("rmsle", AMOUNTS, b"id,target\n1,0\n2,0\n", 0.980258),
        ("rmsle", AMOUNTS, b"id,target\n1,-1\n2,0\n", "below 0"),
        ("rmse", AMOUNTS, b"id,target\n1,1e308\n2,0\n", "no finite number"),
    ],
)
def test_each_metric_reads_what_it_is_defined_on(
    tmp_path: Path, metric: str, labels: bytes, predictions: bytes, said: str | float
) -> None:
    several = labels is SEVERAL
    worst = [{"score": 9 if METRICS[metric].higher_is_better else 0, "credit": 1}]
    options = MetricOptions.model_validate(
        {"metric": metric, "thresholds": worst, "classes": ["cat", "dog"] if several else []}
    )
    check_labels(options, labels, "labels.csv")
    path = tmp_path / "p.csv"
    path.write_bytes(predictions)
    if isinstance(said, str):
        with pytest.raises(SubmissionError, match=said):
            score_predictions(options, labels, path, "p.csv")
    else:
        found = score_predictions(options, labels, path, "p.csv").score
        assert found == pytest.approx(said, abs=1e-6)


@given(st.floats(0, 2))
def test_credit_between_thresholds_has_few_levels(score: float) -> None:
    options = MetricOptions.model_validate(
        {
            "metric": "log_loss",
            "between": "linear",
            "thresholds": [{"score": 0.7, "credit": 0.125}, {"score": 0.1, "credit": 1.0}],
        }
    )
    credit, said = credit_of(score, options)
    assert credit in {0.0, 0.125, *(n / 100 for n in range(101))}
    assert said in {"does not reach 0.7", "reaches 0.7", "reaches 0.1"}


@given(st.floats(0, 2))
def test_credit_grows_with_the_score(score: float) -> None:
    thresholds = [
        {"score": 0.5, "credit": 0.1},
        {"score": 0.8, "credit": 0.6},
        {"score": 1.0, "credit": 1.0},
    ]
    for between in ("step", "linear"):
        options = MetricOptions.model_validate(
            {"metric": "roc_auc", "thresholds": thresholds, "between": between}
        )
        credit, _ = credit_of(score, options)
        better, _ = credit_of(score + 0.05, options)
        assert 0 <= credit <= better <= 1
        assert (credit > 0) == (score >= 0.5)
