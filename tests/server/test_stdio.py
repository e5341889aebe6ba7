"""The server as a desktop client starts it: a child process on stdin and stdout."""

import json
import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
from fastmcp import Client
from fastmcp.client.transports import StdioTransport

ERAS = pytest.mark.parametrize("era", ["auto", "legacy"])


@pytest.fixture
def serve(proctor_command: list[str], mini_task: Path, tmp_path: Path) -> Any:
    def make(*options: str) -> list[str]:
        places = ["--data", str(tmp_path / "data"), "--tasks", str(mini_task.parent)]
        return [*proctor_command, "serve", *places, *options]

    return make


def client_of(command: list[str], era: str = "auto") -> Client[Any]:
    transport = StdioTransport(command[0], command[1:], cwd="/", keep_alive=False)
    return Client(transport, timeout=60, mode=era)  # type: ignore[arg-type]


async def call(client: Any, tool: str, **arguments: Any) -> str:
    result = await client.call_tool(tool, arguments)
    return str(result.content[0].text)


def records(tmp_path: Path) -> list[dict[str, Any]]:
    found = (tmp_path / "data" / "sessions").glob("*/session.json")
    return [json.loads(path.read_text()) for path in sorted(found)]


@ERAS
async def test_a_desktop_client_sits_an_exam(serve: Any, tmp_path: Path, era: str) -> None:
    async with client_of(serve(), era) as client:
        assert len(await client.list_tools()) == 13
        assert "mend it" in await call(client, "start_task", task_id="mini")
        assert "stats.py" in await call(client, "list_files")
        told = await call(client, "submit", answer="done")
        assert "Score: 0 of the 10 points graded" in told
    (record,) = records(tmp_path)
    assert record["state"] == "graded"


async def test_a_process_bound_to_a_task_opens_it_at_once(serve: Any, tmp_path: Path) -> None:
    async with client_of(serve("--task", "mini", "--feedback", "none/none")) as client:
        assert len(await client.list_tools()) == 10
        assert "mend it" in await call(client, "status")
        assert "out of sight" in await call(client, "submit", answer="")
    (record,) = records(tmp_path)
    assert record["task_id"] == "mini"


async def test_at_the_end_of_input_an_open_session_is_kept_and_abandoned(
    serve: Any, tmp_path: Path
) -> None:
    async with client_of(serve()) as client:
        await call(client, "start_task", task_id="mini")
        await call(client, "write_file", path="half.txt", content="half done")
    (record,) = records(tmp_path)
    assert record["state"] == "abandoned"
    copy = Path(record["directory"]) / "submission" / "workspace" / "half.txt"
    assert copy.read_text() == "half done"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_server_and_keeps_the_open_session(
    serve: Any, tmp_path: Path, number: signal.Signals
) -> None:
    async with await anyio.open_process(serve("--task", "mini"), stderr=subprocess.PIPE) as process:
        assert process.stderr
        with anyio.fail_after(60):
            said = b""
            while b"sessions are kept" not in said:
                said += await process.stderr.receive()
            while not records(tmp_path):
                await anyio.sleep(0.05)
            await anyio.sleep(0.2)
            process.send_signal(number)
            assert await process.wait() == 128 + number
    (record,) = records(tmp_path)
    assert record["state"] == "abandoned"


async def test_a_killed_server_has_lost_no_acknowledged_event_and_leaves_nothing_running(
    serve: Any, tmp_path: Path, processes: Any
) -> None:
    marker = f"left-{tmp_path}"
    command = serve()
    transport = StdioTransport(command[0], command[1:], keep_alive=False)
    with suppress(Exception):  # the client's own, once its server is gone
        async with Client(transport, timeout=30) as client:
            await call(client, "start_task", task_id="mini")
            await call(
                client, "bash_exec", command=f"setsid bash -c 'exec -a {marker} sleep 300' &"
            )
            await call(client, "write_file", path="f.txt", content="acknowledged")
            await processes.appear(marker)
            (server,) = processes.marked(str(tmp_path / "data"))
            os.kill(int(server.name), signal.SIGKILL)
            await call(client, "status")
    await processes.vanish(marker)
    (place,) = (tmp_path / "data" / "sessions").iterdir()
    events = [json.loads(line) for line in (place / "transcript.jsonl").read_text().splitlines()]
    assert events[-1]["type"] == "tool_result"
    assert events[-2]["data"]["arguments"]["content"] == "acknowledged"


async def test_an_unknown_task_is_a_usage_error(serve: Any) -> None:
    result = await anyio.run_process(serve("--task", "nope"), check=False)
    assert result.returncode == 2
    assert b"there is no task 'nope'; the catalog has: mini" in result.stderr
    assert result.stdout == b""
