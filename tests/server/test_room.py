"""More sessions than the server's process may open files for."""

import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from fastmcp import Client
from fastmcp.client.auth import BearerAuth
from fastmcp.client.transports import StreamableHttpTransport

TOKEN = "owner-token"  # noqa: S105 - opens nothing but these tests


async def test_a_server_short_of_open_files_refuses_the_next_session_and_harms_none(
    proctor_command: list[str], mini_task: Path, tmp_path: Path
) -> None:
    """Two have room; without a limit of sessions, a dozen would fail all together."""
    command = [
        "sh", "-c", 'ulimit -n 116; exec "$@"', "sh", *proctor_command, "serve", "--http",
        "--port", "0", "--tasks", str(mini_task), "--data", str(tmp_path / "data"),
        "--backend", "none",
    ]  # fmt: skip
    environment = {**os.environ, "PROCTOR_TOKEN": TOKEN}
    async with await anyio.open_process(command, stderr=subprocess.PIPE, env=environment) as server:
        assert server.stderr
        said = ""
        with anyio.fail_after(60):
            while "room for 2 sessions at once, as 116 open files" not in said:
                said += (await server.stderr.receive()).decode()
        try:
            base = re.search(r"MCP endpoint +(\S+)/mcp", said)
            assert base
            await _fill(base[1])
        finally:
            server.send_signal(signal.SIGINT)
        with anyio.fail_after(30):
            assert await server.wait() == 0


async def _fill(base: str) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx2.AsyncClient(base_url=base, headers=headers, timeout=60) as http:
        responses: list[httpx2.Response] = []

        async def ask() -> None:
            responses.append(await http.post("/sessions", json={"task_id": "mini"}))

        async with anyio.create_task_group() as tasks:
            for _ in range(12):
                tasks.start_soon(ask)
        tickets = [response.json() for response in responses if response.status_code == 201]
        for response in responses:
            if response.status_code == 503:
                assert response.headers["Retry-After"]
                assert "2 sessions are open, as many as 116 open files allow" in response.text
                assert "ulimit -n" in response.text
        assert {response.status_code for response in responses} == {201, 503}
        assert len(tickets) == 2
        for ticket in tickets:
            transport = StreamableHttpTransport(ticket["url"], auth=BearerAuth(ticket["token"]))
            async with Client(transport, timeout=60) as client:
                assert "report.json" not in str(await client.call_tool("list_files", {}))
        await http.delete(f"/sessions/{tickets[0]['session_id']}")
        assert (await http.post("/sessions", json={"task_id": "mini"})).status_code == 201


async def test_a_session_that_was_handed_in_makes_room_while_it_waits_for_its_grade(
    serving: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proctor.server.room.FILES_OF_SESSION", 1 << 30)  # room for one
    async with serving() as server:
        ticket = await server.ticket()
        async with server.owner() as http:
            assert (await http.post("/sessions", json={"task_id": "mini"})).status_code == 503
            async with server.client(ticket["token"]) as client:
                await client.call_tool("submit", {"answer": "done"})
            assert (await http.post("/sessions", json={"task_id": "mini"})).status_code == 201
