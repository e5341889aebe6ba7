"""A run: what is held, what is kept, and what is made again."""

import itertools
import json
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import override

from proctor.clients.runs.directory import RunDirectory
from proctor.clients.runs.engine import Stage, Tell
from proctor.clients.runs.joined import joined
from proctor.clients.runs.run import MADE_AGAIN, Plan, Stop, run
from proctor.schemas.errors import RunError
from proctor.schemas.grade import Grade
from proctor.schemas.result import AgentReport, Blame, RunResult
from proctor.schemas.run import Attempt, Candidate, Lock
from proctor.schemas.session import SessionRecord
from proctor.schemas.trajectory import UserMessage

NOW = datetime(2026, 1, 2, tzinfo=UTC)
GRADE = Grade(
    score=1, total_possible=1, points_graded=1, percentage=100, results=(), task_digest="x",
    snapshot_sha256=None, grader_version="1",
)  # fmt: skip


def lock(tasks: int = 3, epochs: int = 2, candidates: tuple[str, ...] = ("a",)) -> Lock:
    return Lock(
        run_id="r",
        started_at=NOW,
        flags={},
        versions={"python": "3"},
        tasks={f"task-{number}": "0" * 64 for number in range(tasks)},
        candidates=tuple(Candidate(name=name, agent=name) for name in candidates),
        epochs=epochs,
    )


def record(attempt: Attempt, grade: Grade | None = GRADE) -> SessionRecord:
    return SessionRecord(
        session_id=attempt.label.replace("/", "-"), task_id=attempt.task_id, task_digest="x",
        label=attempt.label, directory="", state="graded" if grade else "open", started_at=NOW,
        grade=grade,
    )  # fmt: skip


Ending = Callable[[Attempt, int], Blame | None]
"""How an attempt ends that begins for the n-th time."""


def well(_: Attempt, __: int) -> Blame | None:
    """Every attempt is graded."""
    return None


class Scripted:
    """An engine whose sessions end as they are told to, one after the other."""

    def __init__(self, ending: Ending) -> None:
        self.ending = ending
        self.begun: Counter[Attempt] = Counter()
        self.at_once = 0
        self.most_at_once = 0

    async def hold(self, attempt: Attempt, tell: Tell) -> RunResult:
        self.begun[attempt] += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        tell("working", AgentReport(turns=1))
        try:
            await anyio.lowlevel.checkpoint()
            return self.end(attempt)
        finally:
            self.at_once -= 1

    def end(self, attempt: Attempt) -> RunResult:
        """The result of an attempt that has begun."""
        blame = self.ending(attempt, self.begun[attempt])
        return joined(
            attempt,
            Candidate(name=attempt.candidate, agent=attempt.candidate),
            AgentReport(turns=self.begun[attempt]),
            None if blame else record(attempt),
            started_at=NOW,
            duration_s=1.0,
            failure=(blame, "no luck") if blame else None,
        )


async def hold(
    path: Path, engine: Scripted, plan: Plan, stop: Stop | None = None
) -> dict[Attempt, RunResult]:
    seen: list[Attempt] = []

    def note(attempt: Attempt, stage: Stage | None, _: object) -> None:
        if stage is None:
            seen.append(attempt)

    held = await run(
        plan, engine, RunDirectory(path), note,
        stop or Stop(),
    )  # fmt: skip
    assert set(held) <= set(seen), "the view was told of every result"
    return dict(held)


async def test_every_attempt_is_held_once_at_the_concurrency_asked_for(tmp_path: Path) -> None:
    engine = Scripted(well)
    plan = Plan(lock(candidates=("a", "b")), concurrency=3)
    results = await hold(tmp_path, engine, plan)
    assert list(results) == list(plan.lock.attempts())
    assert len(results) == 12
    assert set(engine.begun.values()) == {1}
    assert engine.most_at_once == 3
    assert RunDirectory(tmp_path).result(plan.lock.attempts()[0]) is not None
    assert (tmp_path / "b" / "task-2" / "2" / "result.json").is_file()


@pytest.mark.parametrize("blame", ["model", "server", "interrupted"])
async def test_a_failure_that_may_pass_is_made_again_and_its_evidence_kept(
    tmp_path: Path, blame: Blame
) -> None:
    engine = Scripted(lambda _attempt, times: blame if times == 1 else None)
    plan = Plan(lock(1, 1))
    (attempt,) = plan.lock.attempts()
    results = await hold(tmp_path, engine, plan)
    assert results[attempt].evaluation is not None
    assert results[attempt].metadata["turns"] == 2
    earlier = tmp_path / ".earlier" / "task-0" / "1" / "1" / "result.json"
    assert RunResult.model_validate_json(earlier.read_bytes()).blame == blame
    assert [told.turns for told in RunDirectory(tmp_path).told_of(attempt)] == [1, 2]


