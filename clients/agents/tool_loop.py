"""The reference agent: a model, the server's tools, and a loop until it has submitted.

It knows nothing but MCP: its tools are those that the server lists, its task is what ``status``
says. Anybody's agent could stand in its place.
"""

import json
from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import Any, cast

import anyio
from fastmcp.exceptions import ToolError

from proctor.clients.agents import Agent, AnyClient, Exam
from proctor.clients.agents.model import (
    ContextOverflowError,
    Message,
    Model,
    ModelSettings,
    Reply,
    ToolCall,
    Usage,
)
from proctor.schemas.errors import ModelError
from proctor.schemas.result import AgentReport, Step

FINAL_ANSWER = "FINAL ANSWER:"
"""As AfterQuery's agent ends: taken as a submission."""
NUDGES = 3
"""How often a turn without a tool call is answered before the work is handed in as it is."""
NUDGE = "You called no tool. Go on with the task, or call submit with your final answer."
CUT = "Your reply was cut off: it was too long. Do it in smaller steps."
REFUSED = "There was no reply. This is an exam in a sandbox of its own; go on with the task."
SHORTENED = "[shortened: the beginning of an earlier output]\n"
SHORT_CHARS = 500
NOT_OFFERED = frozenset({"list_tasks", "start_task"})


def tool_loop(
    settings: ModelSettings, turns_of: Callable[[str], int], system: str | None = None
) -> Agent:
    """Make an agent.

    Args:
        settings: The model.
        turns_of: How many turns of the model a task allows, by its id; then the work is handed
            in as it is.
        system: The system prompt, instead of the package's own.
    """
    prompt = system or files("proctor.clients.agents").joinpath("system.md").read_text("utf-8")

    async def work(exam: Exam) -> AgentReport:
        turns = turns_of(exam.task_id)
        return await _Sitting(exam.client, Model(settings), prompt, turns).work()

    return work


class _Sitting:
    """One agent at one task."""

    def __init__(self, client: AnyClient, model: Model, system: str, max_turns: int) -> None:
        self._client = client
        self._model = model
        self._max_turns = max_turns
        self._messages: list[Message] = [{"role": "system", "content": system}]
        self._tools: list[dict[str, Any]] = []
        self._read_only: set[str] = set()
        self._usage = Usage()
        self._steps: list[Step] = []
        self._turns = self._calls = self._nudges = 0
        self._answer: str | None = None
        self._errors: list[str] = []

    async def work(self) -> AgentReport:
        """Work until the work is handed in, which happens in any case."""
        await self._begin()
        try:
            while self._answer is None and self._turns < self._max_turns:
                await self._turn()
        except ModelError as error:
            self._errors.append(str(error))
        if self._answer is None:
            await self._submit("")
        return AgentReport(
            answer=self._answer or "",
            model=self._model.settings.model,
            turns=self._turns,
            tool_calls=self._calls,
            errors=tuple(self._errors),
            prompt_tokens=self._usage.prompt_tokens,
            reply_tokens=self._usage.reply_tokens,
            cost_usd=self._usage.cost_usd,
            trace=tuple(self._steps),
        )

    async def _begin(self) -> None:
        for tool in await self._client.list_tools():
            if tool.name not in NOT_OFFERED:
                about = {"name": tool.name, "description": tool.description or ""}
                function = {**about, "parameters": tool.input_schema}
                self._tools.append({"type": "function", "function": function})
                if tool.annotations and tool.annotations.read_only_hint:
                    self._read_only.add(tool.name)
        briefing = await self._call_tool("status", {})
        self._messages.append({"role": "user", "content": briefing})
        self._steps.append(Step(type="prompt", text=briefing))

    async def _turn(self) -> None:
        reply = await self._reply()
        self._turns += 1
        self._usage = self._usage.plus(reply.usage)
        self._messages.append(reply.message)
        self._steps.append(
            Step(
                type="model",
                text=reply.text,
                calls=tuple(call.model_dump() for call in reply.calls),
                prompt_tokens=reply.usage.prompt_tokens,
                reply_tokens=reply.usage.reply_tokens,
                cost_usd=reply.usage.cost_usd,
            )
        )
        if reply.calls:
            self._nudges = 0
            await self._call_all(reply.calls)
        elif FINAL_ANSWER in reply.text:
            await self._submit(reply.text.partition(FINAL_ANSWER)[2].strip())
        else:
            await self._nudge(reply)

    async def _reply(self) -> Reply:
        """The model's turn; where the conversation is too long, old outputs are shortened."""
        while True:
            try:
                return await self._model.reply(self._messages, self._tools)
            except ContextOverflowError:
                if not self._shorten():
                    raise

    def _shorten(self) -> bool:
        """Shorten the older half of the outputs that are still long. False where none is."""
        outputs = [m for m in self._messages if m["role"] == "tool"]
        long = [m for m in outputs if len(m["content"]) > SHORT_CHARS + len(SHORTENED)]
        for message in long[: (len(long) + 1) // 2]:
            message["content"] = SHORTENED + message["content"][:SHORT_CHARS]
        return bool(long)

    async def _nudge(self, reply: Reply) -> None:
        self._nudges += 1
        if self._nudges > NUDGES:
            await self._submit(reply.text)
            return
        said = CUT if reply.cut else REFUSED if reply.refused else NUDGE
        self._messages.append({"role": "user", "content": f"{said}\n{self._left}"})

    async def _call_all(self, calls: Sequence[ToolCall]) -> None:
        """Call the tools of one turn, in order; all at once where they only read."""
        told: dict[str, str] = {}

        async def see_to(call: ToolCall) -> None:
            told[call.id] = await self._call(call)

        if all(call.name in self._read_only for call in calls):
            async with anyio.create_task_group() as tasks:
                for call in calls:
                    tasks.start_soon(see_to, call)
        else:
            for call in calls:
                await see_to(call)
        for number, call in enumerate(calls, start=1):
            text = told[call.id] + (f"\n\n{self._left}" if number == len(calls) else "")
            message = {"role": "tool", "tool_call_id": call.id, "name": call.name, "content": text}
            self._messages.append(message)
            self._steps.append(Step(type="tool", name=call.name, text=text))

    async def _call(self, call: ToolCall) -> str:
        if self._answer is not None:
            return "The work is handed in already."
        try:
            given: Any = json.loads(call.arguments or "{}")
        except ValueError as error:
            return f"The arguments of {call.name} are not JSON: {error}. Call it again."
        if not isinstance(given, dict):
            return f"The arguments of {call.name} must be a JSON object. Call it again."
        arguments = cast("dict[str, Any]", given)
        try:
            text = await self._call_tool(call.name, arguments)
        except ToolError as error:
            return f"Error: {error}"
        if call.name == "submit":
            self._answer = str(arguments.get("answer", ""))
        return text

    async def _call_tool(self, name: str, arguments: dict[str, Any]) -> str:
        self._calls += name != "status"
        result = await self._client.call_tool(name, arguments)
        return "\n".join(map(_as_text, result.content))

    async def _submit(self, answer: str) -> None:
        try:
            await self._call_tool("submit", {"answer": answer})
        except ToolError as error:
            self._errors.append(f"submit: {error}")
        self._answer = answer

    @property
    def _left(self) -> str:
        left = self._max_turns - self._turns
        hint = " Hand in now." if left <= 1 else ""
        return f"[{left} of {self._max_turns} turns left.{hint}]"


def _as_text(content: Any) -> str:  # noqa: ANN401 - any kind of MCP content
    return content.text if content.type == "text" else f"[{content.type}, which cannot be shown]"
