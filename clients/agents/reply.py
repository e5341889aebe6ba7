"""What a provider's response says, read with suspicion: servers and models write anything.

A call's id may be missing or there twice, its arguments no JSON, a number of tokens nonsense. What
is sent back with the next turn is put right, as providers refuse conversations that are not.
"""

import json
import math
import re
from collections.abc import Mapping
from typing import Any, NoReturn, TypeAlias, cast

from proctor.clients.agents.budget import UNKNOWN_USAGE, Rates, Usage
from proctor.schemas.base import Value

Message: TypeAlias = dict[str, Any]
"""As OpenAI's chat completions take it."""

SENT_BACK = ("reasoning_content", "thinking_blocks", "reasoning_items", "provider_specific_fields")
"""What providers want to see again of a turn: without its thinking, some refuse the next."""
NOT_SENT_BACK = frozenset({"refusal", "reasoning"})
"""Of the provider's own fields: litellm's copies of what stands elsewhere."""
NAME_FORM = re.compile(r"[^A-Za-z0-9_-]")
NAME_CHARS = 64
MOST_TOKENS = 10_000_000
"""No model reads or writes more at once."""
MALFORMED_CHARS = 2000


class ToolCall(Value):
    """What the model wants called."""

    id: str
    """Unique in its turn."""
    name: str
    arguments: dict[str, Any]
    malformed: str | None = None
    """What it wrote instead of a JSON object, if so."""
    problem: str = ""
    """What is wrong with that."""


class Reply(Value):
    """One turn of the model."""

    message: Message
    """To be sent back with the next turn, as the provider wants it."""
    text: str
    reasoning: str | None = None
    calls: tuple[ToolCall, ...] = ()
    refused: bool = False
    """Whether the provider's filter or the model itself declined."""
    cut: bool = False
    """Whether it ended because it was too long."""
    usage: Usage = UNKNOWN_USAGE


def refusal(why: str, usage: Usage = UNKNOWN_USAGE) -> Reply:
    """A turn in which nothing was said."""
    message = {"role": "assistant", "content": f"[no reply: {why}]"}
    return Reply(message=message, text="", refused=True, usage=usage)


def read_reply(response: Any, rates: Rates | None, most_prompt_tokens: int) -> Reply:  # noqa: ANN401 - litellm's
    """Read litellm's response.

    Args:
        response: As litellm returns it.
        rates: What the user says that the model costs, over litellm's price.
        most_prompt_tokens: More than the prompt can have had; what says more is not believed.
    """
    usage = _usage(response, rates, most_prompt_tokens)
    if not response.choices:
        return refusal("an empty reply", usage)
    choice = response.choices[0]
    said: dict[str, Any] = _clean(choice.message.model_dump(exclude_none=True, warnings="none"))
    calls = _calls(said.get("tool_calls") or [])
    text = said.get("content")
    text = text if isinstance(text, str) else ""
    told: dict[str, Any] = said.get("provider_specific_fields") or {}
    said["provider_specific_fields"] = {k: v for k, v in told.items() if k not in NOT_SENT_BACK}
    return Reply(
        message=_message(said, text, calls),
        text=text,
        reasoning=_reasoning(said),
        calls=calls,
        refused=choice.finish_reason == "content_filter" or bool(told.get("refusal")),
        cut=choice.finish_reason == "length",
        usage=usage,
    )


def _message(said: Mapping[str, Any], text: str, calls: tuple[ToolCall, ...]) -> Message:
    """The turn as it is sent back."""
    message: Message = {"role": "assistant", "content": text or None}
    message |= {name: said[name] for name in SENT_BACK if said.get(name)}
    if not calls and not text:
        message["content"] = "[no text]"  # providers refuse an empty turn
    if calls:
        message["tool_calls"] = [
            _sent_call(call, given)
            for call, given in zip(calls, said["tool_calls"], strict=True)
        ]  # fmt: skip
    return message


def _sent_call(call: ToolCall, given: Mapping[str, Any]) -> dict[str, Any]:
    arguments = (
        {"malformed": call.malformed[:MALFORMED_CHARS]} if call.malformed else call.arguments
    )
    sent: dict[str, Any] = {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": json.dumps(arguments)},
    }
    if extra := given.get("provider_specific_fields"):  # such as Gemini's signatures
        sent["provider_specific_fields"] = extra
    return sent


def _calls(given: list[dict[str, Any]]) -> tuple[ToolCall, ...]:
    calls: list[ToolCall] = []
    for number, each in enumerate(given, start=1):
        taken = {call.id for call in calls}
        stated = str(each.get("id") or "")
        unique = stated if stated and stated not in taken else f"{stated or 'call'}_{number}"
        wanted: dict[str, Any] = each.get("function") or {}
        name = NAME_FORM.sub("_", wanted.get("name") or "unnamed")[:NAME_CHARS]
        arguments, problem = _arguments(wanted.get("arguments") or "{}")
        malformed = str(wanted["arguments"]) if problem else None
        calls.append(
            ToolCall(
                id=unique, name=name, arguments=arguments, malformed=malformed, problem=problem
            )
        )
    return tuple(calls)


def _arguments(text: str) -> tuple[dict[str, Any], str]:
    """The arguments, and what is wrong with them."""
    try:
        given: Any = _clean(json.loads(text, parse_constant=_no_number))
    except (ValueError, RecursionError) as error:
        return {}, f"are not JSON: {error}"
    if not isinstance(given, dict):
        return {}, "must be a JSON object"
    return cast("dict[str, Any]", given), ""


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _reasoning(said: Mapping[str, Any]) -> str | None:
    """What the provider shows of the thinking, without what it hides."""
    if isinstance(stated := said.get("reasoning_content"), str) and stated:
        return stated
    blocks: list[dict[str, Any]] = said.get("thinking_blocks") or []
    return "\n".join(filter(None, (str(b.get("thinking") or "") for b in blocks))) or None


def _usage(response: Any, rates: Rates | None, most_prompt_tokens: int) -> Usage:  # noqa: ANN401 - litellm's
    stated = getattr(response, "usage", None)
    prompt = _count(getattr(stated, "prompt_tokens", None), most_prompt_tokens)
    reply = _count(getattr(stated, "completion_tokens", None), MOST_TOKENS)
    details = getattr(stated, "prompt_tokens_details", None)
    cached = getattr(details, "cached_tokens", None)
    cost: Any = getattr(response, "_hidden_params", {}).get("response_cost")
    if prompt is None or reply is None:
        cost = None
    elif rates is not None:
        cost = rates.usd(prompt, reply)
    elif not isinstance(cost, float | int) or not math.isfinite(cost) or cost <= 0:
        cost = None  # 0 is what litellm says of prices that it does not know
    return Usage(
        prompt_tokens=prompt,
        reply_tokens=reply,
        cost_usd=cost,
        cached_tokens=_count(cached, most_prompt_tokens),
    )


def _count(stated: object, most: int) -> int | None:
    """A number of tokens, if it can be true; litellm says 0 where the provider says nothing."""
    if isinstance(stated, bool) or not isinstance(stated, int):
        return None
    return stated if 0 < stated <= most else None


def _clean(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """The same without lone surrogates, which no file and no request can hold."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        pairs = cast("dict[str, Any]", value).items()
        return {_clean(key): _clean(each) for key, each in pairs}
    if isinstance(value, list):
        return [_clean(each) for each in cast("list[object]", value)]
    return value
