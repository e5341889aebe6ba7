"""The reference agent: a model, the server's tools, and a loop until it has submitted.

It knows nothing but MCP: its tools are those that the server lists, its task is what ``status``
says. Anybody's agent could stand in its place.
"""

import re
import time
from collections.abc import Callable
from importlib.resources import files
from itertools import groupby
from typing import Any

import anyio
from fastmcp.exceptions import ToolError

from proctor.clients.agents import Agent, Exam, told_of
from proctor.clients.agents.budget import Budget
from proctor.clients.agents.diary import Diary
from proctor.clients.agents.model import ContextOverflowError, Model, ModelSettings
from proctor.clients.agents.reply import Message, Reply, ToolCall
from proctor.clients.agents.shorten import shorten
from proctor.schemas.base import Value
from proctor.schemas.errors import BudgetSpentError
from proctor.schemas.result import AgentReport

FINAL_ANSWER = re.compile(r"FINAL ANSWER:\s*(.*)", re.IGNORECASE | re.DOTALL)
"""As AfterQuery's agent ends: taken as a submission."""
NUDGES = 3
"""How often a turn without a tool call is answered before the work is handed in as it is."""
NUDGE = "You called no tool. Go on with the task, or call submit with your final answer."
CUT = "Your reply was cut off: it was too long. Do it in smaller steps."
REFUSED = "There was no reply. This is an exam in a sandbox of its own; go on with the task."
HAND_IN = "Hand in now."
NOT_OFFERED = frozenset({"list_tasks", "start_task"})
READS_AT_ONCE = 8
LEFT = re.compile(r"^Left: (.+)$", re.MULTILINE)
"""How the server says, in ``status``, what is left of time and tool calls."""
TOLD_LEFT = "proctor/left"
"""Where it says so in the ``_meta`` of other tools' results."""
NO_CALLS = re.compile(r"\b0 tool calls\b")


class Caps(Value):
    """How much one session may use; None sets no limit."""

    tokens: int | None = None
    usd: float | None = None


def tool_loop(
    settings: ModelSettings,
    turns_of: Callable[[str], int],
    system: str | None = None,
    caps: Caps | None = None,
    run: Budget | None = None,
) -> Agent:
    """Make an agent.

    Args:
        settings: The model.
        turns_of: How many turns of the model a task allows, by its id; then the work is handed
            in as it is, as with every limit.
        system: The system prompt, instead of the package's own.
        caps: Of each session.
        run: What all sessions together may use.
    """
    prompt = system or files("proctor.clients.agents").joinpath("system.md").read_text("utf-8")
    most = caps or Caps()

    async def work(exam: Exam) -> AgentReport:
        budget = Budget("session", tokens=most.tokens, usd=most.usd, parent=run)
        sitting = _Sitting(exam, Model(settings), budget, turns_of(exam.task_id))
        return await sitting.work(prompt)

    return work


