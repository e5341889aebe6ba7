"""What holds a run's sessions: an engine. The code of a run does not know which.

An engine is asked for one attempt at a time, by many at once, and answers with its result. The one
here works in this process; one that spreads sessions over a cluster would stand in its place.
"""

from collections.abc import Callable
from typing import Literal, Protocol, TypeAlias

from proctor.schemas.result import AgentReport, RunResult
from proctor.schemas.run import Attempt

Stage: TypeAlias = Literal["opening", "working", "grading"]

Tell: TypeAlias = Callable[[Stage, AgentReport | None], None]
"""Told how an attempt goes on: what is done now, and what the agent has told so far."""


class Engine(Protocol):
    """Holds sessions."""

    async def hold(self, attempt: Attempt, tell: Tell) -> RunResult:
        """Hold one session, from its opening to its grade. One that fails has a result, too."""
        ...
