"""A transcript: the server's ordered record of what happened in a session."""

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from pydantic import AwareDatetime

from proctor.schemas.base import Value

EventType: TypeAlias = Literal[
    "session_opened",
    "sandbox_ready",
    "tool_call",
    "tool_result",
    "checked",
    "submitted",
    "graded",
    "ended",
]


class Event(Value):
    """One thing that happened. It is on disk before anybody is told of it."""

    seq: int
    """Counts from 0 without gaps."""
    at: AwareDatetime
    type: EventType
    data: Mapping[str, Any]
