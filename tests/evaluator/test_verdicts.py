"""The verdict sandbox: one for a submission, and never one that agent code has been in."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from proctor.evaluator.grade import measure
from proctor.evaluator.graders import check_options
from proctor.evaluator.verdicts import shared_verdict_sandbox
from proctor.evaluator.work import Work
from proctor.sandbox_backends.archive import pack
from proctor.sandbox_backends.base import Backend, Sandbox
from proctor.schemas.errors import SandboxLostError, SandboxStartError
from proctor.schemas.rubric import Criterion, Message, Rubric
from proctor.schemas.sandbox import SandboxSpec
from proctor.schemas.task import Task

OWN = "def one(files):\n    return 1.0, 'one'\n\ndef two(files):\n    return 0.5, 'two'\n"
TESTS = """
def case_sum(workspace):
    from code_of_agent import add
    return add(1, 2)

def test_sum(result):
    assert result == 3
"""


class Counted:
    """A backend that counts what it opens, and which of those are for verdicts."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.verdict = self.agent = 0

    @asynccontextmanager
    async def __call__(self, spec: SandboxSpec) -> AsyncGenerator[Sandbox]:
        assert spec.network == "none"
        self.verdict += spec.never_gpus
        self.agent += not spec.never_gpus
        async with self._backend(spec) as sandbox:
            yield sandbox


@pytest.fixture
def counted(any_backend: Backend) -> Counted:
    return Counted(any_backend)


@pytest.fixture
def work(tmp_path: Path, counted: Counted) -> Work:
    graders = ("own.py:one", "own.py:two", "tests")
    criteria = tuple(Criterion(id=f"c{n}", points=1, text="It.", grader=grader)
                     for n, grader in enumerate(graders))  # fmt: skip
    task = Task(
        id="made-up",
        title="Made up",
        prompt=(Message(content="Do it."),),
        grading={"own.py": OWN.encode(), "tests/test_sum.py": TESTS.encode()},
        rubric=Rubric(criteria=criteria),
    )
    check_options(task)
    archive = tmp_path / "work.tar"
    archive.write_bytes(pack({"code_of_agent.py": b"def add(a, b): return a + b\n"}).getvalue())
    return Work(task, "", archive, "0" * 64, 7, counted)


async def test_all_verdicts_of_a_submission_come_from_one_sandbox(
    work: Work, counted: Counted
) -> None:
    scores = await measure(work, work.task.rubric)
    assert [scores[id_].credit for id_ in ("c0", "c1", "c2")] == [1, 0.5, 1]
    assert (counted.verdict, counted.agent) == (1, 1)


async def test_a_verdict_sandbox_that_is_lost_is_replaced(work: Work, counted: Counted) -> None:
    async with shared_verdict_sandbox(counted, work.task) as opens:
        with pytest.raises(SandboxLostError):
            async with opens():
                raise SandboxLostError("gone")
        async with opens() as sandbox:
            assert "own.py" in await sandbox.names("")
    assert counted.verdict == 2


async def test_verdict_code_gets_no_sandbox_until_a_grader_asks_for_one(
    work: Work, counted: Counted
) -> None:
    async with shared_verdict_sandbox(counted, work.task):
        pass
    assert counted.verdict == 0


async def test_a_verdict_sandbox_that_does_not_start_leaves_its_criteria_ungraded(
    work: Work,
) -> None:
    @asynccontextmanager
    async def none(spec: SandboxSpec) -> AsyncGenerator[Sandbox]:
        raise SandboxStartError(f"no sandbox with {spec.memory_bytes} bytes")
        yield

    broken = Work(work.task, "", work.snapshot, "0" * 64, 7, none)
    scores = await measure(broken, work.task.rubric)
    assert {score.state for score in scores.values()} == {"ungraded"}


async def test_a_hand_in_that_cannot_be_unpacked_is_invalid(work: Work) -> None:
    work.snapshot.write_bytes(b"not an archive")
    score = (await measure(work, work.task.rubric.only({"c2"})))["c2"]
    assert score.state == "invalid"
    assert "cannot be unpacked" in score.evidence