@pytest.mark.parametrize("blame", ["task", "agent"])
async def test_a_failure_that_would_come_again_is_not_made_again(
    tmp_path: Path, blame: Blame
) -> None:
    engine = Scripted(lambda _attempt, _times: blame)
    plan = Plan(lock(1, 1), retries=5)
    await hold(tmp_path, engine, plan)
    await hold(tmp_path, engine, plan)
    assert set(engine.begun.values()) == {1}


@pytest.mark.parametrize(("cap", "begun"), [("session_tokens", 3), ("run_tokens", 1)])
async def test_where_nothing_is_left_no_session_is_held_in_vain(
    tmp_path: Path, cap: str, begun: int
) -> None:
    class Poor(Scripted):
        @override
        def end(self, attempt: Attempt) -> RunResult:
            result = super().end(attempt)
            return result.model_copy(update={"metadata": {**result.metadata, "ended_by": cap}})

    engine = Poor(lambda _attempt, _times: "budget")
    plan = Plan(lock(3, 1), concurrency=1, retries=4)
    await hold(tmp_path, engine, plan)
    assert list(engine.begun.values()) == [1] * begun
    assert len(await hold(tmp_path, Scripted(well), plan)) == 3, "with more, it goes on"


async def test_a_spent_budget_is_tried_again_only_when_the_run_goes_on(tmp_path: Path) -> None:
    engine = Scripted(lambda _attempt, times: "budget" if times == 1 else None)
    plan = Plan(lock(1, 1), retries=5)
    ((_, result),) = (await hold(tmp_path, engine, plan)).items()
    assert result.blame == "budget"
    ((_, result),) = (await hold(tmp_path, engine, plan)).items()
    assert result.evaluation is not None


