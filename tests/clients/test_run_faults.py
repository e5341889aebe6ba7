"""Runs of many sessions whose provider fails all the time: nothing is lost, or counted wrong.

Every task has a number, which its instructions name, so that the model's server knows whom it
speaks to: what it replies depends on the task, on the turn, and on how often that was asked.
"""

import json
import os
import re
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeAlias, cast

import pytest
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse

from proctor.clients.runs.directory import RunDirectory
from proctor.schemas.result import RunResult
from proctor.schemas.run import Lock, Summary
from proctor.schemas.trajectory import ModelResponse

TASK = """
id = "number-{number:03}"
title = "Number {number}"
description = "A report is wanted."

[limits]
time_s = 600
tool_calls = 8

[[criteria]]
id = "report_file"
points = 1
text = "`response/report.json` exists."
grader = "file_exists"
options = {{ path = "response/report.json" }}
"""
Call: TypeAlias = tuple[str, Any]
NUMBER = re.compile(r"You sit number (\d+)\.")
MARKER = "8640017"
"""How long a process sleeps that an agent leaves behind: by that it is found."""
HUGE = 400_000
DONE = "done"
REPORT: Call = ("write_file", {"path": "response/report.json", "content": "{}"})
SUBMIT: Call = ("submit", {"answer": DONE})
LOOK: Call = ("list_files", {})
Command = Callable[..., subprocess.CompletedProcess[str]]


def says(*calls: tuple[str, Any], text: str | None = None, finish: str | None = None) -> Any:
    """A turn of the model, whose usage the server adds."""
    wanted = [
        {"id": f"call-{n}", "type": "function",
         "function": {"name": name, "arguments": a if isinstance(a, str) else json.dumps(a)}}
        for n, (name, a) in enumerate(calls)
    ]  # fmt: skip
    said = {"role": "assistant", "content": text, **({"tool_calls": wanted} if wanted else {})}
    finish = finish or ("tool_calls" if wanted else "stop")
    return {"id": "1", "object": "chat.completion", "created": 1, "model": "x",
            "choices": [{"index": 0, "finish_reason": finish, "message": said}]}  # fmt: skip


def twice(call: tuple[str, Any]) -> Any:
    """A turn that calls the same twice, under one id."""
    turn = says(call, call)
    for each in turn["choices"][0]["message"]["tool_calls"]:
        each["id"] = "same"
    return turn


async def _half() -> AsyncIterator[bytes]:
    yield b'{"id": "1", "choi'
    raise ConnectionResetError


def cut() -> Response:
    return StreamingResponse(_half(), headers={"content-length": "1000"})


def cut_in_chunks() -> Response:
    return StreamingResponse(_half(), media_type="application/json")


def refused(status: int, said: str, **headers: str) -> Callable[[], Response]:
    return lambda: JSONResponse({"error": {"message": said}}, status, headers)


def busy() -> Response:
    return refused(429, "slow down", **{"retry-after": "1"})()


