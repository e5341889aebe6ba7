"""A run's result for one session: AfterQuery's fields, and Proctor's beside them."""

from typing import Any

from pydantic import AwareDatetime

from proctor.schemas.base import Value
from proctor.schemas.feedback import Feedback
from proctor.schemas.grade import Grade, Signature
from proctor.schemas.sandbox import SandboxInfo
from proctor.schemas.session import SessionState


class AgentReport(Value):
    """What only the agent knows of its work."""

    answer: str = ""
    model: str | None = None
    """None where no model took part."""
    turns: int = 0
    tool_calls: int = 0
    errors: tuple[str, ...] = ()


class RunResult(Value):
    """``result.json``: the server's record of a session joined with the agent's report."""

    task_id: str
    agent: str
    model: str | None
    answer: str
    metadata: dict[str, Any]
    """AfterQuery's ``turns``, ``tool_calls`` and ``errors``."""
    evaluation: Grade | None
    """None where the session got no grade; `error` says why."""
    epoch: int
    session_id: str | None
    state: SessionState
    started_at: AwareDatetime
    duration_s: float
    sandbox: SandboxInfo | None
    error: str | None
    principal: str | None = None
    attempt: int | None = None
    """Which of the principal's sessions on this task it was."""
    feedback: Feedback | None = None
    """What the agent could learn of how it stood."""
    checks: int = 0
    tries: int = 0
    proctor_version: str
    signature: Signature | None = None
