"""The reference agent: a model behind real HTTP sits a task, over a real server and MCP."""

import json
import re
import subprocess
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from proctor.clients.agents import Agent, Exam
from proctor.clients.agents.budget import Budget
from proctor.clients.agents.model import ModelSettings
from proctor.clients.agents.tool_loop import Caps, tool_loop
from proctor.clients.runs.directory import RunDirectory
from proctor.clients.runs.in_process import InProcess
from proctor.clients.runs.owner import Owner
from proctor.clients.runs.run import Plan, Stop
from proctor.clients.runs.run import run as run_plan
from proctor.sandbox_backends.local import open_plain
from proctor.schemas.result import AgentReport, RunResult
from proctor.schemas.run import Candidate, Lock
from proctor.schemas.session import SessionRequest
from proctor.server.http import build_app
from proctor.server.listen import bind, listening
from proctor.server.sessions import Sessions
from proctor.server.terms import Terms
from proctor.tasks.catalog import Catalog

FIX = "def centre(values):\n    return sorted(values)[len(values) // 2]\n"
Run = Callable[..., dict[str, Any]]
Sit = Callable[..., Awaitable[list[RunResult]]]

SMALL_TASK = """
id = "small"
title = "A mean that is off"
description = "A team's average looks odd."

[limits]
time_s = 600
tool_calls = 6

[[criteria]]
id = "report_file"
points = 1
text = "`response/report.json` exists."
grader = "file_exists"
options = { path = "response/report.json" }
"""


def closed(required: list[str], **properties: Any) -> dict[str, Any]:
    """An object with these keys and no others."""
    named = {**properties, "extra": {"type": ["object", "null"]}}
    return {"type": "object", "properties": named, "required": required,
            "additionalProperties": False}  # fmt: skip


TEXT, MAYBE, COUNT = {"type": "string"}, {"type": ["string", "null"]}, {"type": "integer"}
PRICE = {"type": "number", "minimum": 0}
ATIF = closed(
    ["schema_version", "agent", "steps"],
    schema_version={"const": "ATIF-v1.8"},
    session_id=MAYBE,
    notes=MAYBE,
    agent=closed(
        ["name", "version"],
        name=TEXT,
        version=TEXT,
        model_name=MAYBE,
        tool_definitions={"type": "array", "items": {"type": "object"}},
    ),
    steps={
        "type": "array",
        "minItems": 1,
        "items": closed(
            ["step_id", "source", "message"],
            step_id={"type": "integer", "minimum": 1},
            timestamp={"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT[\d:.]+Z$"},
            source={"enum": ["system", "user", "agent"]},
            message=TEXT,
            model_name=TEXT,
            reasoning_content=TEXT,
            tool_calls={
                "type": "array",
                "items": closed(
                    ["tool_call_id", "function_name", "arguments"],
                    tool_call_id=TEXT,
                    function_name=TEXT,
                    arguments={"type": "object"},
                ),
            },
            observation=closed(
                ["results"],
                results={
                    "type": "array",
                    "items": closed([], source_call_id=MAYBE, content=TEXT),
                },
            ),
            metrics=closed(
                [],
                prompt_tokens=COUNT,
                completion_tokens=COUNT,
                cached_tokens=COUNT,
                cost_usd=PRICE,
            ),
            llm_call_count={"type": "integer", "minimum": 0},
        ),
    },
    final_metrics=closed(
        [],
        total_prompt_tokens=COUNT,
        total_completion_tokens=COUNT,
        total_cached_tokens=COUNT,
        total_cost_usd=PRICE,
        total_steps=COUNT,
    ),
)
"""Version 1.8 of the Agent Trajectory Interchange Format, as far as Proctor uses it."""


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


