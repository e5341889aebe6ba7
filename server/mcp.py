"""The MCP face: tools, resources and a prompt, over any transport.

Above it: the transports. Below it: seats and tools, which know nothing of MCP. This file decides
who a request comes from, records every call before it is answered, and turns errors into what the
model reads.
"""

import functools
import inspect
import json
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

import anyio
from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp.server.mcpserver import Context, Image, MCPServer
from mcp.server.mcpserver.exceptions import ResourceNotFoundError, ToolError
from mcp_types import ToolAnnotations

from proctor import __version__
from proctor.sandbox_backends.base import Sandbox
from proctor.sandbox_backends.concurrency import alongside
from proctor.schemas.errors import ProctorError, TaskError
from proctor.schemas.task import TaskCard
from proctor.schemas.transcript import EventType
from proctor.server.seat import Seat
from proctor.server.session import Session
from proctor.server.tools import TOOLS, Tool
from proctor.server.tools.check_submission import check_submission
from proctor.server.tools.texts import briefing, left

PROGRESS_EVERY_S = 10.0
RECORDED_CHARS = 20_000
"""How much of each argument and result a transcript keeps."""
INSTRUCTIONS = (
    "Proctor is an exam in machine-learning engineering. Start a task with start_task (list_tasks "
    "names them) unless one is open already; status shows its instructions. Work in the workspace "
    "with the file and shell tools, then call submit once, with your final answer."
)

LEFT = "proctor/left"
"""Where in a result's ``_meta`` clients that care find what is left, without asking for it."""

FOR_FREE_SEATS = frozenset(tool.run.__name__ for tool in TOOLS if tool.for_free_seats)

AnyContext = Context[Any, Any]
Request = ServerRequestContext[Any, Any]
FindSeat = Callable[[Request], Seat]
"""From a request to the seat of whoever sent it."""

_seat: ContextVar[Seat] = ContextVar("seat")
"""The seat of the request that is being answered."""


def build_server(find_seat: FindSeat) -> MCPServer[Any]:
    """Make the MCP server.

    Args:
        find_seat: Must refuse, by raising, a request from nobody known.
    """
    server: MCPServer[Any] = MCPServer(
        "proctor",
        title="Proctor",
        version=__version__,
        instructions=INSTRUCTIONS,
        middleware=[_seated(find_seat), _hide_tools, _tell_left],
        log_level="WARNING",
        subscriptions=False,
    )
    for tool in TOOLS:
        server.add_tool(
            _exposed(tool),
            title=tool.title,
            description=inspect.getdoc(tool.run),
            annotations=ToolAnnotations(
                title=tool.title,
                read_only_hint=tool.read_only,
                destructive_hint=tool.destructive,
                idempotent_hint=tool.idempotent,
                open_world_hint=False,
            ),
            structured_output=False,
        )
    _add_resources(server)
    _add_prompt(server)
    return server


def _seated(find_seat: FindSeat) -> ServerMiddleware[Any]:
    """Middleware that finds the seat of each request before anything else looks at it."""

    async def middleware(ctx: Request, call_next: CallNext) -> HandlerResult:
        token = _seat.set(find_seat(ctx))
        try:
            return await call_next(ctx)
        finally:
            _seat.reset(token)

    return middleware


async def _hide_tools(ctx: Request, call_next: CallNext) -> HandlerResult:
    """Middleware that shows a bound client only the tools that it can use."""
    result = await call_next(ctx)
    seat = _seat.get()
    if ctx.method == "tools/list" and isinstance(result, dict) and seat.bound:
        hidden = FOR_FREE_SEATS
        if seat.session.feedback.before == "none":
            hidden |= {check_submission.__name__}
        shown = [tool for tool in result["tools"] if tool["name"] not in hidden]
        return {**result, "tools": shown}
    return result


async def _tell_left(ctx: Request, call_next: CallNext) -> HandlerResult:
    """Middleware that says with each call's result what is left of an open session."""
    result = await call_next(ctx)
    seat = _seat.get()
    if ctx.method == "tools/call" and isinstance(result, dict) and seat.is_open:
        return {**result, "_meta": {**(result.get("_meta") or {}), LEFT: left(seat.session)}}
    return result


def _exposed(tool: Tool) -> Callable[..., Awaitable[Any]]:
    """A tool as MCPServer registers it: its first parameter comes from the request."""
    signature = inspect.signature(tool.run)
    first, *rest = signature.parameters.values()
    on_sandbox = first.annotation is Sandbox

    @functools.wraps(tool.run)
    async def run(ctx: AnyContext, **arguments: Any) -> Any:  # noqa: ANN401 - the tool's own
        seat = _seat.get()
        given = {name: value for name, value in arguments.items() if name in signature.parameters}
        work = _on_sandbox if on_sandbox else _on_seat
        async with _recorded(seat, tool, given) as outcome, _progress(ctx, tool):
            outcome.value = await _told(work(tool, seat, given))
        return outcome.value

    context = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=AnyContext)
    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in rest]
    run.__signature__ = signature.replace(parameters=[*parameters, context])  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in (*parameters, context)} | {
        "return": signature.return_annotation
    }
    return run


