"""What known agents tell of themselves, read from the end of their stdout."""

import json

import pytest

from proctor.clients.agents.presets import PRESETS


def lines(*events: object) -> str:
    return "\n".join(json.dumps(event, ensure_ascii=False) for event in events)


@pytest.mark.parametrize(
    ("name", "event"),
    [
        ("claude-code", {"type": "result", "result": "all\u2028done\x85"}),
        ("codex", {"item": {"type": "agent_message", "text": "all\u2028done\x85"}}),
    ],
)
def test_what_breaks_lines_elsewhere_breaks_no_event(name: str, event: object) -> None:
    assert PRESETS[name].report(lines(event))["answer"] == "all\u2028done\x85"


@pytest.mark.parametrize("name", ["claude-code", "codex"])
def test_tokens_that_nobody_told_are_unknown_and_not_none_at_all(name: str) -> None:
    told = PRESETS[name].report(lines({"type": "result", "result": "cut off"}))
    assert (told.get("prompt_tokens"), told.get("reply_tokens")) == (None, None)


def test_tokens_of_several_turns_are_counted_together() -> None:
    turn = {"type": "turn.completed", "usage": {"input_tokens": 7, "output_tokens": 2}}
    told = PRESETS["codex"].report(lines(turn, turn))
    assert (told["turns"], told["prompt_tokens"], told["reply_tokens"]) == (2, 14, 4)
