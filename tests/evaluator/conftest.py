"""What tests of graders that run code share: a criterion, measured on files of a made-up task."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from proctor.evaluator.grade import measure
from proctor.evaluator.graders import check_options
from proctor.evaluator.work import Work
from proctor.sandbox_backends.archive import pack
from proctor.sandbox_backends.base import Backend
from proctor.schemas.grade import Score
from proctor.schemas.rubric import Criterion, Message, Rubric
from proctor.schemas.task import Task

Files: TypeAlias = Mapping[str, str | bytes]
Measured: TypeAlias = Callable[..., Awaitable[Score]]
WorkOf: TypeAlias = Callable[..., Work]


def encoded(files: Files) -> dict[str, bytes]:
    return {p: each if isinstance(each, bytes) else each.encode() for p, each in files.items()}


def task_of(
    grader: str, options: Mapping[str, Any], grading: Files, workspace: Files | None = None
) -> Task:
    """A task of one criterion, checked as the catalog checks it."""
    criterion = Criterion(id="it", points=1, text="It holds.", grader=grader, options=options)
    task = Task(
        id="made-up",
        title="Made up",
        prompt=(Message(content="Do it."),),
        workspace=encoded(workspace or {}),
        grading=encoded(grading),
        rubric=Rubric(criteria=(criterion,)),
    )
    check_options(task)
    return task


@pytest.fixture
def work_of(tmp_path: Path, any_backend: Backend) -> WorkOf:
    """What graders are given of files that were handed in."""

    def made(task: Task, files: Files, backend: Backend = any_backend, answer: str = "") -> Work:
        archive = tmp_path / "work.tar"
        archive.write_bytes(pack({**task.workspace, **encoded(files)}).getvalue())
        return Work(
            task=task,
            answer=answer,
            snapshot=archive,
            snapshot_sha256="0" * 64,
            seed=7,
            backend=backend,
        )

    return made


@pytest.fixture
def measured(work_of: WorkOf, any_backend: Backend) -> Measured:
    """Measure a task's one criterion on the files that were handed in."""

    async def score(
        task: Task, files: Files, backend: Backend = any_backend, answer: str = ""
    ) -> Score:
        return (await measure(work_of(task, files, backend, answer), task.rubric))["it"]

    return score


@pytest.fixture
def make_task() -> Callable[..., Task]:
    return task_of