async def _on_seat(tool: Tool, seat: Seat, given: Mapping[str, Any]) -> Any:  # noqa: ANN401
    return await tool.run(seat, **given)


async def _on_sandbox(tool: Tool, seat: Seat, given: Mapping[str, Any]) -> Any:  # noqa: ANN401
    async with seat.working() as sandbox:
        return await tool.run(sandbox, **given)


async def _told(work: Awaitable[Any]) -> Any:  # noqa: ANN401
    """Await `work`; what the model can do something about becomes a `ToolError`."""
    try:
        return await work
    except OSError as error:
        path = f": {error.filename}" if error.filename else ""
        raise ToolError(f"{error.strerror or error}{path}") from error
    except (ProctorError, LookupError, ValueError) as error:
        raise ToolError(str(error)) from error


class _Outcome:
    value: Any = None


@asynccontextmanager
async def _recorded(seat: Seat, tool: Tool, given: Mapping[str, Any]) -> AsyncGenerator[_Outcome]:
    """Put a call on disk before it runs, and its result before it is answered.

    A call that only reads leaves nothing behind that its record would have to precede: it is on
    disk with its result.

    What is called without an open session, or answered after its end, is no part of a transcript.
    """
    outcome, started, error = _Outcome(), time.monotonic(), "it failed unexpectedly"
    session = seat.session if seat.is_open else None
    if session is None:
        yield outcome
        return
    name, number = tool.run.__name__, session.record.next_call()
    shown = {key: _cut(value) for key, value in given.items()}
    call = {"call": number, "tool": name, "arguments": shown}
    await _append(seat, session, "tool_call", call, settle=not tool.read_only)
    try:
        yield outcome
        error = ""
    except ToolError as failure:
        error = str(failure)
        raise
    except anyio.get_cancelled_exc_class():
        error = "the call was cancelled"
        raise
    finally:
        result = {
            "call": number,
            "tool": name,
            "is_error": bool(error),
            "text": _cut(error or outcome.value),
            "duration_s": round(time.monotonic() - started, 4),
        }
        if not session.settled.is_set():
            await _append(seat, session, "tool_result", result)


async def _append(
    seat: Seat, session: Session, type_: EventType, data: Mapping[str, Any], *, settle: bool = True
) -> None:
    """Add an event; without a record there is no session, so it ends where that fails."""
    try:
        await session.record.append(type_, data, settle=settle)
    except OSError as error:
        reason = f"its record cannot be written: {error.strerror}"
        await seat.sessions.fail(session, reason)
        raise ToolError(f"the session has failed: {reason}") from error


def _cut(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, Image):
        return f"an image of {len(value.data or b'')} bytes"
    if isinstance(value, str) and len(value) > RECORDED_CHARS:
        return f"{value[:RECORDED_CHARS]}[... {len(value) - RECORDED_CHARS} characters more ...]"
    return value


@asynccontextmanager
async def _progress(ctx: AnyContext, tool: Tool) -> AsyncGenerator[None]:
    """Report progress while a call runs: clients give up on a silent one after a minute."""

    async def report() -> None:
        started = time.monotonic()
        while True:
            await anyio.sleep(PROGRESS_EVERY_S)
            elapsed = time.monotonic() - started
            message = f"{tool.run.__name__} has been running {elapsed:.0f} s"
            await ctx.report_progress(elapsed, message=message)

    async with alongside(report):
        yield


def _add_resources(server: MCPServer[Any]) -> None:
    @server.resource("task://catalog", title="The tasks on offer", mime_type="application/json")
    async def catalog() -> str:
        return json.dumps([_card(task) for task in _seat.get().tasks()], indent=2)

    @server.resource("task://current", title="The task that is open", mime_type="text/markdown")
    async def current() -> str:
        try:
            return await briefing(_seat.get().session)
        except ProctorError as error:
            raise ResourceNotFoundError(str(error)) from error

    @server.resource("task://{+task_id}", title="One task", mime_type="application/json")
    async def one(task_id: str) -> str:
        try:
            task, instructions = _seat.get().task(task_id)
        except TaskError as error:
            raise ResourceNotFoundError(str(error)) from error
        told = instructions or "start_task prepares its files, and shows them"
        return json.dumps({**_card(task), "instructions": told}, indent=2)


def _card(task: TaskCard) -> dict[str, Any]:
    """What anybody may know of a task before it is started."""
    return {
        "id": task.id,
        "title": task.title,
        "kind": task.kind,
        "description": task.description,
        "time_s": task.limits.time_s,
        "tool_calls": task.limits.tool_calls,
    }


def _add_prompt(server: MCPServer[Any]) -> None:
    @server.prompt("work_on_task", title="Work on a task", description="Start a task and solve it.")
    async def work_on_task(task_id: str) -> str:
        seat = _seat.get()
        if seat.bound:
            task_id = seat.session.task.id
            return f"Call status for the instructions of the task {task_id!r}, and solve it."
        task, _ = seat.task(task_id)
        return (
            f"Call start_task with task_id {task.id!r}. Follow the instructions that it shows: "
            "read the code, run it, measure, mend what is wrong, and check that it worked. "
            "Then call submit with your final answer."
        )
