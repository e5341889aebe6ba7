"""Make a conversation shorter that is too long for its model: old outputs first, the task never."""

import json
from collections.abc import Sequence
from typing import Any, cast

from proctor.clients.agents.reply import Message

MARK = "[shortened: the beginning of an earlier output]\n"
KEPT_CHARS = 500


def shorten(messages: Sequence[Message]) -> str:
    """Shorten the older half of the outputs that are long; where none is, what the model wrote.

    Returns:
        What was shortened, in words; nothing where nothing can be.
    """
    outputs = [each for each in messages if each["role"] == "tool" and _is_long(each["content"])]
    for message in outputs[: (len(outputs) + 1) // 2]:
        message["content"] = _short(message["content"])
    if outputs:
        return f"{(len(outputs) + 1) // 2} outputs of tools are shortened"
    turns = [each for each in messages if each["role"] == "assistant" and _shorten_turn(each)]
    return f"{len(turns)} of its own turns are shortened" if turns else ""


def _shorten_turn(message: Message) -> bool:
    """Shorten what the model said and gave to tools. Its thinking is signed, and stays."""
    found = False
    if _is_long(message.get("content")):
        message["content"], found = _short(message["content"]), True
    for call in message.get("tool_calls") or ():
        arguments: dict[str, Any] = json.loads(call["function"]["arguments"])
        if any(map(_is_long, arguments.values())):
            found = True
            kept = {k: _short(v) if _is_long(v) else v for k, v in arguments.items()}
            call["function"]["arguments"] = json.dumps(kept)
    return found


def _is_long(value: object) -> bool:
    return isinstance(value, str) and len(value) > KEPT_CHARS + len(MARK)


def _short(value: object) -> str:
    return MARK + cast("str", value)[:KEPT_CHARS]
