"""Answers that a task shows: each kind of leak, planted into a task that shows none."""

import gzip
import io
import tarfile
import zipfile

import pytest

from proctor.schemas.rubric import Criterion, Message, Rubric
from proctor.schemas.task import Solution, Task
from proctor.tasks.catalog import Catalog
from proctor.tasks.leaks import leaks

TEXT = "Each frame numbers its labels anew so that codes of May mean other labels"
CODES = (
    "DATA_LEAKAGE, OUTLIER, SCALING_ERROR, ENCODING_ERROR, IMBALANCE, OVERFITTING, "
    "UNDERFITTING or NONE"
)
LABELS = b"id,label\n" + b"".join(b"row-with-a-long-name-%03d,%d\n" % (i, i % 2) for i in range(9))
TASK = Task(
    id="shop",
    title="The price lists",
    prompt=(Message(content=f"Find the fault; its code is one of {CODES}."),),
    workspace={"prices.py": b"def code(labels):\n    return list(range(len(labels)))\n"},
    rubric=Rubric(
        criteria=(
            Criterion(
                id="code",
                points=1,
                text=TEXT,
                grader="report_field",
                options={"pointer": "/issue_type", "equals": "ENCODING_ERROR"},
            ),
        )
    ),
    grading={"labels.csv": LABELS},
    solution=Solution(
        files={
            "prices.py": b"def code(labels):\n    return [KNOWN.index(label) for label in labels]\n"
        }
    ),
)


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("notes", "the encoding error")
    return file.getvalue()


def tarred() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        info = tarfile.TarInfo("notes")
        info.size = 18
        archive.addfile(info, io.BytesIO(b"the encoding error"))
    return file.getvalue()


def test_a_task_that_shows_nothing_has_no_leak() -> None:
    assert list(leaks(TASK)) == []


@pytest.mark.parametrize("task", list(Catalog()), ids=lambda task: task.id)
def test_no_bundled_task_leaks(task: Task) -> None:
    assert list(leaks(task)) == []


@pytest.mark.parametrize(
    ("path", "data", "said"),
    [
        ("prices.py", b"# TODO ENCODING_ERROR here\n", "names the planted error"),
        ("encoding-error/prices.py", b"", "the name of encoding-error"),
        ("notes.ipynb", b'{"cells": [{"source": ["an Encoding Error"]}]}', "names the planted"),
        ("plot.png", b"\x89PNG\r\n\x1a\n\0\0tEXtTitle\0encoding_error\0", "names the planted"),
        ("old.zip", zipped(), "old.zip: notes: names the planted"),
        ("old.tar.gz", tarred(), "old.tar.gz: notes: names the planted"),
        ("log.gz", gzip.compress(b"encoding error"), "log.gz: unpacked: names the planted"),
        ("README", f"Note: {TEXT.lower()}!".encode(), "quotes the criterion code"),
        ("copy.csv", LABELS, "is a copy of a file in grading/"),
        (
            "train.csv",
            b"id,label\n" + LABELS.splitlines()[4] + b"\n",
            "has 1 lines of grading/labels",
        ),
        ("prices.py", b"#    return [KNOWN.index(label) for label in labels]\n", "as a comment"),
        (".git/config", b"", "leftover"),
        ("src/__pycache__/prices.cpython-311.pyc", b"", "leftover"),
        ("prices.py.orig", b"", "leftover"),
    ],
)
def test_each_kind_of_leak_is_found(path: str, data: bytes, said: str) -> None:
    task = TASK.model_copy(update={"workspace": {**TASK.workspace, path: data}})
    found = list(leaks(task))
    assert any(said in each for each in found), found


def test_an_archive_that_cannot_be_read_is_no_leak() -> None:
    broken = {"a.zip": zipped()[:-30], "b.tar.gz": tarred()[:40], "c.gz": b"\x1f\x8bnonsense"}
    task = TASK.model_copy(update={"workspace": {**TASK.workspace, **broken}})
    assert list(leaks(task)) == []
