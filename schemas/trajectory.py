"""A trajectory: what a model was told, said and did, entry by entry.

The entries have the names of AfterQuery's ``trace[]`` (``event``, ``timestamp``, ``turn``, ...),
and more fields. What AfterQuery's agent repeats in each entry, the whole conversation so far, is
left out: it follows from the entries before.
"""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AwareDatetime, Field

from proctor.schemas.base import Value


class CallRecord(Value):
    """A tool call that a model wanted."""

    id: str
    """Unique in its turn."""
    name: str
    arguments: dict[str, Any]
    malformed: str | None = None
    """What the model wrote instead of arguments, where they could not be read."""


class RunStart(Value):
    """What the model was told first."""

    event: Literal["run_start"] = "run_start"
    timestamp: AwareDatetime
    context: dict[str, Any]
    """The task's id, the model and its settings."""
    system_prompt: str
    task_prompt: str


class ModelResponse(Value):
    """A turn of the model."""

    event: Literal["model_response"] = "model_response"
    timestamp: AwareDatetime
    """When it came."""
    turn: int
    text: str
    reasoning: str | None = None
    """As far as the provider shows it."""
    tool_calls: tuple[CallRecord, ...] = ()
    prompt_tokens: int | None = None
    """None where the provider does not say, as with all of these."""
    reply_tokens: int | None = None
    cached_tokens: int | None = None
    cost_usd: float | None = None
    """None where the price is unknown, too."""
    duration_s: float | None = None
    """Waiting for the provider included."""


class ToolResult(Value):
    """What a tool call came to, as the model was told."""

    event: Literal["tool_result"] = "tool_result"
    timestamp: AwareDatetime
    turn: int
    id: str
    """The call's."""
    tool_name: str
    arguments: dict[str, Any]
    result: str
    duration_s: float | None = None


class UserMessage(Value):
    """What the model was told beside that: what is left, or that it called no tool."""

    event: Literal["user_message"] = "user_message"
    timestamp: AwareDatetime
    turn: int
    text: str


class Note(Value):
    """What the model was not told: a provider's trouble, outputs that were shortened."""

    event: Literal["note"] = "note"
    timestamp: AwareDatetime
    turn: int
    text: str


class RunError(Value):
    """Why it could not go on."""

    event: Literal["error"] = "error"
    timestamp: AwareDatetime
    turn: int
    error: str


class RunEnd(Value):
    """How it ended."""

    event: Literal["run_end"] = "run_end"
    timestamp: AwareDatetime
    status: Literal["completed", "max_turns", "limit", "error"]
    answer: str


Step: TypeAlias = Annotated[
    RunStart | ModelResponse | ToolResult | UserMessage | Note | RunError | RunEnd,
    Field(discriminator="event"),
]
