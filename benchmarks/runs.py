"""What Proctor adds to each turn of a model, and how many sessions one process can hold.

``python benchmarks/runs.py [--rounds N] [--turns N] [--sessions N] [--delay S] [--json FILE]``

A turn with Proctor: the reference agent asks the model, and calls a tool and ``status`` over MCP
and HTTP, in a sandbox, every event on disk. A bare one: LiteLLM, and a function in this process.
Both have the same conversation with the same scripted model, a process of its own; session by
session in turns. Then many sessions at once, against a model that takes its time: what they come
to is held against what that time allows.
"""

import argparse
import json
import os
import platform
import random
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
from starlette.types import Receive, Scope, Send

from proctor.clients.agents.model import ModelSettings, load_litellm
from proctor.clients.agents.tool_loop import tool_loop
from proctor.clients.runs.directory import RunDirectory
from proctor.clients.runs.in_process import InProcess
from proctor.clients.runs.owner import Owner
from proctor.clients.runs.run import Plan, Stop
from proctor.clients.runs.run import run as run_plan
from proctor.sandbox_backends.base import Backend
from proctor.sandbox_backends.local import bubblewrap_problem, open_bubblewrap, open_plain
from proctor.schemas.result import RunResult
from proctor.schemas.run import Candidate, Lock
from proctor.schemas.session import SessionRequest
from proctor.schemas.trajectory import ModelResponse, RunStart
from proctor.server.http import build_app
from proctor.server.listen import bind, listening
from proctor.server.sessions import Sessions
from proctor.tasks.catalog import Catalog

AIM_MS = 10.0
AIM_RATIO = 0.9
TASK = """
id = "small"
title = "Small"
description = "A file is read."

[limits]
time_s = 3600
tool_calls = 1000

[[criteria]]
id = "notes"
points = 1
text = "`notes.txt` exists."
grader = "file_exists"
options = { path = "notes.txt" }
"""
NOTES = "Nothing of note.\n" * 60
MODEL = "openai/scripted"


async def scripted(turns: int, delay_s: float, _: Scope, receive: Receive, send: Send) -> None:
    """A model that reads a file at each turn, and hands in at the last: an ASGI application."""
    body, more = b"", True
    while more:
        event = await receive()
        body, more = body + event.get("body", b""), event.get("more_body", False)
    taken = sum(message["role"] == "assistant" for message in json.loads(body)["messages"])
    name, given = (
        ("submit", {"answer": "-"}) if taken + 1 >= turns else ("read_file", {"path": "notes.txt"})
    )
    call = {"id": f"call-{taken}", "type": "function",
            "function": {"name": name, "arguments": json.dumps(given)}}  # fmt: skip
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    reply = {"id": "1", "object": "chat.completion", "created": 1, "model": "scripted",
             "choices": [{"index": 0, "finish_reason": "tool_calls", "message": message}],
             "usage": {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}}  # fmt: skip
    # Half as long to half as long again, as no two replies are alike: sessions in step would all
    # want this machine at once, and then leave it idle.
    await anyio.sleep(delay_s * random.uniform(0.5, 1.5))  # noqa: S311
    head = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": json.dumps(reply).encode()})


def serve_model(descriptor: int, turns: int, delay_s: float) -> None:
    """Serve the scripted model on a socket that this process was given."""
    import uvicorn  # noqa: PLC0415 - in the model's process alone

    app = partial(scripted, turns, delay_s)
    config = uvicorn.Config(app, log_level="error", access_log=False, lifespan="off",
                            interface="asgi3", timeout_keep_alive=75)  # fmt: skip
    uvicorn.Server(config).run([socket.socket(fileno=descriptor)])