def test_keys_come_from_a_file_and_go_no_further(
    run: Run, model_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    key = "sk-of-the-file-0123456789abcdef"
    (tmp_path / "keys.env").write_text(f"OPENAI_API_KEY={key}\n")
    look = says(
        ("bash_exec", {"command": "env; cat /proc/[0-9]*/environ | tr '\\0' '\\n' | wc -l"})
    )
    result = run(look, says(("submit", {"answer": "x"})), options=("--env-file", "keys.env"))
    assert set(model_server.keys) == {f"Bearer {key}"}
    (output,) = [m["content"] for m in told(model_server) if m["role"] == "tool"]
    assert "PATH=" in output
    assert key not in output
    assert result["state"] == "graded"
    kept = [path for path in (tmp_path / "run").rglob("*.json*") if path.is_file()]
    assert len(kept) > 3
    assert not [path for path in kept if key in path.read_text()]


def test_the_environment_wins_over_the_file(run: Run, model_server: Any, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OPENAI_API_KEY=sk-of-the-file\n")
    run(says(("submit", {"answer": "x"})))
    assert "Bearer sk-of-the-file" not in model_server.keys


def test_a_refusing_provider_is_known_before_any_session_is_opened(
    run: Run, model_server: Any, tmp_path: Path
) -> None:
    model_server.asked_once = (404, {"error": {"message": "The model `gpt-x` does not exist"}})
    said = run(expect=2)["said"]
    assert "--model openai/gpt-x: the provider knows no model openai/gpt-x" in said
    assert "The model `gpt-x` does not exist" in said
    assert not model_server.bodies
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--model", "gpt-x-of-nobody"), "names no provider"),
        (("--model", "anthropic/claude"), "set ANTHROPIC_API_KEY"),
        (("--reasoning-effort", "huge"), "--reasoning-effort"),
        (("--system-prompt", "none.md"), "cannot be read"),
        (("--max-session-usd", "1"), "--price IN/OUT"),
        (("--price", "3"), "write it as IN/OUT"),
        (("--env-file", "none.env"), "cannot be read"),
    ],
)
def test_options_that_cannot_be_are_refused_at_the_start(
    run: Run, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], said: str
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    assert said in run(options=options, expect=2)["said"]


def unwatched(*_: object) -> None:
    """Nobody looks on."""


@pytest.fixture
def sit(model_server: Any, task_with: Any, tmp_path: Path) -> Sit:
    """Lets a model that says this sit a task, in this process; all sessions at once."""
    decoy = {f"decoys/constant/{name}": None for name in ("decoy.toml", "workspace/stats.py")}
    task = task_with({"task.toml": SMALL_TASK, **decoy})
    out = tmp_path / "out"

    async def start(
        *turns: Any, turns_most: int = 50, sessions: int = 1, wrap: Any = None, **of: Any
    ) -> list[RunResult]:
        model_server.first = list(turns)
        model_server.always = model_server.always or says(text="I have nothing more to say.")
        settings = ModelSettings.model_validate(
            {"model": "openai/gpt-x", "api_base": model_server.url, "first_wait_s": 0.001,
             **of.pop("settings", {})}
        )  # fmt: skip
        agent = tool_loop(settings, lambda _: turns_most, **of)
        candidate = Candidate(name="gpt-x", agent="tool_loop", model="openai/gpt-x")
        lock = Lock(
            run_id="r", started_at=datetime.now(UTC), flags={}, versions={},
            tasks={"small": ""}, candidates=(candidate,), epochs=sessions,
        )  # fmt: skip
        directory = RunDirectory(out)
        listener = bind("127.0.0.1", 0)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with Sessions.serving(Catalog([task]), open_plain, out, Terms()) as serving:
            app = build_app(serving, owner_token="owner")  # noqa: S106 - opens nothing but this
            async with listening(app, listener), Owner.of(url, "owner") as owner:
                engine = InProcess(
                    owner=owner,
                    candidates={"gpt-x": candidate},
                    agents={"gpt-x": wrap(agent) if wrap else agent},
                    directory=directory,
                    request=lambda at: SessionRequest(task_id=at.task_id, label=at.label),
                )
                plan = Plan(lock, concurrency=sessions, retries=0)
                held = await run_plan(plan, engine, directory, unwatched, Stop())
                return list(held.values())

    return start


def trajectory(tmp_path: Path, epoch: int = 1) -> dict[str, Any]:
    """What was written beside the result, which must be ATIF."""
    path = tmp_path / "out" / "small" / str(epoch) / "trajectory.json"
    found: dict[str, Any] = json.loads(path.read_text())
    Draft202012Validator(ATIF).validate(found)  # pyright: ignore[reportUnknownMemberType] - jsonschema's stubs
    assert [step["step_id"] for step in found["steps"]] == list(range(1, len(found["steps"]) + 1))
    for step in found["steps"]:
        called = {call["tool_call_id"] for call in step.get("tool_calls", ())}
        for result in step.get("observation", {"results": ()})["results"]:
            assert result["source_call_id"] in called
        if step["source"] != "agent":
            assert not {"tool_calls", "metrics", "reasoning_content", "model_name"} & set(step)
    return found


