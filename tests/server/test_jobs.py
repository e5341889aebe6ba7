"""Commands that outlive one call, as an agent meets them."""

import re
from pathlib import Path
from typing import Any

import pytest
from fastmcp.exceptions import ToolError


@pytest.fixture
def hasty(mini_task: Path) -> Path:
    """The mini task, whose commands go on as jobs after half a second."""
    toml = mini_task / "task.toml"
    toml.write_text(f"{toml.read_text()}\n[sandbox]\nforeground_s = 0.5\n")
    return mini_task.parent


async def call(client: Any, tool: str, **arguments: Any) -> str:
    result = await client.call_tool(tool, arguments)
    return str(result.content[0].text)


async def test_a_long_command_goes_on_as_a_job_and_says_so(serving: Any, hasty: Path) -> None:
    async with serving(tasks=hasty) as server:
        ticket = await server.ticket()
        async with server.client(ticket["token"]) as client:
            slow = "echo begun; until [ -e go ]; do sleep 0.05; done; echo done; exit 4"
            said = await call(client, "bash_exec", command=slow)
            assert "begun" in said
            assert "still runs, as job 1" in said
            assert "Running: job 1" in await call(client, "status")
            assert "Job 1 still runs" in await call(client, "job_output", job=1)
            await call(client, "bash_exec", command="touch go")
            said = await call(client, "job_output", job=1, wait=45)
            assert "has ended with return code 4" in said
            assert said.endswith("begun\ndone\n")
            assert "Running" not in await call(client, "status")


async def test_a_job_can_be_started_paged_and_stopped(serving: Any) -> None:
    script = "import sys, time\nprint('x' * 100_000, sys.argv[1], flush=True)\ntime.sleep(300)\n"
    async with serving() as server:
        ticket = await server.ticket()
        async with server.client(ticket["token"]) as client:
            await call(client, "write_file", path="s.py", content=script)
            said = await call(
                client, "run_python", script_path="s.py", args=["hello"], background=True
            )
            assert "as job 1" in said
            text = ""
            while "hello" not in text:
                text = await call(client, "job_output", job=1)
            page = await call(client, "job_output", job=1, offset=0)
            following = re.search(r"offset (\d+) shows what follows", page)
            assert following
            rest = await call(client, "job_output", job=1, offset=int(following[1]))
            assert f"bytes {following[1]} to" in rest
            assert "Job 1 was stopped" in await call(client, "job_stop", job=1)
            assert "Job 1 was stopped" in await call(client, "job_stop", job=1)
            with pytest.raises(ToolError, match="there is no job 7"):
                await call(client, "job_output", job=7)


async def test_a_timeout_shorter_than_the_foreground_kills(serving: Any) -> None:
    async with serving() as server:
        ticket = await server.ticket()
        async with server.client(ticket["token"]) as client:
            said = await call(client, "bash_exec", command="echo hi; sleep 300", timeout=1)
            assert said.startswith("Command timed out after 1s; all its processes were killed")
            assert "Running" not in await call(client, "status")


async def test_jobs_are_over_when_the_work_is_handed_in(
    serving: Any, processes: Any, tmp_path: Path
) -> None:
    marker = f"job-{tmp_path.name}"
    async with serving() as server:
        ticket = await server.ticket()
        async with server.client(ticket["token"]) as client:
            command = f"exec -a {marker} sleep 300"
            await call(client, "bash_exec", command=command, background=True)
            await processes.appear(marker)
            await call(client, "submit", answer="done")
            await processes.vanish(marker)
