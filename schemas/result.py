"""A run's result for one session: AfterQuery's fields, and Proctor's beside them."""

from typing import Any, Literal, TypeAlias

from pydantic import AwareDatetime

from proctor.schemas.base import Value
from proctor.schemas.feedback import Feedback
from proctor.schemas.grade import Grade, Signature
from proctor.schemas.sandbox import SandboxInfo
from proctor.schemas.session import SessionState
from proctor.schemas.task import TaskKind

Blame: TypeAlias = Literal["task", "agent", "model", "server", "interrupted"]
"""Whose doing it is that a session has no grade: ``model`` is its provider, ``server`` the server,
its sandbox or the way to it, ``interrupted`` whoever stopped the run."""


class Step(Value):
    """One step of an agent's trajectory: the prompt, a turn of the model, or a tool's result."""

    type: Literal["prompt", "model", "tool"]
    text: str
    name: str | None = None
    """The tool's."""
    calls: tuple[dict[str, Any], ...] = ()
    """What the model wanted called."""
    prompt_tokens: int | None = None
    reply_tokens: int | None = None
    cost_usd: float | None = None
    """None where the price is unknown."""


class AgentReport(Value):
    """What only the agent knows of its work."""

    answer: str = ""
    model: str | None = None
    """None where no model took part."""
    turns: int = 0
    tool_calls: int = 0
    errors: tuple[str, ...] = ()
    prompt_tokens: int | None = None
    reply_tokens: int | None = None
    cost_usd: float | None = None
    """None where no model took part, or its provider or price is silent about it."""
    trace: tuple[Step, ...] = ()


class RunResult(Value):
    """``result.json``: the server's record of a session joined with the agent's report."""

    task_id: str
    kind: TaskKind = "error_analysis"
    category: str = ""
    """Of the task: what reports group by, such as the planted error's code."""
    agent: str
    model: str | None
    answer: str
    metadata: dict[str, Any]
    """AfterQuery's ``turns``, ``tool_calls`` and ``errors``; tokens and cost."""
    trace: tuple[Step, ...] = ()
    """What the model saw and said, where one took part."""
    evaluation: Grade | None
    """None where the session got no grade; `error` says why."""
    epoch: int
    session_id: str | None
    state: SessionState
    started_at: AwareDatetime
    duration_s: float
    sandbox: SandboxInfo | None
    error: str | None
    blame: Blame | None = None
    """None where there is a grade, or none was wanted."""
    principal: str | None = None
    attempt: int | None = None
    """Which of the principal's sessions on this task it was."""
    feedback: Feedback | None = None
    """What the agent could learn of how it stood."""
    checks: int = 0
    tries: int = 0
    proctor_version: str
    signature: Signature | None = None