class _Sitting:
    """One agent at one task."""

    def __init__(self, exam: Exam, model: Model, budget: Budget, max_turns: int) -> None:
        self._exam = exam
        self._client = exam.client
        self._model = model
        self._budget = budget
        self._max_turns = max_turns
        self._messages: list[Message] = []
        self._tools: list[dict[str, Any]] = []
        self._read_only: set[str] = set()
        self._diary = Diary(model, budget)
        self._nudges = 0
        self._answer: str | None = None
        self._left: str | None = None
        """What the server says is left; None where it says nothing of the kind."""
        self._told_left: str | None = None
        """What it said with the last result, where no other call was under way."""

    async def work(self, system: str) -> AgentReport:
        """Work until the work is handed in, whatever limit is reached.

        Raises:
            ModelError: Its provider refuses or fails, which says nothing of the model's work.
            BudgetSpentError: Nothing is left for a first turn.
        """
        try:
            await self._begin(self._exam.task_id, system)
            await self._take_turns()
            if self._answer is None:
                await self._submit("")
        except BaseException as error:
            if isinstance(error, Exception):
                self._diary.failed(told_of(error))
            self._tell_on()  # cancelled, too: what it did since its last turn
            raise
        self._diary.ended(self._answer or "")
        return self._diary.report()

    async def _begin(self, task_id: str, system: str) -> None:
        for tool in await self._client.list_tools():
            if tool.name not in NOT_OFFERED:
                about = {"name": tool.name, "description": tool.description or ""}
                function = {**about, "parameters": tool.input_schema}
                self._tools.append({"type": "function", "function": function})
                if tool.annotations and tool.annotations.read_only_hint:
                    self._read_only.add(tool.name)
        briefing = await self._call_tool("status", {})
        self._left = _left_in(briefing)
        self._messages = [_message("system", system), _message("user", briefing)]
        self._diary.began(task_id, system, briefing, self._tools)

    async def _take_turns(self) -> None:
        """Take turns until the work is handed in, or a limit is reached."""
        try:
            while self._answer is None:
                if self._diary.turns >= self._max_turns:
                    self._diary.ended_by = "turns"
                    return
                await self._turn()
                if self._diary.ended_by:
                    return
        except BudgetSpentError as error:
            self._diary.ended_by = error.limit
            if not self._diary.turns:
                raise
            self._diary.note(str(error))
        except ContextOverflowError as error:
            self._diary.ended_by = "context"
            self._diary.note(str(error))

    async def _turn(self) -> None:
        started = time.monotonic()
        reply = await self._reply()
        self._messages.append(reply.message)
        self._diary.said(reply, time.monotonic() - started)
        self._tell_on()
        if reply.calls:
            self._nudges = 0
            await self._call_all(reply)
        elif final := FINAL_ANSWER.search(reply.text):
            await self._submit(final[1].strip())
        elif self._nudges == NUDGES:
            self._diary.ended_by = "nudges"
            await self._submit(reply.text)
        else:
            self._nudges += 1
            said = CUT if reply.cut else REFUSED if reply.refused else NUDGE
            await self._tell(said)

    async def _reply(self) -> Reply:
        """The model's turn; where the conversation is too long, it is shortened."""
        while True:
            try:
                return await self._model.reply(
                    self._messages, self._tools, self._budget, self._tell_on
                )
            except ContextOverflowError:
                if not (what := shorten(self._messages)):
                    raise
                self._diary.note(f"the conversation is too long for the model: {what}")
            finally:
                self._diary.note_troubles()

    def _tell_on(self) -> None:
        """Let it be known how things stand."""
        self._exam.tell(self._diary.report())

    async def _call_all(self, reply: Reply) -> None:
        """Call the tools of one turn, in order; neighbours that only read, at once."""
        told: dict[str, str] = {}
        limit = anyio.CapacityLimiter(READS_AT_ONCE)

        async def see_to(call: ToolCall) -> None:
            async with limit:
                started = time.monotonic()
                told[call.id] = await self._call(call, was_cut=reply.cut)
                self._diary.did(call, told[call.id], time.monotonic() - started)

        for only_reads, calls in groupby(reply.calls, lambda call: call.name in self._read_only):
            if only_reads:
                async with anyio.create_task_group() as tasks:
                    for call in calls:
                        tasks.start_soon(see_to, call)
            else:
                for call in calls:
                    await see_to(call)
        for call in reply.calls:
            about = {"role": "tool", "tool_call_id": call.id, "name": call.name}
            self._messages.append({**about, "content": told[call.id]})
        if len(reply.calls) > 1:
            self._told_left = None  # whichever came last need not be the latest
        if self._answer is None:
            await self._tell()

    async def _call(self, call: ToolCall, *, was_cut: bool) -> str:
        if self._answer is not None:
            return "The work is handed in already."
        if call.problem:
            why = f" {CUT}" if was_cut else ""
            return f"The arguments of {call.name} {call.problem}. Call it again.{why}"
        try:
            text = await self._call_tool(call.name, call.arguments)
        except ToolError as error:
            return f"Error: {error}"
        if call.name == "submit":
            self._answer = str(call.arguments.get("answer", ""))
        return text

    async def _call_tool(self, name: str, arguments: dict[str, Any]) -> str:
        self._diary.tool_calls += name != "status"
        if name == "submit":  # a run that is killed now finds the grade, but no later word of ours
            self._tell_on()
        result = await self._client.call_tool(name, arguments, raise_on_error=False)
        self._told_left = (result.meta or {}).get(TOLD_LEFT)
        text = "\n".join(map(_as_text, result.content))
        if result.is_error:
            raise ToolError(text)
        return text

    async def _submit(self, answer: str) -> None:
        try:
            await self._call_tool("submit", {"answer": answer})
        except ToolError as error:
            self._diary.failed(f"submit: {error}")
        self._answer = answer

    async def _tell(self, said: str = "") -> None:
        """Say something to the model, and what is left; notice where nothing is."""
        before, self._left = self._left, self._told_left or _left_in(await self._status())
        self._told_left = None
        if before and not self._left:
            self._diary.ended_by = "session"
        elif all(NO_CALLS.search(left or "") for left in (before, self._left)):
            self._diary.ended_by = "tool_calls"
        text = f"{said}\n{self._budget_line}".strip()
        last = self._messages[-1]
        if last["role"] == "tool":  # a message of its own would stand between call and thinking
            last["content"] += f"\n\n{text}"
        else:
            self._messages.append(_message("user", text))
        self._diary.told(text)

    async def _status(self) -> str:
        try:
            return await self._call_tool("status", {})
        except ToolError:  # the session is gone
            return ""

    @property
    def _budget_line(self) -> str:
        """All that is limited, and how much of it is left."""
        turns = self._max_turns - self._diary.turns
        tokens, usd, seconds = (
            self._budget.tokens_left, self._budget.usd_left, self._budget.seconds_left,
        )  # fmt: skip
        left = [
            f"{turns} of {self._max_turns} turns",
            *([self._left] if self._left else []),
            *([] if tokens is None else [f"{tokens} tokens"]),
            *([] if usd is None else [f"{usd:.4g} USD"]),
            *([] if seconds is None else [f"{seconds / 60:.0f} min of the whole run"]),
        ]
        last = self._diary.last_usage
        used = (last.prompt_tokens or 0) + (last.reply_tokens or 0)
        nearly = (
            turns <= 1
            or NO_CALLS.search(self._left or "")
            or (tokens is not None and tokens < 2 * used)
            or (usd is not None and usd < 2 * (last.cost_usd or 0))
        )
        return f"[Left: {', '.join(left)}.{f' {HAND_IN}' if nearly else ''}]"


def _left_in(status: str) -> str | None:
    found = LEFT.search(status)
    return found[1] if found else None


def _message(role: str, content: str) -> Message:
    return {"role": role, "content": content}


def _as_text(content: Any) -> str:  # noqa: ANN401 - any kind of MCP content
    return content.text if content.type == "text" else f"[{content.type}, which cannot be shown]"
