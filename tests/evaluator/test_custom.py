"""A task's own grader: what it is given, and what its verdict is worth."""

import io
import pickle
import zipfile
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import numpy as np
import pytest

from proctor.evaluator.provenance import digests_of_graders
from proctor.schemas.errors import TaskError
from proctor.schemas.grade import Score
from proctor.schemas.task import Task

Measured: TypeAlias = Callable[..., Awaitable[Score]]
MakeTask: TypeAlias = Callable[..., Task]

OWN = """
import math
from pathlib import Path
from probe_kit import Invalid

def table(files, truth):
    found = files.table("out.csv")
    if list(found.columns) != ["id", "y"]:
        raise Invalid(f"out.csv has the columns {list(found.columns)}")
    right = sum(float(y) == truth[str(i)] for i, y in zip(found["id"], found["y"]))
    return right / len(truth), f"{right} of {len(truth)} rows are right"

def arrays(files):
    found = files.arrays("out.npz")
    return float(found["y"].tolist() == [1.0, 2.0]), "arrays"

def array(files):
    return float(files.array("out.npy").sum() == 3), "array"

def document(files):
    return float(files.json("out.json")["y"] == [1, 2]), "document"

def source(files):
    return float("median" in files.text("model.py") and files.answer == "done"), "source"

def optional(files):
    return float("notes.md" not in files), "notes"

def hidden(files):
    return float((Path("labels.csv").read_text() == "y\\n1\\n")), "labels beside the grader"

def not_a_number(files):
    return math.nan, ""

def too_much(files):
    return 1.5, ""

def broken(files):
    return 1 / 0, ""
"""
GRADING = {"own/grader.py": OWN, "labels.csv": "y\n1\n"}
TRUTH = {"1": 1.0, "2": 4.0}


def archive(**arrays: Any) -> bytes:
    target = io.BytesIO()
    np.savez(target, **arrays)
    return target.getvalue()


def array(values: Any) -> bytes:
    target = io.BytesIO()
    np.save(target, values)
    return target.getvalue()


RIGHT: list[tuple[str, dict[str, Any], dict[str, str | bytes]]] = [
    ("table", {"files": ["out.csv"], "arguments": {"truth": TRUTH}}, {"out.csv": "id,y\n1,1\n2,4"}),
    ("arrays", {"files": ["out.npz"]}, {"out.npz": archive(y=np.array([1.0, 2.0]))}),
    ("array", {"files": ["out.npy"]}, {"out.npy": array(np.array([1, 2]))}),
    ("document", {"files": ["out.json"]}, {"out.json": '{"y": [1, 2]}'}),
    ("source", {"files": ["model.py"]}, {"model.py": "from statistics import median"}),
    ("optional", {"optional": ["notes.md"]}, {}),
    ("hidden", {}, {}),
]


@pytest.mark.parametrize(("function", "options", "files"), RIGHT, ids=[each[0] for each in RIGHT])
async def test_a_tasks_own_grader_reads_plain_files(
    make_task: MakeTask,
    measured: Measured,
    function: str,
    options: dict[str, Any],
    files: dict[str, str | bytes],
) -> None:
    task = make_task(f"own/grader.py:{function}", options, GRADING)
    score = await measured(task, files, answer="done")
    assert (score.state, score.credit) == ("scored", 1), score.evidence


async def test_credit_may_be_partial(make_task: MakeTask, measured: Measured) -> None:
    options = {"files": ["out.csv"], "arguments": {"truth": TRUTH}}
    task = make_task("own/grader.py:table", options, GRADING)
    score = await measured(task, {"out.csv": "id,y\n1,1\n2,2\n"})
    assert (score.credit, score.evidence) == (0.5, "1 of 2 rows are right")


def bomb() -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as zipped:
        for n in range(3):
            zipped.writestr(f"a{n}.npy", b"\0" * (100 << 20))
    return target.getvalue()


