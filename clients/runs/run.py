"""A run: every attempt that its lock names, held by an engine, each result on disk at once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

import anyio

from proctor import __version__
from proctor.clients.runs.directory import SUMMARY, RunDirectory
from proctor.clients.runs.engine import Engine, Stage
from proctor.clients.runs.joined import recovered
from proctor.clients.runs.trajectory import keep_trajectory
from proctor.schemas.result import AgentReport, Blame, RunResult
from proctor.schemas.run import Attempt, Lock, Summary
from proctor.schemas.session import SessionRecord

MADE_AGAIN: frozenset[Blame] = frozenset({"model", "server", "budget", "interrupted"})
"""Whose failures may pass. A task's or an agent's own would come again."""
NOT_AT_ONCE: frozenset[Blame] = frozenset({"budget"})
"""Those of them that pass only when the run goes on with other limits."""

Watch: TypeAlias = Callable[[Attempt, "Stage | None", AgentReport | RunResult | None], None]
"""Told of each attempt's progress; with its result, and no stage, at its end."""


@dataclass(frozen=True)
class Plan:
    """How a run is held."""

    lock: Lock
    concurrency: int = 2
    retries: int = 1
    """How often a session is held again in this run whose failure may pass."""
    seal: Callable[[RunResult], RunResult] = lambda result: result
    """Signs a result, where there is a key."""
    may_go_on: Callable[[], bool] = lambda: True
    """Whether there is time and money for another session."""
    record: Callable[[Attempt], SessionRecord | None] | None = None
    """What the server knows of an attempt; None where that lies in the run's own directory."""


class Stop:
    """Ends a run early: at first no session begins any more, then those under way are closed."""

    def __init__(self) -> None:
        self.is_asked = False
        self.scope = anyio.CancelScope()

    def ask(self) -> None:
        """Ask for the end; asked again, it comes at once."""
        if self.is_asked:
            self.scope.cancel()
        self.is_asked = True


async def run(
    plan: Plan, engine: Engine, directory: RunDirectory, watch: Watch, stop: Stop
) -> Mapping[Attempt, RunResult]:
    """Hold every session of a run that has not been held before.

    What was held by an earlier process is left as it is, unless it failed in a way that may pass:
    such evidence is set aside, and the session is held again.

    Returns:
        The results, by attempt; attempts that did not begin have none.
    """
    attempts = plan.lock.attempts()
    results: dict[Attempt, RunResult] = {}
    is_spent = False
    limit = anyio.CapacityLimiter(plan.concurrency)

    async def settle(attempt: Attempt) -> None:
        nonlocal is_spent
        async with limit:
            for _ in range(plan.retries + 1):
                if stop.is_asked or is_spent or not plan.may_go_on():
                    return
                directory.set_aside(attempt)
                result = results[attempt] = await hold(attempt)
                is_spent = is_spent or spends_the_run(result)
                if not is_made_again(result) or result.blame in NOT_AT_ONCE:
                    return

    async def hold(attempt: Attempt) -> RunResult:
        result = await engine.hold(attempt, lambda stage, told: watch(attempt, stage, told))
        result = plan.seal(result)
        with anyio.CancelScope(shield=True):
            await directory.save_result(attempt, result)
        watch(attempt, None, result)
        return result

    with stop.scope:
        async with anyio.create_task_group() as tasks:
            for attempt in attempts:
                before = await _before(plan, directory, attempt)
                if before is not None:
                    results[attempt] = before
                    watch(attempt, None, before)
                if before is None or is_made_again(before):
                    tasks.start_soon(settle, attempt)
    ordered = {attempt: results[attempt] for attempt in attempts if attempt in results}
    await directory.save(SUMMARY, summary(plan.lock, ordered))
    return ordered


async def _before(plan: Plan, directory: RunDirectory, attempt: Attempt) -> RunResult | None:
    """What an earlier process came to: its result, or an end that it had no time to write down."""
    found, record = directory.result(attempt), (plan.record or directory.record)(attempt)
    if found is None and record is not None and _is_done(record):
        (candidate,) = [c for c in plan.lock.candidates if c.name == attempt.candidate]
        told = directory.told_by(attempt)
        if told is not None:
            await keep_trajectory(directory, attempt, candidate.agent, told, record.session_id)
        found = plan.seal(recovered(attempt, candidate, told, record))
        await directory.save_result(attempt, found)
    return found


def _is_done(record: SessionRecord) -> bool:
    """Whether a session has come to what was wanted: its grade, or its hand-in for later."""
    return record.grade is not None or (record.settled and record.state == "submitted")


def is_made_again(result: RunResult) -> bool:
    """Whether a session failed in a way that may pass."""
    return result.blame in MADE_AGAIN


def spends_the_run(result: RunResult) -> bool:
    """Whether the run has too little left for a session's first turn."""
    ended_by = str(result.metadata.get("ended_by"))
    return result.blame == "budget" and ended_by.startswith("run_")


def summary(lock: Lock, results: Mapping[Attempt, RunResult]) -> Summary:
    """A run as one document."""
    return Summary(
        agent=_names([candidate.agent for candidate in lock.candidates]),
        model=_names([c.model for c in lock.candidates if c.model]) or None,
        results=tuple(results.values()),
        timestamp=datetime.now(UTC).isoformat(),
        proctor_version=__version__,
        not_held=tuple(a.label for a in lock.attempts() if a not in results),
    )


def _names(names: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(names))