async def test_final_answer_in_a_text_is_a_submission(sit: Sit) -> None:
    (result,) = await sit(says(text="I am done.\nFinal answer: it was the mean"))
    assert (result.error, result.state, result.answer) == (None, "graded", "it was the mean")
    assert result.metadata["ended_by"] is None


async def test_a_model_that_only_talks_is_nudged_and_then_handed_in(
    sit: Sit, model_server: Any
) -> None:
    (result,) = await sit()
    assert result.state == "graded"
    assert (result.metadata["turns"], result.metadata["ended_by"]) == (4, "nudges")
    assert "You called no tool" in told(model_server)[-1]["content"]


async def test_mistakes_in_calls_are_told_to_the_model(sit: Sit, model_server: Any) -> None:
    await sit(
        says(("read_file", "{not json"), ("read_file", "[1]"), ("read_file", {"path": "none"}),
             ("no_tool", {}), ("read_file", {"wrong": 1}), ("a tool!", {})),
        says(("submit", {"answer": ""})),
    )  # fmt: skip
    answers = [m["content"] for m in told(model_server) if m["role"] == "tool"]
    assert "are not JSON" in answers[0]
    assert "must be a JSON object" in answers[1]
    assert all(answer.startswith("Error: ") for answer in answers[2:]), answers


async def test_calls_with_the_same_id_are_told_apart(sit: Sit, model_server: Any) -> None:
    turn = says(
        ("read_file", {"path": "stats.py"}), ("list_files", {}), ("read_file", {"path": "x"})
    )
    for call in turn["choices"][0]["message"]["tool_calls"]:
        call["id"] = "same"
    await sit(turn, says(("submit", {"answer": ""})))
    first, second, third = [m for m in told(model_server) if m["role"] == "tool"]
    assert len({first["tool_call_id"], second["tool_call_id"], third["tool_call_id"]}) == 3
    assert "def centre" in first["content"]
    assert "stats.py" in second["content"]
    assert "Error: " in third["content"]


@pytest.mark.parametrize(
    ("of", "ended_by", "turns"),
    [
        ({"turns_most": 2}, "turns", 2),
        ({"caps": Caps(tokens=25_000)}, "session_tokens", None),
        ({"caps": Caps(usd=0.6), "settings": {"price": (10.0, 1000.0), "max_tokens": 100}},
         "session_usd", None),
        ({"run": lambda: Budget("run", tokens=25_000)}, "run_tokens", None),
    ],
)  # fmt: skip
async def test_a_limit_ends_the_work_and_what_was_done_is_graded(
    sit: Sit, model_server: Any, of: dict[str, Any], ended_by: str, turns: int | None
) -> None:
    model_server.always = says(("status", {}))  # and so on, for ever
    model_server.always["usage"] = {"prompt_tokens": 6000, "completion_tokens": 100}
    of = {name: value() if callable(value) else value for name, value in of.items()}
    (result,) = await sit(says(("write_file", {"path": "x", "content": "y"})), **of)
    assert result.state == "graded"
    assert result.metadata["ended_by"] == ended_by
    assert not result.metadata["errors"]
    assert turns is None or result.metadata["turns"] == turns
    assert result.metadata["turns"] > 1
    assert result.trace[-1].event == "run_end"


async def test_where_nothing_is_left_for_a_first_turn_there_is_no_work_to_grade(sit: Sit) -> None:
    (result,) = await sit(run=Budget("run", seconds=0.0))
    assert (result.blame, result.evaluation) == ("budget", None)
    assert result.error == "the run's 0 s are spent"


async def test_an_endless_loop_ends_with_the_servers_tool_calls(
    sit: Sit, model_server: Any
) -> None:
    model_server.always = says(("list_files", {}))
    (result,) = await sit()
    assert (result.state, result.metadata["ended_by"]) == ("graded", "tool_calls")
    assert result.metadata["turns"] == 7, "six calls, and one turn to hand in"
    assert "0 tool calls" in told(model_server)[-1]["content"]
    assert "Hand in now." in told(model_server)[-1]["content"]