WRONG: list[tuple[str, dict[str, str | bytes], str]] = [
    ("table", {}, "does not exist"),
    ("table", {"out.csv": b"\xff\xfe1"}, "not text in UTF-8"),
    ("table", {"out.csv": pickle.dumps([1, 2.5])}, "not text in UTF-8"),
    ("table", {"out.csv": "x" * (17 << 20)}, "more than"),
    ("table", {"out.csv": "id\n1\n"}, "has the columns"),
    ("table", {"out.csv": ""}, "not a table"),
    ("document", {"out.json": "[" * 100_000}, "not JSON"),
    ("document", {"out.json": '{"y": NaN}'}, "NaN is not a JSON value"),
    ("array", {"out.npy": array(np.array([{"a": 1}], dtype=object))}, "not a plain array"),
    ("array", {"out.npy": b"\x93NUMPY"}, "not a plain array"),
    ("arrays", {"out.npz": b"PK\x03\x04"}, "no archive"),
    ("arrays", {"out.npz": bomb()}, "unpacks to more than"),
]


@pytest.mark.parametrize(("function", "files", "reason"), WRONG)
async def test_what_is_not_plain_and_bounded_is_invalid_with_the_reason(
    make_task: MakeTask,
    measured: Measured,
    function: str,
    files: dict[str, str | bytes],
    reason: str,
) -> None:
    names = {"table": "out.csv", "document": "out.json", "array": "out.npy", "arrays": "out.npz"}
    options: dict[str, Any] = {"files": [names[function]]}
    if function == "table":
        options["arguments"] = {"truth": TRUTH}
    score = await measured(make_task(f"own/grader.py:{function}", options, GRADING), files)
    assert (score.state, score.credit) == ("invalid", 0)
    assert reason in score.evidence


@pytest.mark.parametrize("function", ["not_a_number", "too_much"])
async def test_a_credit_that_is_none_leaves_the_criterion_ungraded(
    make_task: MakeTask, measured: Measured, function: str
) -> None:
    score = await measured(make_task(f"own/grader.py:{function}", {}, GRADING), {})
    assert score.state == "ungraded"
    assert "returned the credit" in score.evidence


async def test_a_grader_that_stumbles_over_the_hand_in_pays_nothing(
    make_task: MakeTask, measured: Measured
) -> None:
    score = await measured(make_task("own/grader.py:broken", {}, GRADING), {})
    assert (score.state, score.credit) == ("scored", 0)
    assert "ZeroDivisionError" in score.evidence


async def test_nothing_of_the_hand_in_runs_where_the_verdict_is_found(
    make_task: MakeTask, measured: Measured
) -> None:
    """Files go where the grader reads them, never where Python imports from."""
    planted = dict.fromkeys(
        ("sitecustomize.py", "conftest.py", "json.py", "numpy.py", "probe_kit.py"),
        "raise SystemExit(0)",
    )
    result = '{"credit": 1, "evidence": ""}'
    files = {**planted, "out.csv": "id,y\n1,0\n2,0\n", "result.json": result}
    options = {"files": ["out.csv", *planted, "result.json"], "arguments": {"truth": TRUTH}}
    score = await measured(make_task("own/grader.py:table", options, GRADING), files)
    assert (score.state, score.credit) == ("scored", 0), score.evidence


@pytest.mark.parametrize(
    ("grader", "options", "problem"),
    [
        ("nowhere.py:table", {}, "no grading/nowhere.py"),
        ("own/grader.py:nothing", {}, "no function 'nothing'"),
        ("own/grader.py", {}, "there is no grader"),
        ("labels.csv:table", {}, "there is no grader"),
        ("own/grader.py:table", {"files": ["../out.csv"]}, "not relative"),
        ("own/grader.py:table", {"files": ["/etc/passwd"]}, "not relative"),
        ("own/grader.py:table", {"more": 1}, "Extra inputs"),
    ],
)
def test_a_grader_that_is_not_there_is_the_authors_error(
    make_task: MakeTask, grader: str, options: dict[str, Any], problem: str
) -> None:
    with pytest.raises(TaskError, match=problem):
        make_task(grader, options, GRADING)


def test_a_grade_names_the_code_behind_a_tasks_own_grader(make_task: MakeTask) -> None:
    task = make_task("own/grader.py:array", {"files": ["out.npy"]}, GRADING)
    assert list(digests_of_graders(task.rubric)) == ["own/grader.py:array"]
