"""What an agent notes of its work as it goes, and the report that this makes."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from proctor.clients.agents.budget import UNKNOWN_USAGE, Budget, Usage
from proctor.clients.agents.model import Model
from proctor.clients.agents.reply import Reply, ToolCall
from proctor.clients.agents.trouble import without_secrets
from proctor.schemas.result import AgentReport
from proctor.schemas.trajectory import (
    CallRecord,
    ModelResponse,
    Note,
    RunEnd,
    RunError,
    RunStart,
    Step,
    ToolResult,
    UserMessage,
)


class Diary:
    """One session's, from its first message to its last."""

    def __init__(self, model: Model, budget: Budget) -> None:
        self._model = model
        self._budget = budget
        self._usage = Usage()
        self._steps: list[Step] = []
        self._tools: Sequence[dict[str, Any]] = ()
        self._errors: list[str] = []
        self._answer = ""
        self.last_usage = UNKNOWN_USAGE
        self.turns = 0
        self.tool_calls = 0
        self.ended_by: str | None = None
        """The limit that ended the work; see `AgentReport`."""

    def began(
        self, task_id: str, system: str, briefing: str, tools: Sequence[dict[str, Any]]
    ) -> None:
        """The model is about to be told its task."""
        settings = self._model.settings
        context = {"task_id": task_id, "model": settings.model, **settings.sampling}
        self._tools = tools
        self._add(
            RunStart(timestamp=_now(), context=context, system_prompt=system, task_prompt=briefing)
        )

    def said(self, reply: Reply, duration_s: float) -> None:
        """The model took a turn."""
        self.turns += 1
        self.last_usage = reply.usage
        self._usage = self._usage.plus(reply.usage)
        step = ModelResponse(
            timestamp=_now(),
            turn=self.turns,
            text=reply.text,
            reasoning=reply.reasoning,
            tool_calls=tuple(
                CallRecord.model_validate(call.model_dump(exclude={"problem"}))
                for call in reply.calls
            ),
            duration_s=round(duration_s, 3),
            **reply.usage.model_dump(),
        )
        self._add(step)

    def did(self, call: ToolCall, result: str, duration_s: float) -> None:
        """A tool was called."""
        self._add(
            ToolResult(
                timestamp=_now(),
                turn=self.turns,
                id=call.id,
                tool_name=call.name,
                arguments=call.arguments,
                result=result,
                duration_s=round(duration_s, 3),
            )
        )

    def told(self, text: str) -> None:
        """The model was told something beside a tool's result."""
        self._add(UserMessage(timestamp=_now(), turn=self.turns, text=text))

    def note(self, text: str) -> None:
        """Something happened that the model was not told."""
        self._add(Note(timestamp=_now(), turn=self.turns, text=text))

    def note_troubles(self) -> None:
        """Note what went wrong with the provider since the last time."""
        while self._model.troubles:
            self.note(self._model.troubles.pop(0))

    def failed(self, error: str) -> None:
        """Something failed for good."""
        self._errors.append(error)
        self._add(RunError(timestamp=_now(), turn=self.turns, error=error))

    def ended(self, answer: str) -> None:
        """The work is handed in."""
        self._answer = answer
        stated = {None: "completed", "turns": "max_turns", "context": "error"}
        status: Any = stated.get(self.ended_by, "limit")
        self._add(RunEnd(timestamp=_now(), status=status, answer=answer))

    def report(self) -> AgentReport:
        """All of it, without keys and tokens of the environment, should one have got into it."""
        tokens, usd = self._budget.charged
        return AgentReport(
            answer=without_secrets(self._answer),
            model=self._model.settings.model,
            turns=self.turns,
            tool_calls=self.tool_calls,
            errors=tuple(map(without_secrets, self._errors)),
            unreported_calls=self._model.unreported_calls,
            charged_tokens=tokens,
            charged_usd=usd,
            ended_by=self.ended_by,
            trace=tuple(self._steps),
            tools=tuple(self._tools),
            **self._usage.model_dump(exclude={"cached_tokens"}),
        )

    def _add(self, step: Step) -> None:
        """Take a step down, cleaned once: a report is made at every turn."""
        text = step.model_dump_json()
        clean = without_secrets(text)
        self._steps.append(step if clean == text else type(step).model_validate_json(clean))


def _now() -> datetime:
    return datetime.now(UTC)
