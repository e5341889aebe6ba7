"""The reference agent, from the command line: a model behind real HTTP sits the mini task."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

FIX = "def centre(values):\n    return sorted(values)[len(values) // 2]\n"
Run = Callable[..., dict[str, Any]]


def says(*calls: tuple[str, Any], text: str | None = None, **message: Any) -> dict[str, Any]:
    """A turn of the model."""
    wanted = [
        {
            "id": f"call-{number}",
            "type": "function",
            "function": {
                "name": name,
                "arguments": given if isinstance(given, str) else json.dumps(given),
            },
        }
        for number, (name, given) in enumerate(calls)
    ]
    said = {"role": "assistant", "content": text, **({"tool_calls": wanted} if wanted else {})}
    finish = message.pop("finish_reason", "tool_calls" if wanted else "stop")
    return {
        "id": "1", "object": "chat.completion", "created": 1, "model": "gpt-x",
        "choices": [{"index": 0, "finish_reason": finish, "message": {**said, **message}}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
    }  # fmt: skip


@pytest.fixture
def run(proctor_command: list[str], model_server: Any, mini_task: Path, tmp_path: Path) -> Run:
    """Runs the agent with a model that says this, and returns the result."""

    def start(*turns: Any, options: tuple[str, ...] = (), expect: int = 0) -> dict[str, Any]:
        model_server.first = list(turns)
        model_server.always = says(text="I have nothing more to say.")
        done = subprocess.run(
            [*proctor_command, "run", "--model", "openai/gpt-x", "--api-base", model_server.url,
             "--tasks", str(mini_task), "--backend", "none", "--out", "run", "--json", *options],
            cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == expect, done.stdout + done.stderr
        (result,) = json.loads(done.stdout)["results"] if done.stdout else [{"said": done.stderr}]
        return dict(result)

    return start


def told(model_server: Any, turn: int = -1) -> list[dict[str, Any]]:
    """What the model was told by its turn of that number."""
    messages: list[dict[str, Any]] = model_server.bodies[turn]["messages"]
    return messages


def test_a_model_works_a_task_with_the_servers_tools(run: Run, model_server: Any) -> None:
    result = run(
        says(("list_files", {}), ("read_file", {"path": "stats.py"}), text="I look around."),
        says(("write_file", {"path": "stats.py", "content": FIX})),
        says(("submit", {"answer": "the median"})),
    )
    assert (result["agent"], result["model"]) == ("tool_loop", "openai/gpt-x")
    assert (result["state"], result["answer"]) == ("graded", "the median")
    assert {r["id"]: r["earned"] for r in result["evaluation"]["results"]}["fix"] == 4
    offered = {tool["function"]["name"] for tool in model_server.bodies[0]["tools"]}
    assert {"read_file", "write_file", "run_python", "bash_exec", "submit"} <= offered
    assert not {"start_task", "list_tasks", "check_submission"} & offered
    assert "mend it" in told(model_server, 0)[1]["content"]
    listed, read = [m["content"] for m in told(model_server, 1) if m["role"] == "tool"]
    assert "stats.py" in listed
    assert "def centre" in read
    assert re.search(r"\[Left: 49 of 50 turns, 9 min \d+ s, 48 tool calls\.\]$", read)
    assert result["metadata"]["turns"] == 3
    assert result["metadata"]["tool_calls"] == 4
    assert (result["metadata"]["prompt_tokens"], result["metadata"]["reply_tokens"]) == (300, 30)
    assert result["metadata"]["cost_usd"] is None, "the price of this model is not known"
    assert [step["event"] for step in result["trace"]] == [
        "run_start", "model_response", "tool_result", "tool_result", "user_message",
        "model_response", "tool_result", "user_message", "model_response", "tool_result", "run_end",
    ]  # fmt: skip
    assert "sk-abcdef" not in json.dumps(result)


def test_final_answer_in_a_text_is_a_submission(run: Run) -> None:
    result = run(says(text="I am done.\nFINAL ANSWER: it was the mean"))
    assert (result["state"], result["answer"]) == ("graded", "it was the mean")


def test_a_model_that_only_talks_is_nudged_and_then_handed_in(run: Run, model_server: Any) -> None:
    result = run()
    assert result["state"] == "graded"
    assert result["metadata"]["turns"] == 4
    assert "You called no tool" in told(model_server)[-1]["content"]


def test_mistakes_in_calls_are_told_to_the_model(run: Run, model_server: Any) -> None:
    run(
        says(("read_file", "{not json"), ("read_file", "[1]"), ("read_file", {"path": "none"}),
             ("no_tool", {}), ("read_file", {"wrong": 1})),
        says(("submit", {"answer": ""})),
    )  # fmt: skip
    answers = [m["content"] for m in told(model_server) if m["role"] == "tool"]
    assert "are not JSON" in answers[0]
    assert "must be a JSON object" in answers[1]
    assert all(answer.startswith("Error: ") for answer in answers[2:]), answers


def test_when_the_turns_are_used_up_the_work_is_handed_in_as_it_is(run: Run) -> None:
    look = says(("list_files", {}))
    write = says(("write_file", {"path": "stats.py", "content": FIX}))
    result = run(write, look, look, options=("--max-turns", "2"))
    assert (result["state"], result["metadata"]["turns"]) == ("graded", 2)
    assert {r["id"]: r["earned"] for r in result["evaluation"]["results"]}["fix"] == 4


def test_old_outputs_are_shortened_when_the_conversation_is_too_long(
    run: Run, model_server: Any
) -> None:
    too_long = {
        "error": {
            "message": "This model's maximum context length is 100 tokens.",
            "type": "invalid_request_error",
            "code": "context_length_exceeded",
        }
    }
    result = run(
        says(("bash_exec", {"command": "seq 2000"})),
        (400, too_long),
        says(("submit", {"answer": "x"})),
    )
    assert result["answer"] == "x"
    (output,) = [m["content"] for m in told(model_server) if m["role"] == "tool"]
    assert output.startswith("[shortened")
    assert "mend it" in told(model_server)[1]["content"]


def test_passing_trouble_is_waited_out(run: Run, model_server: Any) -> None:
    result = run(429, 503, says(("submit", {"answer": "x"})))
    assert (result["answer"], len(model_server.bodies)) == ("x", 3)


def test_a_refused_key_fails_at_once_and_the_work_is_handed_in(run: Run, model_server: Any) -> None:
    result = run(401)
    assert len(model_server.bodies) == 1
    assert result["state"] == "graded"
    assert "AuthenticationError" in result["metadata"]["errors"][0]
    assert "sk-abcdef" not in json.dumps(result)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--model", "gpt-x-of-nobody"), "names no provider"),
        (("--model", "anthropic/claude"), "set ANTHROPIC_API_KEY"),
        (("--reasoning-effort", "huge"), "--reasoning-effort"),
        (("--system-prompt", "none.md"), "cannot be read"),
    ],
)
def test_options_that_cannot_be_are_refused_at_the_start(
    run: Run, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], said: str
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    assert said in run(options=options, expect=2)["said"]
