"""A session: one attempt at one task, opened and closed by the server."""

import hashlib
from typing import Literal, TypeAlias

from pydantic import AwareDatetime, Field

from proctor.schemas.base import Value
from proctor.schemas.feedback import Feedback
from proctor.schemas.grade import Grade, Signature
from proctor.schemas.sandbox import SandboxInfo
from proctor.schemas.task import Limits, TaskKind

SessionState: TypeAlias = Literal[
    "open", "submitting", "submitted", "graded", "abandoned", "failed"
]
"""``failed``: the machine or the instrument failed, so that there is no grade."""
NOT_HANDED_IN: tuple[SessionState, ...] = ("open", "submitting")
"""While the work may still go on: a submission that fails leaves a session open."""

Ending: TypeAlias = Literal["submit", "deadline", "abandoned", "failed"]

OWNER = "owner"
LABEL_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*$"


class SessionRequest(Value):
    """What an owner sends to open a session."""

    task_id: str
    label: str | None = Field(default=None, pattern=LABEL_PATTERN, max_length=200)
    """Where the record is kept, relative to the server's records; the session's id by default."""
    principal: str = Field(default=OWNER, min_length=1, max_length=200)
    """Who is going to sit the exam: whose attempts at a task are counted together."""
    time_s: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Instead of the task's own limit."""
    tool_calls: int | None = Field(default=None, gt=0)
    """Instead of the task's own limit."""
    seed: int | None = Field(default=None, ge=0, lt=1 << 63)
    """What the graders' random inputs are drawn from, to repeat a run; random by default. An
    agent that can guess it can know the graders' inputs beforehand."""
    grade: bool = True
    """Whether what is handed in is graded at once; it can be later."""


class SessionTicket(Value):
    """What an owner gets back: everything a client needs to sit the exam."""

    session_id: str
    token: str
    url: str
    """The MCP endpoint; takes the token as bearer."""
    url_with_token: str
    """The same for clients that cannot send headers."""
    time_s: float
    """Seconds until the server hands the work in by itself, counted from when it sent this."""


class Submission(Value):
    """What the agent handed in."""

    answer: str
    ended_by: Ending
    at: AwareDatetime
    seed: int = 0
    """What the graders' random inputs are drawn from: chosen by the server at this moment, so
    that no agent can know them, and kept, so that grading can be repeated."""
    snapshot_sha256: str | None
    """Of the uncompressed archive; None where the workspace could not be kept."""
    snapshot_bytes: int = 0
    files: int = 0
    skipped: tuple[str, ...] = ()
    """What could not be kept: devices, sockets, FIFOs, unreadable files."""
    problem: str | None = None
    """Why the hand-in cannot be graded, where it cannot."""

    @property
    def receipt(self) -> str:
        """A short name of what was handed in, workspace and answer."""
        seal = hashlib.sha256(f"{self.snapshot_sha256}\n".encode())
        seal.update(self.answer.encode("utf-8", "replace"))
        return seal.hexdigest()[:16]


class SessionRecord(Value):
    """Everything the owner may know of a session."""

    session_id: str
    task_id: str
    task_digest: str
    kind: TaskKind = "error_analysis"
    category: str = ""
    """Of the task: what reports group by."""
    label: str
    directory: str
    """Where the record lies on the server."""
    state: SessionState
    settled: bool = False
    """Whether nothing more will happen to it."""
    limits: Limits = Limits()
    """What held for it."""
    started_at: AwareDatetime
    ended_at: AwareDatetime | None = None
    tool_calls: int = 0
    principal: str = OWNER
    """Who sits the exam, as far as the server was told."""
    attempt: int = 1
    """Which of that principal's sessions on this task it is, counted from 1, on this server."""
    feedback: Feedback = Feedback()
    """What the agent may learn of how it stands."""
    checks: int = 0
    """How often it asked before it submitted."""
    tries: int = 0
    """How often it was answered with points."""
    sandbox: SandboxInfo | None = None
    submission: Submission | None = None
    grade: Grade | None = None
    error: str | None = None
    """Why there is no grade, where there is none."""
    signature: Signature | None = None
    """The server's, where its operator has a key."""