REFUSED_KEY, NO_MONEY = refused(401, "bad key"), refused(429, "insufficient_quota: no money")
USUAL = (says(LOOK, ("read_file", {"path": "notes.txt"})), says(REPORT), says(SUBMIT))
FLOOD = f"import sys; sys.stdout.write('flood' * {HUGE // 5})"
LEFT_BEHIND = f"setsid nohup sleep {MARKER} >/dev/null 2>&1 & echo left"
FAULTS: dict[str, dict[int, tuple[Any, ...]]] = {
    "none": {},
    "asks to wait": {1: (busy,)},
    "fails": {0: (500, 503)},
    "cuts the reply": {1: (cut,), 2: (cut_in_chunks,)},
    "writes no JSON": {1: (says(("write_file", '{"path": "respo')),)},
    "sends a page": {1: (lambda: HTMLResponse("<html>a gateway</html>"),)},
    "sends nothing": {2: (lambda: Response(b""), busy)},
    "floods": {1: (says(("run_python", {"code": FLOOD})),)},
    "leaves a process": {1: (says(("bash_exec", {"command": LEFT_BEHIND})),)},
    "declines": {1: (says(finish="content_filter"),)},
    "writes a book": {1: (says(text="so " * (HUGE // 3)),)},
    "repeats an id": {1: (twice(LOOK),)},
    "calls what is not there": {1: (says(("conquer", {}), ("read_file", {"path": 7})),)},
    "counts nothing": {},
    "counts nonsense": {},
    "refuses the key": dict.fromkeys(range(3), (REFUSED_KEY,) * 9),
    "wants money": {1: (NO_MONEY,) * 9},
    "goes in circles": dict.fromkeys(range(1, 50), (says(LOOK),)),
    "only talks": dict.fromkeys(range(1, 50), (says(text="Let me think."),)),
}
"""By name: what comes at a turn before what is usual, one after the other as it is asked again."""
NAMES = tuple(FAULTS)
FOR_GOOD = frozenset({"refuses the key", "wants money"})
SLOW = frozenset({"floods", "fails"})
UNTOLD = {
    "counts nothing": None,
    "counts nonsense": {"prompt_tokens": 10**12, "completion_tokens": -3},
}


class Provider:
    """Replies by number and turn, and keeps its own accounts."""

    def __init__(self) -> None:
        self.faults: Callable[[int], str] = lambda _: "none"
        self.asked: Counter[tuple[int, int]] = Counter()
        self.told: dict[int, Counter[str]] = {}
        """The tokens that replies stated, by number."""
        self.billed = 0
        """All tokens, those included that nobody was told of."""

    def stated(self, number: int) -> tuple[int, int]:
        """The tokens of prompts and replies that it stated."""
        told = self.told.get(number, Counter())
        return told["prompt_tokens"], told["completion_tokens"]

    def forget(self) -> None:
        """Take every request for the first again, but for the bill."""
        self.asked.clear()
        self.told.clear()

    def __call__(self, body: dict[str, Any]) -> Any:
        """What comes back to a request."""
        found = NUMBER.search(body["messages"][1]["content"])
        assert found
        number = int(found[1])
        fault = self.faults(number)
        said = [m for m in body["messages"] if m["role"] == "assistant"]
        again = self.asked[number, len(said)]
        self.asked[number, len(said)] += 1
        coming = FAULTS[fault].get(len(said), ())
        if again < len(coming) and not isinstance(coming[again], dict):
            return coming[again]
        instead: Any = coming[0] if coming else None
        turn = cast("dict[str, Any]", instead if isinstance(instead, dict) else self._usual(said))
        return {**turn, **self._usage(number, fault, body)}

    def _usual(self, said: list[dict[str, Any]]) -> Any:
        """The next of the usual turns that has not been taken."""
        taken = [call["function"]["name"] for m in said for call in m.get("tool_calls") or ()]
        if not said:
            return USUAL[0]
        good = any("report.json" in json.dumps(m.get("tool_calls") or "") for m in said)
        return USUAL[2] if good and "write_file" in taken else USUAL[1]

    def _usage(self, number: int, fault: str, body: dict[str, Any]) -> dict[str, Any]:
        """As many tokens as a conversation can have: one for each of its bytes."""
        prompt = len(json.dumps([body["messages"], body["tools"]], ensure_ascii=False).encode())
        reply = min(400, body.get("max_tokens", 400))
        self.billed += prompt + reply
        stated = {"prompt_tokens": prompt, "completion_tokens": reply}
        if fault in UNTOLD:
            return {"usage": UNTOLD[fault]} if UNTOLD[fault] else {}
        self.told.setdefault(number, Counter()).update(stated)
        return {"usage": {**stated, "total_tokens": prompt + reply}}


@pytest.fixture
def provider(model_server: Any) -> Provider:
    provider = Provider()
    model_server.answer = provider
    return provider


@pytest.fixture
def tasks(tmp_path: Path) -> Callable[[int], Path]:
    """Writes that many tasks."""

    def write(count: int) -> Path:
        for number in range(count):
            place = tmp_path / "tasks" / f"number-{number:03}"
            (place / "workspace").mkdir(parents=True)
            (place / "task.toml").write_text(TASK.format(number=number))
            (place / "instruction.md").write_text(f"You sit number {number}. Write a report.\n")
            (place / "workspace" / "notes.txt").write_text("Nothing of note.\n")
        return tmp_path / "tasks"

    return write


@pytest.fixture
def command(proctor_command: list[str], model_server: Any, tmp_path: Path) -> list[str]:
    return [*proctor_command, "run", "--model", "openai/x", "--api-base", model_server.url,
            "--tasks", str(tmp_path / "tasks"), "--backend", "none"]  # fmt: skip


@pytest.fixture
def run(proctor_command: list[str], command: list[str], tmp_path: Path) -> Command:
    def start(*options: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
        whole = [*proctor_command, "run"] if "--resume" in options else command
        done = subprocess.run(
            [*whole, *options], cwd=tmp_path, capture_output=True, text=True, timeout=400,
            check=False, env={**os.environ, "COLUMNS": "160"},
        )  # fmt: skip
        assert done.returncode == expect, done.stdout[-4000:] + done.stderr[-4000:]
        return done

    return start


def name_of(number: int) -> str:
    return f"number-{number:03}"


def in_short(result: RunResult) -> Any:
    """What a session came to, without times, ids and places."""
    used = {name: result.metadata[name] for name in ("turns", "tool_calls", "reply_tokens")}
    grade = (
        result.evaluation.model_dump(include={"score", "results"}) if result.evaluation else None
    )
    said = [
        (s.text, [call.name for call in s.tool_calls])
        for s in result.trace
        if isinstance(s, ModelResponse)
    ]
    return used, grade, said, result.state, result.blame, result.answer


def results_in(directory: Path) -> dict[int, RunResult]:
    """The results of a run, by number."""
    return {
        int(path.parent.parent.name.removeprefix("number-")): RunResult.model_validate_json(
            path.read_bytes()
        )
        for path in directory.glob("number-*/1/result.json")
    }


def test_of_two_hundred_sessions_with_a_faulty_provider_each_is_accounted_for(
    run: Command, provider: Provider, tasks: Callable[[int], Path], tmp_path: Path, processes: Any
) -> None:
    tasks(200)
    provider.faults = lambda number: NAMES[number % len(NAMES)]
    run("--concurrency", "24", "--out", "run", expect=1)
    assert not processes.marked(MARKER)
    out = tmp_path / "run"
    results = results_in(out)
    assert sorted(results) == list(range(200))
    blamed = {number for number, result in results.items() if result.blame == "model"}
    assert blamed == {n for n in range(200) if provider.faults(n) in FOR_GOOD}
    for number, result in results.items():
        ending = ("abandoned", "model") if number in blamed else ("graded", None)
        assert (result.state, result.blame) == ending, (provider.faults(number), result.error)
        assert (result.evaluation is None) is (number in blamed)
        known = provider.faults(number) not in UNTOLD
        assert (result.metadata["prompt_tokens"] is not None) is known, provider.faults(number)
    lock = Lock.model_validate_json((out / "run.json").read_bytes())
    summary = Summary.model_validate_json((out / "summary.json").read_bytes())
    assert [r.session_id for r in summary.results] == [results[n].session_id for n in range(200)]
    for number, attempt in enumerate(lock.attempts()):
        told = list(RunDirectory(out).told_of(attempt))
        used = sum(r.prompt_tokens or 0 for r in told), sum(r.reply_tokens or 0 for r in told)
        assert used == provider.stated(number), provider.faults(number)
    assert not summary.not_held
    assert not [*out.rglob("progress.jsonl"), *out.rglob("*.tmp")]
    assert {each.name for each in (out / ".earlier").iterdir()} == set(map(name_of, blamed))

    provider.faults = lambda _: "none"
    asked = provider.asked.copy()
    run("--resume", "run")
    after = results_in(out)
    assert {n for n, _ in provider.asked - asked} == blamed
    assert all(result.evaluation for result in after.values())
    assert {n: after[n] for n in after if n not in blamed} == {
        n: results[n] for n in results if n not in blamed
    }


def test_a_run_that_is_killed_comes_to_what_it_would_have(
    run: Command, command: list[str], provider: Provider, tasks: Callable[[int], Path],
    tmp_path: Path,
) -> None:  # fmt: skip
    tasks(12)
    provider.faults = lambda number: NAMES[number] if NAMES[number] not in SLOW else "none"
    run("--out", "whole", "--concurrency", "4")
    provider.forget()
    with subprocess.Popen(
        [*command, "--out", "killed", "--concurrency", "4"], cwd=tmp_path, text=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stderr
        next(line for line in process.stderr if "number-003/1: done" in line)
        process.kill()
    before = results_in(tmp_path / "killed")
    assert 1 <= len(before) < 12
    provider.forget()
    run("--resume", "killed")
    after = results_in(tmp_path / "killed")
    assert {number: after[number] for number in before} == before
    whole = results_in(tmp_path / "whole")
    assert {n: in_short(after[n]) for n in after} == {n: in_short(whole[n]) for n in whole}


@pytest.mark.parametrize(
    "cap", ["--max-run-tokens 300000", "--max-run-usd 0.3 --price 1/1"], ids=["tokens", "usd"]
)
def test_a_runs_cap_holds_by_the_providers_own_count_over_kills_too(
    run: Command, command: list[str], provider: Provider, tasks: Callable[[int], Path],
    cap: str,
) -> None:  # fmt: skip
    out = tasks(24).parent / "run"
    provider.faults = lambda number: ("counts nothing", "cuts the reply", "none")[number % 3]
    with subprocess.Popen(
        [*command, *cap.split(), "--out", str(out), "--concurrency", "16"], text=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stderr
        next(line for line in process.stderr if ": done" in line)
        process.kill()
    assert 0 < provider.billed <= 300_000
    run("--resume", "run", "--concurrency", "16", "--retries", "0", expect=1)
    assert provider.billed <= 300_000
    results = results_in(out)
    for result in results.values():
        ending = ("graded", None) if result.metadata["turns"] else ("abandoned", "budget")
        assert (result.state, result.blame) == ending, result.error
    graded = [result for result in results.values() if result.evaluation]
    assert 0 < len(graded) < 24
    summary = Summary.model_validate_json((out / "summary.json").read_bytes())
    assert len(summary.results) + len(summary.not_held) == 24
    assert len(summary.results) == len(results)
