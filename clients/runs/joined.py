"""A session's result: the server's record joined with what the agent told."""

from datetime import UTC, datetime
from typing import Any

from proctor import __version__
from proctor.schemas.errors import (
    BudgetSpentError,
    ModelError,
    ProctorError,
    SessionError,
    TaskError,
)
from proctor.schemas.result import AgentReport, Blame, RunResult
from proctor.schemas.run import Attempt, Candidate
from proctor.schemas.session import SessionRecord

OF_THE_RECORD = frozenset(
    {"kind", "category", "principal", "attempt", "feedback", "checks", "tries"}
)
ELSEWHERE = {"answer", "model", "trace", "tools", "confinement", "origin"}
"""What of an agent's report has another place in a result."""
LOST = "what its agent told of it was lost when the run was stopped"


def joined(
    attempt: Attempt,
    candidate: Candidate,
    report: AgentReport,
    record: SessionRecord | None,
    *,
    started_at: datetime,
    duration_s: float,
    failure: tuple[Blame, str] | None = None,
) -> RunResult:
    """Join what is known of a session.

    Args:
        attempt: Whose session it was.
        candidate: Who sat it.
        report: What the agent told.
        record: The server's; None where it opened no session.
        started_at: When the attempt began.
        duration_s: How long it took.
        failure: Why it was not finished, where it was not.
    """
    told = [failure[1]] if failure else []
    if record is not None and record.error is not None and (not failure or failure[0] == "agent"):
        failure = ("server", record.error)  # without its sandbox, an agent fails, too
        told.append(record.error)
    errors = (*report.errors, *(each for each in told if each not in report.errors))
    report = report.model_copy(update={"errors": errors})
    return RunResult(
        task_id=attempt.task_id,
        agent=candidate.agent,
        model=report.model or candidate.model,
        answer=report.answer or _submitted(record),
        metadata=_metadata(report, record),
        confinement=report.confinement,
        origin=report.origin,
        trace=report.trace,
        evaluation=record.grade if record else None,
        epoch=attempt.epoch,
        session_id=record.session_id if record else None,
        state=record.state if record else "failed",
        started_at=started_at,
        duration_s=round(duration_s, 3),
        sandbox=record.sandbox if record else None,
        error=failure[1] if failure else None,
        blame=failure[0] if failure else None,
        proctor_version=__version__,
        **_of_the_record(record),
    )


def recovered(
    attempt: Attempt, candidate: Candidate, told: AgentReport | None, record: SessionRecord
) -> RunResult:
    """The result of a session that ended well, though its run was stopped before it had one."""
    report = told or AgentReport(errors=(LOST,), confinement=None)
    ended_at = record.ended_at or datetime.now(UTC)
    return joined(
        attempt,
        candidate,
        report,
        record,
        started_at=record.started_at,
        duration_s=(ended_at - record.started_at).total_seconds(),
    )


def blame(error: ProctorError) -> Blame:
    """Whose doing an error is."""
    if isinstance(error, ModelError):
        return "model"
    if isinstance(error, BudgetSpentError):
        return "budget"
    if isinstance(error, TaskError):
        return "task"
    return "server" if isinstance(error, SessionError) else "agent"


def _submitted(record: SessionRecord | None) -> str:
    """What was handed in, for an agent that did so without telling us."""
    return record.submission.answer if record and record.submission else ""


def _metadata(report: AgentReport, record: SessionRecord | None) -> dict[str, Any]:
    told = report.model_dump(mode="json", exclude=ELSEWHERE)
    if record and not report.tool_calls:  # an agent that connects by itself cannot count for us
        told["tool_calls"] = record.tool_calls
    return told


def _of_the_record(record: SessionRecord | None) -> dict[str, Any]:
    return {name: getattr(record, name) for name in OF_THE_RECORD} if record else {}