async def test_a_session_that_the_server_ended_is_noticed(sit: Sit, model_server: Any) -> None:
    model_server.always = says(("bash_exec", {"command": "sleep 0.3"}))
    (result,) = await sit(wrap=ended_by_the_server)
    assert (result.state, result.metadata["ended_by"]) == ("graded", "session")
    assert result.metadata["turns"] == 1


def ended_by_the_server(agent: Agent) -> Agent:
    """The agent, whose session is handed in by somebody else at its first shell command."""

    async def work(exam: Exam) -> AgentReport:
        client, call = exam.client, exam.client.call_tool

        async def submitted_first(name: str, arguments: Any, **rest: Any) -> Any:
            if name == "bash_exec":
                await call("submit", {"answer": ""})
            return await call(name, arguments, **rest)

        client.call_tool = submitted_first  # type: ignore[assignment,method-assign]
        return await agent(exam)

    return work


@pytest.mark.parametrize(
    "last", [says(("submit", {"answer": "x"})), says(text="Final answer: x")], ids=["call", "text"]
)
async def test_all_is_told_before_the_work_is_handed_in(sit: Sit, last: Any) -> None:
    """A run that is killed while its session is graded knows what the agent did."""
    told: list[AgentReport] = []

    def overheard(agent: Agent) -> Agent:
        return lambda exam: agent(replace(exam, tell=told.append))

    (result,) = await sit(says(("list_files", {})), last, wrap=overheard)
    counted = {name: result.metadata[name] for name in ("turns", "tool_calls", "reply_tokens")}
    assert {name: getattr(told[-1], name) for name in counted} == counted


async def test_a_runs_cap_holds_over_all_its_sessions(sit: Sit, model_server: Any) -> None:
    model_server.always = says(("status", {}))
    model_server.always["usage"] = {"prompt_tokens": 6000, "completion_tokens": 100}
    run = Budget("run", tokens=60_000)
    results = await sit(run=run, sessions=3, settings={"max_tokens": 1000})
    assert {result.state for result in results} == {"graded"}
    spent = sum(r.metadata["prompt_tokens"] + r.metadata["reply_tokens"] for r in results)
    assert run.used_tokens == spent <= 60_000
    assert "run_tokens" in {result.metadata["ended_by"] for result in results}


async def test_the_model_is_told_all_that_is_limited(sit: Sit, model_server: Any) -> None:
    await sit(
        says(("list_files", {})),
        caps=Caps(tokens=90_000, usd=2.5),
        run=Budget("run", seconds=7200, tokens=80_000),
        settings={"price": (3.0, 15.0)},
    )
    last = [m for m in told(model_server, 1) if m["role"] == "tool"][-1]["content"]
    assert re.search(
        r"49 of 50 turns, 9 min \d+ s, 5 tool calls, 79890 tokens, 2\.5 USD, 120 min of", last
    )


async def test_a_server_that_is_gone_loses_nothing_of_what_was_said(
    sit: Sit, tmp_path: Path
) -> None:
    (result,) = await sit(says(("bash_exec", {"command": "true"}), text="I look."), wrap=cut_short)
    assert result.state == "abandoned"
    assert "the agent failed: ConnectionError: gone" in str(result.error)
    assert [step.event for step in result.trace] == ["run_start", "model_response", "error"]
    steps = trajectory(tmp_path)["steps"]
    assert [step["source"] for step in steps] == ["system", "user", "agent", "system"]
    assert steps[2]["message"] == "I look."


def cut_short(agent: Agent) -> Agent:
    """The agent, whose connection fails at its first shell command."""

    async def work(exam: Exam) -> AgentReport:
        client, call = exam.client, exam.client.call_tool

        async def fails(name: str, arguments: Any, **rest: Any) -> Any:
            if name == "bash_exec":
                raise ConnectionError("gone")
            return await call(name, arguments, **rest)

        client.call_tool = fails  # type: ignore[assignment,method-assign]
        return await agent(exam)

    return work


