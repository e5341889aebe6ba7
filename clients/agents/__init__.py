"""Agents: whatever sits the exam. Each gets its own session, and nothing else of the server.

An agent is ``async (exam) -> AgentReport``: it works until it has submitted.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from fastmcp import Client

from proctor.schemas.errors import ProctorError
from proctor.schemas.result import AgentReport
from proctor.schemas.session import SessionTicket

AnyClient: TypeAlias = Client[Any]


@dataclass(frozen=True)
class Exam:
    """One session, as an agent gets it."""

    task_id: str
    client: AnyClient
    """Connected to the session."""
    ticket: SessionTicket
    """For agents that connect by themselves."""
    directory: Path
    """Where the session's result will lie; an agent may leave files of its own there."""
    settled: Callable[[], Awaitable[object]]
    """Returns once nothing more will happen to the session, for whoever would not notice."""
    tell: Callable[[AgentReport], None] = lambda _: None
    """To be told what has been done so far, the trace included: it is shown, counted and kept."""


def told_of(error: Exception) -> str:
    """How the failure of an agent is told."""
    if isinstance(error, ProctorError):
        return str(error)
    return f"the agent failed: {type(error).__name__}: {error}"


Agent: TypeAlias = Callable[[Exam], Awaitable[AgentReport]]