@settings(max_examples=25)
@given(st.data())
def test_whatever_fails_and_however_often_it_is_stopped_every_session_is_accounted_for(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("run")
    plan = Plan(
        lock(data.draw(st.integers(1, 4)), data.draw(st.integers(1, 3))),
        concurrency=data.draw(st.integers(1, 5)),
        retries=data.draw(st.integers(0, 2)),
    )
    graded: Counter[Attempt] = Counter()
    chance = random.Random(data.draw(st.integers()))  # noqa: S311 - not drawn one by one, as tasks take turns
    kinds: list[Blame | None] = [None, None, "model", "server", "agent", "task"]

    async def once(stop_after: int) -> dict[Attempt, RunResult]:
        stop, count = Stop(), itertools.count(1)

        def end(attempt: Attempt, _: int) -> Blame | None:
            if next(count) == stop_after:
                stop.ask()
            ending = chance.choice(kinds)
            graded[attempt] += ending is None
            return ending

        return await hold(path, Scripted(end), plan, stop)

    for _ in range(data.draw(st.integers(1, 4))):
        results = anyio.run(once, data.draw(st.integers(1, 6)))
    results = anyio.run(once, 0)
    assert set(results) == set(plan.lock.attempts())
    assert all(times <= 1 for times in graded.values()), "nothing is graded twice"
    assert all(
        (result.evaluation is not None) == (graded[attempt] == 1)
        for attempt, result in results.items()
    )


async def test_asked_once_a_run_drains_and_asked_twice_it_closes_what_is_under_way(
    tmp_path: Path,
) -> None:
    stop, plan = Stop(), Plan(lock(3, 1), concurrency=1)

    class Stopped(Scripted):
        async def hold(self, attempt: Attempt, tell: Tell) -> RunResult:
            tell("working", None)
            stop.ask()
            await anyio.lowlevel.checkpoint()  # asked once: nothing happens to what is under way
            stop.ask()
            with suppress(anyio.get_cancelled_exc_class()):
                await anyio.sleep_forever()
            self.begun[attempt] += 1
            return self.end(attempt)

    engine = Stopped(lambda _attempt, _times: "interrupted")
    (attempt,) = await hold(tmp_path, engine, plan, stop)
    kept = RunDirectory(tmp_path).result(attempt)
    assert kept is not None
    assert kept.blame == "interrupted"
    assert set(await hold(tmp_path, Scripted(well), plan)) == set(plan.lock.attempts())


async def test_a_session_that_was_graded_before_the_run_was_killed_is_not_held_again(
    tmp_path: Path,
) -> None:
    plan = Plan(lock(1, 1))
    (attempt,) = plan.lock.attempts()
    place = tmp_path / attempt.label
    place.mkdir(parents=True)
    (place / "session.json").write_text(record(attempt).model_dump_json())
    directory = RunDirectory(tmp_path)
    step = UserMessage(timestamp=NOW, turn=1, text="do it\u2028now\x85")
    directory.tell(attempt, AgentReport(turns=1, trace=(step,)), 0)
    directory.tell(attempt, AgentReport(turns=2, answer="mended", trace=(step, step)), 1)
    with (place / "progress.jsonl").open("ab") as file:
        file.write('{"answer": "half a lié'.encode()[:-1])
    engine = Scripted(well)
    (result,) = (await hold(tmp_path, engine, plan)).values()
    assert not engine.begun
    assert result.evaluation == GRADE
    assert (result.metadata["turns"], result.answer, len(result.trace)) == (2, "mended", 2)
    assert not (place / "progress.jsonl").exists()


async def test_a_session_that_was_handed_in_for_later_is_not_held_again(tmp_path: Path) -> None:
    plan = Plan(lock(1, 1))
    (attempt,) = plan.lock.attempts()
    place = tmp_path / attempt.label
    place.mkdir(parents=True)
    kept = record(attempt, None).model_copy(update={"state": "submitted", "settled": True})
    (place / "session.json").write_text(kept.model_dump_json())
    engine = Scripted(well)
    (result,) = (await hold(tmp_path, engine, plan)).values()
    assert not engine.begun
    assert (result.state, result.error) == ("submitted", None)
    assert result.confinement is None, "nobody knows any more what confined its agent"


async def test_what_a_killed_run_knew_of_a_graded_session_becomes_its_trajectory(
    tmp_path: Path,
) -> None:
    plan = Plan(lock(1, 1))
    (attempt,) = plan.lock.attempts()
    place = tmp_path / attempt.label
    place.mkdir(parents=True)
    (place / "session.json").write_text(record(attempt).model_dump_json())
    steps = tuple(UserMessage(timestamp=NOW, turn=n, text=f"turn {n}") for n in (1, 2))
    directory = RunDirectory(tmp_path)
    tools = ({"type": "function"},)
    for told in (0, 1):
        directory.tell(attempt, AgentReport(trace=steps[: told + 1], tools=tools), told)
    await hold(tmp_path, Scripted(well), plan)
    trajectory = json.loads((place / "trajectory.json").read_text())
    assert [step["message"] for step in trajectory["steps"]] == ["turn 1", "turn 2"]
    assert trajectory["agent"]["tool_definitions"] == [{"type": "function"}]


async def test_a_session_that_was_under_way_when_the_run_was_killed_is_held_again(
    tmp_path: Path,
) -> None:
    plan = Plan(lock(1, 1))
    (attempt,) = plan.lock.attempts()
    place = tmp_path / attempt.label
    place.mkdir(parents=True)
    (place / "session.json").write_text(record(attempt, None).model_dump_json())
    RunDirectory(tmp_path).tell(attempt, AgentReport(turns=7, prompt_tokens=70), 0)
    engine = Scripted(well)
    await hold(tmp_path, engine, plan)
    assert engine.begun[attempt] == 1
    told = list(RunDirectory(tmp_path).told_of(attempt))
    assert [report.turns for report in told] == [7, 1], "what was spent before is not forgotten"


async def test_two_processes_cannot_hold_one_run(tmp_path: Path) -> None:
    async with RunDirectory(tmp_path).held():
        with pytest.raises(RunError, match="another process runs in"):
            async with RunDirectory(tmp_path).held():
                pass
    async with RunDirectory(tmp_path).held():
        pass


def test_a_directory_without_a_run_says_so(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="holds no run"):
        RunDirectory(tmp_path).lock()
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(RunError, match="run_id"):
        RunDirectory(tmp_path).lock()


def test_two_locks_name_what_is_different() -> None:
    before = lock(2)
    after = before.model_copy(
        update={
            "tasks": {"task-0": "1" * 64, "task-2": "0" * 64},
            "epochs": 3,
            "conditions": {"judge": "openai/gpt-x"},
        }
    )
    assert list(before.differences(before)) == []
    assert list(before.differences(after)) == [
        "tasks.task-0: 000000000000... before, 111111111111... now",
        "tasks.task-1: 000000000000... before, none now",
        "tasks.task-2: none before, 000000000000... now",
        "epochs: 2 before, 3 now",
        "conditions.judge: none before, openai/gpt-x now",
    ]


def test_a_session_that_broke_off_before_its_agent_told_anything_names_its_model() -> None:
    (attempt,) = lock(1, 1).attempts()
    result = joined(
        attempt,
        Candidate.of("tool_loop", "openai/gpt-x"),
        AgentReport(confinement=None),
        None,
        started_at=NOW,
        duration_s=1.0,
        failure=("server", "no sandbox"),
    )
    assert (result.agent, result.model) == ("tool_loop", "openai/gpt-x")
    assert result.metadata["errors"] == ["no sandbox"]


@pytest.mark.parametrize("failed", ["agent", "model"])
def test_an_agent_is_not_blamed_where_its_sandbox_failed(failed: Blame) -> None:
    (attempt,) = lock(1, 1).attempts()
    lost = record(attempt, None).model_copy(update={"state": "failed", "error": "it is gone"})
    result = joined(
        attempt,
        Candidate(name="a", agent="a"),
        AgentReport(),
        lost,
        started_at=NOW,
        duration_s=1.0,
        failure=(failed, "no reply"),
    )
    blamed = {"agent": ("server", "it is gone"), "model": ("model", "no reply")}[failed]
    assert (result.blame, result.error) == blamed
    assert "no reply" in result.metadata["errors"]


def test_what_may_pass_is_not_the_agents_nor_the_tasks_doing() -> None:
    assert not {"agent", "task"} & MADE_AGAIN
