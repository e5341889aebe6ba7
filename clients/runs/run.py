"""A run: every task, as often as asked, by one agent; each session's result on disk at once."""

import json
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import anyio
from fastmcp import Client
from fastmcp.client.auth import BearerAuth
from fastmcp.client.transports import StreamableHttpTransport

from proctor import __version__
from proctor.clients.agents import Agent, Exam
from proctor.clients.agents.python_file import raised_at
from proctor.clients.runs.owner import Owner
from proctor.schemas.base import Value
from proctor.schemas.errors import ProctorError
from proctor.schemas.result import AgentReport, RunResult
from proctor.schemas.session import SessionRecord, SessionRequest, SessionTicket

CALL_WITHIN_S = 900.0
LOOK_EVERY_S = 0.5


class Attempt(Value):
    """One session that a run is to hold."""

    task_id: str
    epoch: int

    @property
    def label(self) -> str:
        """Where its files lie below the run's directory."""
        return f"{self.task_id}/{self.epoch}"


@dataclass(frozen=True)
class Plan:
    """What a run does."""

    attempts: Sequence[Attempt]
    agent: Agent
    agent_name: str
    out: Path
    """Where results go: ``<task>/<epoch>/result.json`` and ``summary.json``."""
    concurrency: int = 2
    seal: Callable[[RunResult], RunResult] = lambda result: result
    """Signs a result, where there is a key."""


Watch = Callable[[Attempt, str, RunResult | None], None]
"""Told of each attempt's progress: ``working``, ``grading``, and ``done`` with the result."""


async def run(plan: Plan, owner: Owner, watch: Watch) -> list[RunResult]:
    """Hold every session of a plan. One that fails has a result that says why."""
    results: dict[Attempt, RunResult] = {}
    limit = anyio.CapacityLimiter(plan.concurrency)

    async def hold(attempt: Attempt) -> None:
        async with limit:
            watch(attempt, "working", None)
            results[attempt] = plan.seal(await _hold(plan, owner, attempt, watch))
            await write_json(plan.out / attempt.label / "result.json", results[attempt])
            watch(attempt, "done", results[attempt])

    async with anyio.create_task_group() as tasks:
        for attempt in plan.attempts:
            tasks.start_soon(hold, attempt)
    ordered = [results[attempt] for attempt in plan.attempts]
    await write_json(plan.out / "summary.json", summary(plan, ordered))
    return ordered


class Summary(Value):
    """``summary.json``: AfterQuery's fields, and the agent's name."""

    agent: str
    model: str | None
    results: tuple[RunResult, ...]
    timestamp: str
    proctor_version: str = __version__


def summary(plan: Plan, results: Sequence[RunResult]) -> Summary:
    """A run as one document."""
    return Summary(
        agent=plan.agent_name,
        model=next((result.model for result in results if result.model), None),
        results=tuple(results),
        timestamp=datetime.now(UTC).isoformat(),
    )


async def _hold(plan: Plan, owner: Owner, attempt: Attempt, watch: Watch) -> RunResult:
    started_at, started = datetime.now(UTC), time.monotonic()
    session_id: str | None = None
    record: SessionRecord | None = None
    report, error = AgentReport(), None
    try:
        ticket = await owner.open(SessionRequest(task_id=attempt.task_id, label=attempt.label))
        session_id = ticket.session_id
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_tell_of_grading, owner, session_id, attempt, watch)
            report, error = await _work(plan, owner, ticket, attempt)
            tasks.cancel_scope.cancel()
        if error is not None:
            await owner.abandon(session_id)
        record = await owner.settled(session_id)
        error = error or record.error
    except ProctorError as failure:
        error = str(failure)
    if error is not None:
        report = report.model_copy(update={"errors": (*report.errors, error)})
    return RunResult(
        task_id=attempt.task_id,
        agent=plan.agent_name,
        model=report.model,
        answer=report.answer or _submitted(record),
        metadata=_metadata(report, record),
        confinement=report.confinement,
        origin=report.origin,
        trace=report.trace,
        evaluation=record.grade if record else None,
        epoch=attempt.epoch,
        session_id=session_id,
        state=record.state if record else "failed",
        started_at=started_at,
        duration_s=round(time.monotonic() - started, 3),
        sandbox=record.sandbox if record else None,
        error=error,
        proctor_version=__version__,
        **_conditions(record),
    )


def _submitted(record: SessionRecord | None) -> str:
    """What was handed in, for an agent that did so without telling us."""
    return record.submission.answer if record and record.submission else ""


def _metadata(report: AgentReport, record: SessionRecord | None) -> dict[str, Any]:
    told = report.model_dump(exclude={"answer", "model", "trace", "confinement", "origin"})
    if record and not report.tool_calls:  # an agent that connects by itself cannot count for us
        told["tool_calls"] = record.tool_calls
    return told


def _conditions(record: SessionRecord | None) -> dict[str, Any]:
    names = {"kind", "category", "principal", "attempt", "feedback", "checks", "tries"}
    return {name: getattr(record, name) for name in names} if record else {}


async def _tell_of_grading(owner: Owner, session_id: str, attempt: Attempt, watch: Watch) -> None:
    """Say when the work has been handed in: the agent itself waits for the grade."""
    with suppress(ProctorError):
        while (await owner.record(session_id)).state in ("open", "submitting"):  # noqa: ASYNC110 - what is awaited is in another process
            await anyio.sleep(LOOK_EVERY_S)
        watch(attempt, "grading", None)


async def _work(
    plan: Plan, owner: Owner, ticket: SessionTicket, attempt: Attempt
) -> tuple[AgentReport, str | None]:
    """Let the agent work; an agent that fails has an empty report and a reason."""
    transport = StreamableHttpTransport(ticket.url, auth=BearerAuth(ticket.token))
    try:
        async with Client(transport, timeout=CALL_WITHIN_S) as client:
            exam = Exam(
                task_id=attempt.task_id,
                client=client,
                ticket=ticket,
                directory=plan.out / attempt.label,
                settled=partial(owner.settled, ticket.session_id),
            )
            return await plan.agent(exam), None
    except ProctorError as error:
        return AgentReport(confinement=None), str(error)
    except Exception as error:  # noqa: BLE001 - an agent is anybody's code; its failure is a result
        problem = f"the agent failed: {type(error).__name__}: {error}{raised_at(error)}"
        return AgentReport(confinement=None), problem


async def write_json(path: Path, value: Value) -> None:
    """Write a value as JSON, whole or not at all."""
    text = json.dumps(value.model_dump(mode="json"), indent=2) + "\n"
    await anyio.Path(path.parent).mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    await anyio.Path(temporary).write_text(text, "utf-8")
    await anyio.Path(temporary).rename(path)