@contextmanager
def model(turns: int, delay_s: float = 0.0) -> Generator[ModelSettings]:
    """A scripted model in a process of its own."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        number = listener.fileno()
        command = [sys.executable, __file__, "--model", str(number), str(turns), str(delay_s)]
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        with subprocess.Popen(command, pass_fds=[number]) as process:
            try:
                yield ModelSettings(model=MODEL, api_base=url)
            finally:
                process.kill()


@dataclass(frozen=True)
class Held:
    """What sessions came to, and what the model was offered in them."""

    results: list[RunResult]
    tools: list[dict[str, Any]]


Hold = Callable[[int], Awaitable[Held]]
"""Holds that many sessions at once."""


@asynccontextmanager
async def proctor(settings: ModelSettings, backend: Backend) -> AsyncGenerator[Hold]:
    """As `proctor run` holds sessions: its own server, over HTTP on loopback."""
    with TemporaryDirectory() as place:
        root, listener = Path(place), bind("127.0.0.1", 0)
        task = root / "tasks" / "small"
        (task / "workspace").mkdir(parents=True)
        (task / "task.toml").write_text(TASK)
        (task / "instruction.md").write_text("Read the notes.\n")
        (task / "workspace" / "notes.txt").write_text(NOTES)
        candidate = Candidate(name="x", agent="tool_loop", model=settings.model)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        runs = iter(range(1_000_000))
        async with Sessions.serving(Catalog([task]), backend, root) as sessions:
            app = build_app(sessions, owner_token="owner")  # noqa: S106 - opens nothing but this
            async with listening(app, listener), Owner.of(url, "owner") as owner:

                async def hold(count: int) -> Held:
                    name = f"run-{next(runs)}"
                    directory = RunDirectory(root / name)
                    engine = InProcess(
                        owner=owner,
                        candidates={"x": candidate},
                        agents={"x": tool_loop(settings, lambda _: 1000)},
                        directory=directory,
                        request=lambda at: SessionRequest(
                            task_id=at.task_id, label=f"{name}/{at.label}"
                        ),
                    )
                    lock = Lock(
                        run_id=name, started_at=datetime.now(UTC), flags={}, versions={},
                        tasks={"small": ""}, candidates=(candidate,), epochs=count,
                    )  # fmt: skip
                    plan = Plan(lock, concurrency=count, retries=0)
                    held = await run_plan(plan, engine, directory, lambda *_: None, Stop())
                    found = json.loads((root / name / "small/1/trajectory.json").read_text())
                    return Held(list(held.values()), found["agent"]["tool_definitions"])

                yield hold


def seconds_of_turn(result: RunResult) -> float:
    """How long a turn took, from the first reply to the last."""
    said = [step for step in result.trace if isinstance(step, ModelResponse)]
    return (said[-1].timestamp - said[0].timestamp).total_seconds() / (len(said) - 1)


async def bare(settings: ModelSettings, like: Held) -> float:
    """The same conversation with nothing but LiteLLM and a function: seconds of a turn."""
    litellm = load_litellm()
    start = next(step for step in like.results[0].trace if isinstance(step, RunStart))
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": start.system_prompt},
        {"role": "user", "content": start.task_prompt},
    ]
    at: list[float] = []
    with TemporaryDirectory() as place:
        path = anyio.Path(place, "notes.txt")
        await path.write_text(NOTES)
        while True:
            response = await litellm.acompletion(
                model=settings.model,
                api_base=settings.api_base,
                messages=messages,
                tools=like.tools,
            )
            at.append(time.perf_counter())
            said = response.choices[0].message
            messages.append(said.model_dump(exclude_none=True))
            (call,) = said.tool_calls
            if call.function.name == "submit":
                return (at[-1] - at[0]) / (len(at) - 1)
            content = await path.read_text()
            messages.append({"role": "tool", "tool_call_id": call.id, "content": content})


async def overhead(turns: int, rounds: int, backend: Backend) -> dict[str, float]:
    """Milliseconds of a turn: Proctor's, bare, and the median of what lies between them."""
    ours, theirs = [], []
    with model(turns) as settings:
        async with proctor(settings, backend) as hold:
            for number in range(rounds + 1):
                held = await hold(1)
                without = await bare(settings, held)
                if number:  # the first warms both up
                    ours.append(1000 * seconds_of_turn(held.results[0]))
                    theirs.append(1000 * without)
    added = statistics.median(o - t for o, t in zip(ours, theirs, strict=True))
    return {"proctor": statistics.median(ours), "bare": statistics.median(theirs), "added": added}


async def throughput(
    turns: int, sessions: int, delay_s: float, backend: Backend
) -> dict[str, float]:
    """Turns a second of many sessions at once, and what the model allows."""
    with model(turns, delay_s) as settings:
        async with proctor(settings, backend) as hold:
            before = time.process_time()
            held = await hold(sessions)
            cpu_s = time.process_time() - before
    graded = sum(result.evaluation is not None for result in held.results)
    assert graded == sessions, [result.error for result in held.results]  # noqa: S101
    turn_s = statistics.mean(map(seconds_of_turn, held.results))
    return {
        "turns_per_s": sessions / turn_s,
        "bound": sessions / delay_s,
        "ratio": delay_s / turn_s,
        "cpu_ms_per_turn": 1000 * cpu_s / (sessions * turns),
    }


async def measure(chosen: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Take both measures, and print each as it comes."""
    load_litellm()
    backend = open_plain if bubblewrap_problem() else open_bubblewrap
    turn = await overhead(chosen.turns, chosen.rounds, backend)
    print("a turn: {proctor:.1f} ms, bare {bare:.1f} ms, added {added:.1f} ms".format(**turn),
          f"(aim: <= {AIM_MS:g} ms)", flush=True)  # fmt: skip
    many = await throughput(chosen.turns, chosen.sessions, chosen.delay, backend)
    said = "{turns_per_s:.1f} turns/s of {bound:.1f} that the model allows, ratio {ratio:.2f}"
    cpu = f"{many['cpu_ms_per_turn']:.1f} ms of CPU per turn"
    print(f"{chosen.sessions} sessions at once, {chosen.delay:g} s a reply:", said.format(**many),
          f"(aim: >= {AIM_RATIO:g}); {cpu}")  # fmt: skip
    return {"turn": turn, "at_once": many}


def main() -> None:
    """Measure."""
    if sys.argv[1:2] == ["--model"]:
        serve_model(int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
        return
    os.environ.setdefault("OPENAI_API_KEY", "none")  # litellm sends none without one
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--turns", type=int, default=20, help="of a session")
    parser.add_argument("--sessions", type=int, default=64, help="at once")
    parser.add_argument(
        "--delay", type=float, default=2.0, help="seconds until the model replies, on average"
    )
    parser.add_argument("--json", type=Path, default=Path("runs-benchmark.json"))
    chosen = parser.parse_args()
    machine = {"cpus": os.cpu_count(), "platform": platform.platform(),
               "python": sys.version.split()[0], "load": os.getloadavg()[0]}  # fmt: skip
    figures = anyio.run(measure, chosen)
    chosen.json.write_text(json.dumps({"machine": machine, **figures}, indent=2))
    print(f"{machine}\nwritten to {chosen.json}")


if __name__ == "__main__":
    main()