async def test_a_trajectory_holds_every_message_call_and_number(sit: Sit, tmp_path: Path) -> None:
    first = says(("list_files", {}), ("read_file", "{no"), text="I look.", reasoning_content="Hm.")
    (result,) = await sit(first, 503, says(text="Well?"), says(("submit", {"answer": "x"})),
                          settings={"temperature": 0.5, "price": (1.0, 2.0)})  # fmt: skip
    found = trajectory(tmp_path)
    assert found["session_id"] == result.session_id
    assert found["agent"]["model_name"] == "openai/gpt-x"
    assert found["agent"]["extra"]["temperature"] == 0.5
    assert "submit" in {each["function"]["name"] for each in found["agent"]["tool_definitions"]}
    steps = found["steps"]
    assert [step["source"] for step in steps] == [
        "system", "user", "agent", "user", "system", "agent", "user", "agent",
    ]  # fmt: skip
    assert "experienced" in steps[0]["message"]
    assert "mend it" in steps[1]["message"]
    assert (steps[2]["message"], steps[2]["reasoning_content"]) == ("I look.", "Hm.")
    listed, misread = steps[2]["tool_calls"]
    assert (listed["function_name"], listed["arguments"]) == ("list_files", {})
    assert misread["extra"]["malformed"] == "{no"
    shown, told_off = steps[2]["observation"]["results"]
    assert "stats.py" in shown["content"]
    assert "are not JSON" in told_off["content"]
    assert steps[2]["metrics"]["prompt_tokens"] == 100
    assert "no luck" in steps[4]["message"]
    assert steps[4]["extra"] == {"event": "note", "shown_to_model": False}
    assert "You called no tool" in steps[6]["message"]
    totals = found["final_metrics"]
    assert (totals["total_prompt_tokens"], totals["total_completion_tokens"]) == (300, 30)
    assert totals["total_cost_usd"] == pytest.approx(3 * (100 + 20) / 1e6)
    assert totals["total_steps"] == len(steps)
    times = [step["timestamp"] for step in steps]
    assert times == sorted(times)
    assert all(time.endswith("Z") for time in times)
    kept = json.loads((tmp_path / "out" / "small" / "1" / "result.json").read_text())
    assert RunResult.model_validate(kept).trace == result.trace


async def test_a_key_that_a_model_repeats_is_not_kept(
    sit: Sit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_API_KEY", "of-somebody-0123")
    await sit(says(text="It is of-somebody-0123"), says(("submit", {"answer": "of-somebody-0123"})))
    assert "It is [...]" in json.dumps(trajectory(tmp_path))
    for path in (tmp_path / "out" / "small" / "1").glob("*result.json"):
        assert "of-somebody-0123" not in path.read_text()


async def test_old_outputs_are_shortened_when_the_conversation_is_too_long(
    sit: Sit, model_server: Any
) -> None:
    said = "This model's maximum context length is 100 tokens."
    too_long = (400, {"error": {"message": said, "code": "context_length_exceeded"}})
    (result,) = await sit(
        says(("bash_exec", {"command": "seq 2000"}), text="y" * 5000),
        too_long,
        too_long,
        says(("submit", {"answer": "x"})),
    )
    assert result.answer == "x"
    (output,) = [m["content"] for m in told(model_server) if m["role"] == "tool"]
    assert output.startswith("[shortened")
    assert "mend it" in told(model_server)[1]["content"]
    assert told(model_server)[2]["content"].startswith("[shortened"), "its own words come next"
    notes = [step.text for step in result.trace if step.event == "note"]
    assert sum("too long for the model" in note for note in notes) == 2
    (full,) = [step.result for step in result.trace if step.event == "tool_result"
               and step.tool_name == "bash_exec"]  # fmt: skip
    assert "1999" in full, "the trajectory keeps what the model saw"


async def test_a_conversation_that_cannot_be_shortened_is_handed_in(sit: Sit) -> None:
    said = "This model's maximum context length is 100 tokens."
    too_long = (400, {"error": {"message": said, "code": "context_length_exceeded"}})
    (result,) = await sit(too_long)
    assert (result.state, result.metadata["ended_by"]) == ("graded", "context")


async def test_a_refused_key_fails_at_once_and_says_nothing_of_the_work(
    sit: Sit, model_server: Any
) -> None:
    (result,) = await sit(401)
    assert len(model_server.bodies) == 1
    assert (result.state, result.blame, result.evaluation) == ("abandoned", "model", None)
    assert "refuses the key" in result.metadata["errors"][0]
    assert "sk-abcdef" not in result.model_dump_json()


async def test_calls_of_unknown_size_are_said_so(sit: Sit) -> None:
    silent = says(("submit", {"answer": "x"}))
    del silent["usage"]
    (result,) = await sit(says(("list_files", {})), silent, caps=Caps(tokens=100_000))
    assert result.metadata["unreported_calls"] == 1
    assert result.metadata["prompt_tokens"] is None
