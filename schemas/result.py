"""A run's result for one session: AfterQuery's fields, and Proctor's beside them."""

from typing import Any, Literal, TypeAlias

from pydantic import AwareDatetime

from proctor.schemas.base import Value
from proctor.schemas.feedback import Feedback
from proctor.schemas.grade import Grade, Signature
from proctor.schemas.sandbox import SandboxInfo
from proctor.schemas.session import SessionState
from proctor.schemas.task import TaskKind
from proctor.schemas.trajectory import Step

Blame: TypeAlias = Literal["task", "agent", "model", "server", "budget", "interrupted"]
"""Whose doing it is that a session has no grade: ``model`` is its provider, ``server`` the server,
its sandbox or the way to it, ``budget`` whoever left no money or tokens for a first turn, and
``interrupted`` whoever stopped the run."""
Confinement: TypeAlias = Literal["in_process", "sandboxed", "container", "unconfined"]
"""What kept an agent from tasks, results and other sessions.

- ``in_process``: its code, which the researcher trusts, is part of the run; its model has the
  server's tools and no others.
- ``sandboxed``: a process in namespaces of its own (bubblewrap) that sees the system, its own
  program and an empty home, and neither tasks nor results. It shares the network.
- ``container``: a container of its own; it shares the network.
- ``unconfined``: an ordinary process of whoever ran it. It could read whatever they can, so what
  it earned proves only as much as the agent is trusted.
"""


class AgentOrigin(Value):
    """Which agent it was, where it is not one of Proctor's own."""

    command: tuple[str, ...] = ()
    """Its command line, before anything of a session was put in."""
    function: str | None = None
    """``path/to/file.py:function``."""
    image: str | None = None
    image_id: str | None = None
    """The digest of the image that ran."""
    git: str | None = None
    """The repository that the image was built from."""
    revision: str | None = None
    """Its commit."""


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
    unreported_calls: int = 0
    """Calls whose tokens the provider did not say; budgets took them at their worst case."""
    charged_tokens: int = 0
    """What budgets count for it: where it is unknown what a call used, all that was reserved; calls
    under way included. 0 where an agent has no budget."""
    charged_usd: float = 0.0
    ended_by: str | None = None
    """What ended the work, where the agent did not: the limit's name, such as ``turns``,
    ``session_usd`` or ``run_tokens``; ``session`` where the server ended it, ``nudges`` where the
    model only talked, ``model`` where it failed."""
    trace: tuple[Step, ...] = ()
    tools: tuple[dict[str, Any], ...] = ()
    """What the model was offered, as it was told; part of the trajectory, not of a result."""
    confinement: Confinement | None = "in_process"
    """None where an agent failed before it could tell, or what it told was lost."""
    origin: AgentOrigin | None = None


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
    """AfterQuery's ``turns``, ``tool_calls`` and ``errors``; tokens, cost, and what ended it."""
    trace: tuple[Step, ...] = ()
    """What the model was told, said and did, where one took part."""
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
    confinement: Confinement | None = None
    """What kept the agent from tasks and results; None where nobody could tell any more."""
    origin: AgentOrigin | None = None
    """Which agent it was, where it is not one of Proctor's own."""
    principal: str | None = None
    attempt: int | None = None
    """Which of the principal's sessions on this task it was."""
    feedback: Feedback | None = None
    """What the agent could learn of how it stood."""
    checks: int = 0
    tries: int = 0
    proctor_version: str
    signature: Signature | None = None
