"""Every error of Proctor, by who can do something about it.

    ProctorError
    ├── TaskError            the task's author: its definition is wrong
    ├── SubmissionError      the agent: its hand-in cannot be graded (shown to it verbatim)
    ├── SandboxError         the operator: the machine failed, not the command run in it
    │   ├── SandboxStartError    never came up; nothing is left behind, another may start
    │   └── SandboxLostError     was up and is gone
    ├── SessionError         the client: unknown, expired, already submitted, over budget
    │   └── NotYetError          came too early: what it asks for is being made, or there is no room
    ├── ModelError           whoever chose the model: its provider refuses or fails
    ├── RunError             whoever started a run: its directory, its budget, what it is to hold
    ├── BudgetSpentError     whoever set a cap: nothing is left of its tokens, money or time
    ├── AgentError           whoever brought the agent: it cannot be started, or breaks its contract
    └── GradingError         the operator: the instrument failed, so there is no score

What a command does in a sandbox is data (`ExecResult`), never an error. Builtins are raised where
they are exact: `FileNotFoundError`, `PermissionError`, `IsADirectoryError`, `ValueError`.
"""


class ProctorError(Exception):
    """Base of every error that Proctor raises on purpose."""


class TaskError(ProctorError):
    """A task's definition is wrong; the message names file, key and remedy."""


class SubmissionError(ProctorError):
    """What the agent handed in cannot be graded; the agent is shown the message verbatim."""


class SandboxError(ProctorError):
    """The machine failed, not the command that ran in it."""


class SandboxStartError(SandboxError):
    """The sandbox never came up; nothing of it is left behind, and another may start."""


class SandboxLostError(SandboxError):
    """The sandbox was up and is gone; what it held and had not been snapshotted is lost."""


class SessionError(ProctorError):
    """The client asked for what its session does not allow: unknown, ended, over budget."""


class NotYetError(SessionError):
    """What the client asked for is being made, or there is no room; it may ask again in a while."""


class ModelError(ProctorError):
    """A model cannot be asked: its provider refuses, or failed for too long."""


class RunError(ProctorError):
    """A run cannot be held as asked."""


class BudgetSpentError(ProctorError):
    """A cap is reached: no further call of a model fits."""

    def __init__(self, limit: str, message: str) -> None:
        super().__init__(message)
        self.limit = limit
        """Which cap: ``session_tokens``, ``run_usd``."""


class AgentError(ProctorError):
    """An agent cannot be loaded, built or started, or does not keep its contract."""


class GradingError(ProctorError):
    """The instrument failed, so there is no score: the criterion is ungraded, never zero."""
