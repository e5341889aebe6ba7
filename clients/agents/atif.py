"""A trajectory in ATIF, the Agent Trajectory Interchange Format of the Harbor project.

Source: RFC 0001 of Harbor, version 1.8. A step is one message, of the system, the user or the
agent; what the agent's tools answered belongs to the step that called them.
"""

from typing import Any

from proctor import __version__
from proctor.schemas.base import Value
from proctor.schemas.result import AgentReport
from proctor.schemas.trajectory import (
    CallRecord,
    ModelResponse,
    Note,
    RunError,
    RunStart,
    Step,
    ToolResult,
    UserMessage,
)

VERSION = "ATIF-v1.8"


class Trajectory(Value):
    """``trajectory.json``."""

    schema_version: str = VERSION
    session_id: str | None
    agent: dict[str, Any]
    steps: tuple[dict[str, Any], ...]
    notes: str | None = None
    final_metrics: dict[str, Any]
    extra: dict[str, Any]


def as_atif(report: AgentReport, agent: str, session_id: str | None) -> Trajectory | None:
    """An agent's report as a trajectory; None where no model took part.

    Args:
        report: The agent's; one that failed midway has one, too.
        agent: Its name.
        session_id: The session's, on its server.
    """
    if not report.trace:
        return None
    steps: list[dict[str, Any]] = []
    for entry in report.trace:
        if isinstance(entry, ToolResult):
            turn = next(each for each in reversed(steps) if each["source"] == "agent")
            turn.setdefault("observation", {"results": []})["results"].append(_result(entry))
        else:
            steps.extend(_steps(entry))
    for step in steps:
        if "observation" in step:  # the order of the calls, not the one in which they ended
            order = [call["tool_call_id"] for call in step["tool_calls"]]
            results: list[dict[str, Any]] = step["observation"]["results"]
            step["observation"]["results"] = sorted(
                results, key=lambda result: order.index(result["source_call_id"])
            )
    numbered = [{"step_id": n, **step} for n, step in enumerate(steps, start=1)]
    start = next((each for each in report.trace if isinstance(each, RunStart)), None)
    return Trajectory(
        session_id=session_id,
        agent={
            "name": agent,
            "version": __version__,
            "model_name": report.model,
            "tool_definitions": list(report.tools),
            "extra": start.context if start else {},
        },
        steps=tuple(numbered),
        final_metrics=_totals(report, len(numbered)),
        extra={"ended_by": report.ended_by, "answer": report.answer, "errors": list(report.errors)},
    )


def _steps(entry: Step) -> list[dict[str, Any]]:
    """The steps that an entry makes."""
    at = {"timestamp": _at(entry)}
    if isinstance(entry, RunStart):
        return [
            {**at, "source": "system", "message": entry.system_prompt},
            {**at, "source": "user", "message": entry.task_prompt},
        ]
    if isinstance(entry, ModelResponse):
        return [{**at, **_turn(entry)}]
    if isinstance(entry, UserMessage):
        return [{**at, "source": "user", "message": entry.text}]
    if isinstance(entry, Note | RunError):
        said = entry.text if isinstance(entry, Note) else entry.error
        extra = {"event": entry.event, "shown_to_model": False}
        return [{**at, "source": "system", "message": said, "extra": extra}]
    return []


def _turn(entry: ModelResponse) -> dict[str, Any]:
    stated = {
        "prompt_tokens": entry.prompt_tokens,
        "completion_tokens": entry.reply_tokens,
        "cached_tokens": entry.cached_tokens,
        "cost_usd": entry.cost_usd,
    }
    metrics = {name: value for name, value in stated.items() if value is not None}
    return {
        "source": "agent",
        "message": entry.text,
        **({"reasoning_content": entry.reasoning} if entry.reasoning else {}),
        **({"tool_calls": list(map(_call, entry.tool_calls))} if entry.tool_calls else {}),
        "metrics": {**metrics, "extra": {"duration_s": entry.duration_s}},
        "llm_call_count": 1,
    }


def _call(call: CallRecord) -> dict[str, Any]:
    return {
        "tool_call_id": call.id,
        "function_name": call.name,
        "arguments": call.arguments,
        **({"extra": {"malformed": call.malformed}} if call.malformed is not None else {}),
    }


def _result(entry: ToolResult) -> dict[str, Any]:
    extra = {"timestamp": _at(entry), "duration_s": entry.duration_s}
    return {"source_call_id": entry.id, "content": entry.result, "extra": extra}


def _at(entry: Step) -> str:
    return entry.timestamp.isoformat().replace("+00:00", "Z")


def _totals(report: AgentReport, steps: int) -> dict[str, Any]:
    turns = [each for each in report.trace if isinstance(each, ModelResponse)]
    cached = [turn.cached_tokens for turn in turns if turn.cached_tokens is not None]
    stated = {
        "total_prompt_tokens": report.prompt_tokens,
        "total_completion_tokens": report.reply_tokens,
        "total_cached_tokens": sum(cached) if turns and len(cached) == len(turns) else None,
        "total_cost_usd": report.cost_usd,
    }
    return {
        **{name: value for name, value in stated.items() if value is not None},
        "total_steps": steps,
        "extra": {
            "turns": report.turns,
            "tool_calls": report.tool_calls,
            "unreported_calls": report.unreported_calls,
        },
    }
