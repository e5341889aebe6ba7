"""A session end to end, as MCP clients and the owner see it, over real HTTP."""

import io
import json
import shutil
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import anyio
import pytest
from fastmcp import Client
from fastmcp.exceptions import ToolError
from mcp.shared.exceptions import MCPError

from proctor.sandbox_backends.base import Sandbox
from proctor.sandbox_backends.gpus import GpuPool, on_gpus
from proctor.sandbox_backends.local import open_plain
from proctor.sandbox_backends.nvml import Gpu
from proctor.schemas.errors import SandboxError, SessionError
from proctor.schemas.sandbox import Overrides, SandboxSpec

WORK_TOOLS = [
    "read_file", "write_file", "edit_file", "list_files", "run_python", "bash_exec",
    "job_output", "job_stop", "status", "check_submission", "submit",
]  # fmt: skip
ONE_GPU = Gpu(uuid="GPU-a", name="", memory_free_bytes=0, memory_bytes=0)
ERAS = pytest.mark.parametrize("era", ["auto", "legacy"])
PNG = (
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\6\0\0\0\x1f\x15\xc4\x89\0\0\0\rIDATx\x9cc"
    b"\xf8\xcf\xc0\xf0\x1f\0\5\0\1\xff\x89\x99=\x1d\0\0\0\0IEND\xaeB`\x82"
)


def text(result: Any) -> str:
    assert len(result.content) <= 1
    return str(result.content[0].text) if result.content else ""


async def call(client: Any, tool: str, **arguments: Any) -> str:
    return text(await client.call_tool(tool, arguments))


async def refused(client: Any, tool: str, **arguments: Any) -> str:
    with pytest.raises(ToolError) as caught:
        await client.call_tool(tool, arguments)
    return str(caught.value)


async def solve(client: Any, mini_task: Path) -> None:
    solution = mini_task / "solution" / "workspace"
    for path in solution.rglob("*"):
        if path.is_file():
            relative = path.relative_to(solution).as_posix()
            await call(client, "write_file", path=relative, content=path.read_text())


@ERAS
async def test_a_client_works_a_task_from_list_to_grade(
    serving: Any, mini_task: Path, era: str
) -> None:
    async with serving() as server, server.client(mode=era) as client:
        tools = [tool.name for tool in await client.list_tools()]
        assert tools == [*WORK_TOOLS, "list_tasks", "start_task"]
        assert await call(client, "list_tasks") == (
            "mini: A mean that is off. A team's average looks odd."
        )
        briefing = await call(client, "start_task", task_id="mini")
        assert "mend it" in briefing
        assert "Workspace: " in briefing
        await solve(client, mini_task)
        receipt = await call(client, "submit", answer="the mean")
        assert "Score: 9 of the 9 points graded (100% of those); 1 more need a judge." in receipt
        assert await call(client, "submit", answer="again") == receipt
        assert await call(client, "status") == receipt


@ERAS
async def test_a_client_with_a_sessions_token_is_bound_to_its_task(serving: Any, era: str) -> None:
    async with serving() as server:
        ticket = await server.ticket()
        async with server.client(ticket["token"], mode=era) as client:
            assert [tool.name for tool in await client.list_tools()] == [
                tool for tool in WORK_TOOLS if tool != "check_submission"
            ]
            assert "bound to the task 'mini'" in await refused(client, "start_task", task_id="mini")
            assert "mend it" in await call(client, "status")
            await call(client, "submit", answer="done")
        record = await server.record(ticket["session_id"])
        assert record["state"] == "graded"
        assert record["submission"]["answer"] == "done"
        assert record["grade"]["score"] == 0


async def test_a_token_in_the_path_serves_clients_that_cannot_send_headers(serving: Any) -> None:
    async with serving() as server:
        ticket = await server.ticket()
        async with Client(ticket["url_with_token"]) as client:
            assert await call(client, "list_files") == "[DIR] data\nstats.py"


@pytest.mark.parametrize(
    ("after", "seen", "unseen"),
    [
        ("none", "graded out of sight", "Score"),
        ("score", "Score: 0 of the 10 points graded", "robust"),
        ("full", "one extreme value moved the centre", "zzz"),
    ],
)
async def test_the_agent_is_told_what_the_policy_allows(
    serving: Any, after: str, seen: str, unseen: str
) -> None:
    async with serving(f"none/{after}") as server:
        ticket = await server.ticket()
        async with server.client(ticket["token"]) as client:
            told = await call(client, "submit", answer="")
        assert seen in told
        assert unseen not in told
        assert "one extreme value" in json.dumps(await _graded(server, ticket["session_id"]))


async def _graded(server: Any, session_id: str) -> dict[str, Any]:
    with anyio.fail_after(60):
        await server.sessions.with_id(session_id).settled.wait()
    record: dict[str, Any] = await server.record(session_id)
    assert record["state"] == "graded"
    return record


async def test_the_file_tools_do_what_they_say(serving: Any) -> None:
    async with serving() as server:
        ticket = await server.ticket()
        async with server.client(ticket["token"]) as client:
            wrote = await call(client, "write_file", path="a/b.txt", content="one\ntwo\nthree\n")
            assert wrote == "Successfully wrote to a/b.txt (14 bytes)"
            assert await call(client, "read_file", path="a/b.txt") == "one\ntwo\nthree\n"
            assert await call(client, "read_file", path="a/b.txt", offset=2, limit=1) == "two\n"
            assert "line 2" in await call(client, "edit_file", path="a/b.txt", old="two", new="2")
            assert await call(client, "read_file", path="a/b.txt") == "one\n2\nthree\n"
            assert "occurs 3 times" in await refused(
                client, "edit_file", path="a/b.txt", old="e", new="x"
            )
            assert await call(client, "list_files", path="a") == "b.txt"
            assert await call(client, "list_files") == "[DIR] a\n[DIR] data\nstats.py"
            await call(client, "write_file", path="empty", content="")
            assert await call(client, "read_file", path="empty") == ""
            await call(client, "write_file", path="ü.txt", content="世界 🌍")
            assert await call(client, "read_file", path="ü.txt") == "世界 🌍"


async def test_a_long_file_says_where_to_read_on(serving: Any) -> None:
    async with serving() as server:
        ticket = await server.ticket()
        async with server.client(ticket["token"]) as client:
            lines = "".join(f"line {number:06}\n" for number in range(1, 40_001))
            await call(client, "write_file", path="long", content=lines)
            first = await call(client, "read_file", path="long")
            assert "Read on with offset=16667" in first
            assert (await call(client, "read_file", path="long", offset=40_000)) == "line 040000\n"
            await call(client, "write_file", path="wide", content="x" * 100_000)
            assert await call(client, "read_file", path="wide") == "x" * 100_000


async def test_an_image_comes_back_as_an_image(serving: Any) -> None:
    async with serving() as server:
        ticket = await server.ticket()
        async with server.client(ticket["token"]) as client:
            session = server.sessions.with_id(ticket["session_id"])
            sandbox = await session.open_sandbox()
            await sandbox.write("plot.png", io.BytesIO(PNG))
            result = await client.call_tool("read_file", {"path": "plot.png"})
    assert (result.content[0].type, result.content[0].mime_type) == ("image", "image/png")


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", "/workspace/../etc/passwd"])
async def test_a_path_outside_the_workspace_is_refused_naming_it(serving: Any, path: str) -> None:
    async with serving() as server:
        ticket = await server.ticket()
        async with server.client(ticket["token"]) as client:
            for tool, more in (
                ("read_file", {}),
                ("write_file", {"content": "x"}),
                ("edit_file", {"old": "a", "new": "b"}),
                ("list_files", {}),
            ):
                message = await refused(client, tool, path=path, **more)
                assert f"{path!r} is outside the workspace" in message
            assert "outside" in await refused(client, "run_python", script_path=path)
            assert "outside" in await refused(client, "bash_exec", command="true", cwd=path)


async def test_absolute_paths_below_the_workspace_are_fine(serving: Any) -> None:
    async with serving() as server:
        ticket = await server.ticket()
        async with server.client(ticket["token"]) as client:
            workdir = (await call(client, "bash_exec", command="pwd")).splitlines()[1]
            assert "centre" in await call(client, "read_file", path=f"{workdir}/stats.py")


async def test_commands_report_as_afterquerys_tools_did(serving: Any) -> None:
    async with serving() as server:
        ticket = await server.ticket()
        async with server.client(ticket["token"]) as client:
            said = await call(client, "bash_exec", command="echo out; echo err >&2; exit 3")
            assert said == "STDOUT:\nout\n\nSTDERR:\nerr\n\nReturn code: 3"
            said = await call(client, "bash_exec", command="sleep 30", timeout=1)
            assert said.startswith("Command timed out after 1s")
            await call(client, "write_file", path="s.py", content="import os; print(os.getcwd())")
            said = await call(client, "run_python", script_path="s.py", timeout=60)
            assert said.endswith("Return code: 0")
            assert "can't open file" in await call(client, "run_python", script_path="nope.py")
            assert "greater than 0" in await refused(client, "bash_exec", command="true", timeout=0)


async def test_concurrent_clients_never_see_each_others_files(serving: Any) -> None:
    async def work(server: Any, number: int) -> None:
        ticket = await server.ticket()
        async with server.client(ticket["token"]) as client:
            for _ in range(3):
                await call(client, "write_file", path="mine.txt", content=f"client {number}")
                assert await call(client, "read_file", path="mine.txt") == f"client {number}"
                seen = await call(client, "bash_exec", command="cat mine.txt; ls")
                assert f"client {number}" in seen
            await call(client, "submit", answer=str(number))
        record = await _graded(server, ticket["session_id"])
        assert record["submission"]["answer"] == str(number)
        copy = server.records / record["label"] / "submission" / "workspace" / "mine.txt"
        assert copy.read_text() == f"client {number}"

    async with serving() as server, anyio.create_task_group() as tasks:
        for number in range(4):
            tasks.start_soon(work, server, number)


async def test_one_clients_handshake_cannot_be_used_with_anothers_token(serving: Any) -> None:
    async with serving() as server:
        one, other = await server.ticket(), await server.ticket()
        hello = {
            "jsonrpc": "2.0", "id": 1, "method": "initialize",
            "params": {"protocolVersion": "2025-06-18", "capabilities": {},
                       "clientInfo": {"name": "t", "version": "1"}},
        }  # fmt: skip
        accept = {"Accept": "application/json, text/event-stream"}
        async with server.owner(one["token"]) as http:
            response = await http.post("/mcp", json=hello, headers=accept)
            mcp_session = response.headers["mcp-session-id"]
        listing = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
        async with server.owner(other["token"]) as http:
            headers = {**accept, "Mcp-Session-Id": mcp_session}
            stolen = await http.post("/mcp", json=listing, headers=headers)
        assert stolen.status_code == 404


async def test_a_seat_holds_one_open_session_at_a_time(serving: Any) -> None:
    async with serving() as server, server.client() as client:
        assert "call list_tasks" in await refused(client, "read_file", path="x")
        await call(client, "start_task", task_id="mini")
        assert "is open here" in await refused(client, "start_task", task_id="mini")
        await call(client, "submit", answer="")
        assert "Workspace" in await call(client, "start_task", task_id="mini")
        await call(client, "submit", answer="")
        assert "no task 'nope'" in await refused(client, "start_task", task_id="nope")


async def test_a_bound_client_learns_of_no_other_task(
    serving: Any, mini_task: Path, task_with: Any
) -> None:
    other = (mini_task / "task.toml").read_text().replace('id = "mini"', 'id = "other-task"')
    task_with({"task.toml": other})
    async with serving() as server:
        ticket = await server.ticket()
        async with server.client(ticket["token"]) as client:
            seen = [
                await call(client, "list_tasks"),
                str(await client.read_resource("task://catalog")),
            ]
            for task_id in ("other-task", "no-such-task"):
                with pytest.raises(MCPError) as caught:
                    await client.read_resource(f"task://{task_id}")
                seen.append(str(caught.value).replace(task_id, "X"))
                with pytest.raises(ToolError):
                    await client.call_tool("start_task", {"task_id": task_id})
        assert seen[2] == seen[3]
        assert "other-task" not in "".join(seen)


async def test_an_earlier_grade_can_still_be_seen_after_the_next_task_has_started(
    serving: Any,
) -> None:
    async with serving() as server, server.client() as client:
        await call(client, "start_task", task_id="mini")
        await call(client, "submit", answer="first")
        await call(client, "start_task", task_id="mini")
        shown = await call(client, "status")
        assert "Left:" in shown
        assert "Earlier, mini: Handed in" in shown
        assert "Score: 0 of the 10 points graded" in shown


async def test_a_receipt_names_the_answer_as_well_as_the_files(serving: Any) -> None:
    receipts: list[str] = []
    async with serving("none/none") as server:
        for answer in ("one", "two"):
            ticket = await server.ticket()
            async with server.client(ticket["token"]) as client:
                receipts.append(await call(client, "submit", answer=answer))
    assert receipts[0] != receipts[1]


async def test_a_failed_submission_near_the_deadline_does_not_make_a_session_immortal(
    serving: Any, task_with: Any, mini_task: Path
) -> None:
    small = (mini_task / "task.toml").read_text()
    small = small.replace("[limits]", "[sandbox]\nworkspace_bytes = 1000000\n[limits]")
    small = small.replace("time_s = 600", "time_s = 8")
    async with serving(tasks=task_with({"task.toml": small}), backend=open_plain) as server:
        ticket = await server.ticket()
        async with server.client(ticket["token"]) as client:
            fill = "for n in 1 2 3; do head -c 900000 /dev/zero > big$n; done"
            await call(client, "bash_exec", command=fill)
            with anyio.fail_after(30):
                while (await server.record(ticket["session_id"]))["state"] == "open":
                    await _call_or_refusal(client, "submit")
            record = await _graded(server, ticket["session_id"])
        assert "too large" in record["submission"]["problem"]
        assert {r["state"] for r in record["grade"]["results"]} == {"invalid"}


async def test_a_record_that_cannot_be_written_ends_its_session_and_no_other(serving: Any) -> None:
    async with serving() as server:
        one, other = await server.ticket(), await server.ticket()
        shutil.rmtree((await server.record(one["session_id"]))["directory"])
        async with server.client(one["token"]) as client:
            await _call_or_refusal(client, "submit")
        with anyio.fail_after(30):
            await server.sessions.with_id(one["session_id"]).settled.wait()
        async with server.client(other["token"]) as friend:
            assert "Handed in" in await call(friend, "submit", answer="")


async def test_the_budget_of_tool_calls_is_kept_and_submit_is_always_allowed(
    serving: Any, task_with: Any, mini_task: Path
) -> None:
    short = (mini_task / "task.toml").read_text().replace("tool_calls = 50", "tool_calls = 2")
    place = task_with({"task.toml": short})
    async with serving(tasks=place) as server:
        ticket = await server.ticket()
        async with server.client(ticket["token"]) as client:
            await call(client, "list_files")
            await call(client, "list_files")
            assert "budget of 2 tool calls is spent" in await refused(client, "list_files")
            assert "0 tool calls" in await call(client, "status")
            assert "Handed in" in await call(client, "submit", answer="")


async def test_a_session_past_its_deadline_is_handed_in_and_graded(
    serving: Any, task_with: Any, mini_task: Path
) -> None:
    short = (mini_task / "task.toml").read_text().replace("time_s = 600", "time_s = 8")
    place = task_with({"task.toml": short})
    async with serving(tasks=place) as server:
        ticket = await server.ticket()
        async with server.client(ticket["token"]) as client:
            await call(client, "write_file", path="kept.txt", content="in time")
            record = await _graded(server, ticket["session_id"])
            assert record["submission"]["ended_by"] == "deadline"
            assert "has ended (graded)" in await refused(client, "list_files")
        copy = server.records / record["label"] / "submission" / "workspace" / "kept.txt"
        assert copy.read_text() == "in time"


async def test_submit_refuses_new_calls_cancels_old_ones_and_kills_what_was_left(
    serving: Any, processes: Any, tmp_path: Path
) -> None:
    marker = f"left-{tmp_path}"
    left = f"setsid nohup bash -c 'exec -a {marker} sleep 300' >/dev/null 2>&1 &"
    async with serving() as server:
        ticket = await server.ticket()
        outcome: list[str] = []
        async with server.client(ticket["token"]) as client:
            await call(client, "bash_exec", command=left)
            await processes.appear(marker)

            async def long_call() -> None:
                outcome.append(await refused(client, "bash_exec", command="sleep 90; touch late"))

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(long_call)
                await _until_in_flight(server.sessions.with_id(ticket["session_id"]))
                tasks.start_soon(call, client, "submit")
                with anyio.fail_after(5):
                    while "has ended" not in (await _call_or_refusal(client, "list_files")):
                        await anyio.sleep(0.05)
        await processes.vanish(marker)
        assert "the session ended" in outcome[0]
        record = await _graded(server, ticket["session_id"])
        files = server.records / record["label"] / "submission" / "workspace"
        assert not (files / "late").exists()


async def _until_in_flight(session: Any) -> None:
    with anyio.fail_after(20):
        before = session.tool_calls
        while session.tool_calls == before:
            await anyio.sleep(0.02)


async def _call_or_refusal(client: Any, tool: str) -> str:
    result = await client.call_tool(tool, {}, raise_on_error=False)
    return text(result)


async def test_a_long_call_reports_progress(serving: Any) -> None:
    heard: list[str] = []

    async def listen(progress: float, total: float | None, message: str | None) -> None:
        del progress, total
        heard.append(message or "")

    async with serving() as server:
        ticket = await server.ticket()
        async with server.client(ticket["token"], progress_handler=listen) as client:
            await call(client, "bash_exec", command="sleep 11")
    assert heard[0] == "bash_exec has been running 10 s"


async def test_a_disconnect_does_not_stop_grading(serving: Any) -> None:
    async with serving() as server:
        ticket = await server.ticket()
        session = server.sessions.with_id(ticket["session_id"])

        async def submit() -> None:
            async with server.client(ticket["token"]) as client:
                await client.call_tool("submit", {"answer": "bye"})

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(submit)
            with anyio.fail_after(60):
                while session.state == "open":
                    await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()
        record = await _graded(server, ticket["session_id"])
        assert record["submission"]["answer"] == "bye"


@ERAS
async def test_a_cancelled_call_kills_its_command(
    serving: Any, processes: Any, tmp_path: Path, era: str
) -> None:
    marker = f"cancelled-{tmp_path}"
    async with serving() as server:
        ticket = await server.ticket()
        async with server.client(ticket["token"], mode=era) as client:

            async def run() -> None:
                await client.call_tool("bash_exec", {"command": f"exec -a {marker} sleep 300"})

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(run)
                await processes.appear(marker)
                tasks.cancel_scope.cancel()
            await processes.vanish(marker)


async def test_the_transcript_has_every_call_in_order_on_disk(serving: Any) -> None:
    async with serving() as server:
        ticket = await server.ticket(label="some/label")
        async with server.client(ticket["token"]) as client:
            await call(client, "write_file", path="f", content="x" * 30_000)
            await refused(client, "read_file", path="nope")
            await call(client, "submit", answer="fin")
        record = await _graded(server, ticket["session_id"])
        await server.sessions.with_id(ticket["session_id"]).settled.wait()
    assert record["label"] == "some/label"
    place = server.records / "some" / "label"
    events = [json.loads(line) for line in (place / "transcript.jsonl").read_text().splitlines()]
    assert [event["seq"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events] == [
        "session_opened", "tool_call", "sandbox_ready", "tool_result", "tool_call", "tool_result",
        "tool_call", "submitted", "graded", "ended",
    ]  # fmt: skip
    assert len(events[1]["data"]["arguments"]["content"]) < 21_000
    assert events[5]["data"]["is_error"]
    on_disk = json.loads((place / "session.json").read_text())
    assert on_disk["state"] == "graded"
    assert (place / "submission" / "ANSWER.md").read_text() == "fin"
    assert (place / "snapshot.tar.gz").exists()


async def test_closing_the_server_snapshots_and_abandons_what_is_open(serving: Any) -> None:
    async with serving() as server:
        ticket = await server.ticket(label="left")
        async with server.client(ticket["token"]) as client:
            await call(client, "write_file", path="f.txt", content="unfinished")
    record = json.loads((server.records / "left" / "session.json").read_text())
    assert record["state"] == "abandoned"
    assert record["grade"] is None
    copy = server.records / "left" / "submission" / "workspace" / "f.txt"
    assert copy.read_text() == "unfinished"


async def test_a_workspace_that_is_too_large_can_be_made_smaller_and_handed_in(
    serving: Any, task_with: Any, mini_task: Path
) -> None:
    small = (
        (mini_task / "task.toml")
        .read_text()
        .replace("[limits]", "[sandbox]\nworkspace_bytes = 1000000\n[limits]")
    )
    async with serving(tasks=task_with({"task.toml": small}), backend=open_plain) as server:
        ticket = await server.ticket()
        async with server.client(ticket["token"]) as client:
            fill = "for n in 1 2 3; do head -c 900000 /dev/zero > big$n; done"
            await call(client, "bash_exec", command=fill)
            assert "too large to be handed in" in await refused(client, "submit", answer="")
            await call(client, "bash_exec", command="rm big*")
            assert "Handed in" in await call(client, "submit", answer="")


async def test_a_sandbox_that_is_lost_ends_its_session_and_no_other(serving: Any) -> None:
    async with serving() as server:
        one, other = await server.ticket(), await server.ticket()
        async with server.client(one["token"]) as client, server.client(other["token"]) as friend:
            await call(client, "list_files")
            await call(friend, "list_files")
            session = server.sessions.with_id(one["session_id"])
            sandbox: Any = await session.open_sandbox()
            await sandbox._channel.post({"id": 0, "op": "no such thing"})  # noqa: SLF001 - breaks it
            with anyio.fail_after(20):
                assert "sandbox is gone" in await refused(client, "bash_exec", command="sleep 9")
                await session.settled.wait()
            assert (await server.record(one["session_id"]))["state"] == "failed"
            assert "stats.py" in await call(friend, "list_files")


async def _submit(session: Any, server: Any) -> None:
    with pytest.raises(SandboxError, match="ended before its sandbox was open"):
        await server.sessions.submit(session, "")


async def _abandon(session: Any, server: Any) -> None:
    await server.sessions.abandon(session)


async def _pass_the_deadline(session: Any, server: Any) -> None:
    del server
    await session.settled.wait()


@pytest.mark.parametrize(
    ("end", "time_s", "state"),
    [(_submit, 600, "failed"), (_abandon, 600, "abandoned"), (_pass_the_deadline, 2, "failed")],
)
async def test_a_session_that_ends_leaves_the_queue_for_its_gpu(
    serving: Any,
    task_with: Any,
    mini_task: Path,
    tmp_path: Path,
    *,
    end: Any,
    time_s: int,
    state: str,
) -> None:
    settings = (mini_task / "task.toml").read_text().replace("time_s = 600", f"time_s = {time_s}")
    tasks = task_with({"task.toml": settings.replace("[limits]", "[sandbox]\ngpus = 1\n[limits]")})
    gpus = GpuPool(lambda: [ONE_GPU], tmp_path)
    with anyio.fail_after(60):
        async with (
            gpus.lease(1),
            serving(tasks=tasks, backend=on_gpus(gpus, open_plain)) as server,
        ):
            session = server.sessions.with_id((await server.ticket())["session_id"])
            async with anyio.create_task_group() as callers:

                async def call_a_tool() -> None:
                    with pytest.raises((SandboxError, SessionError), match="ended"):
                        async with server.sessions.working(session):
                            pass

                callers.start_soon(call_a_tool)
                await anyio.wait_all_tasks_blocked()
                await end(session, server)
            await session.gone.wait()
            assert session.state == state
        async with gpus.lease(1):  # nobody is before us
            pass


async def test_grading_on_a_single_gpu_never_waits_for_itself(
    serving: Any, mini_task: Path, tmp_path: Path
) -> None:
    backend = on_gpus(GpuPool(lambda: [ONE_GPU], tmp_path), open_plain)

    def overridden(spec: SandboxSpec) -> AbstractAsyncContextManager[Sandbox]:
        return backend(Overrides(gpus=1).applied_to(spec))

    with anyio.fail_after(120):
        async with serving(backend=overridden) as server:
            ticket = await server.ticket()
            async with server.client(ticket["token"]) as client:
                await solve(client, mini_task)
                await call(client, "submit", answer="")
            assert (await _graded(server, ticket["session_id"]))["grade"]["score"] > 0
            assert (await server.record(ticket["session_id"]))["sandbox"]["gpus"] == ["GPU-a"]


async def test_resources_show_the_catalog_a_task_and_the_open_one(serving: Any) -> None:
    async with serving() as server, server.client() as client:
        catalog = json.loads((await client.read_resource("task://catalog"))[0].text)
        assert [card["id"] for card in catalog] == ["mini"]
        one = json.loads((await client.read_resource("task://mini"))[0].text)
        assert "mend it" in one["instructions"]
        with pytest.raises(MCPError, match="no task is open"):
            await client.read_resource("task://current")
        with pytest.raises(MCPError, match="no task 'nope'"):
            await client.read_resource("task://nope")
        await call(client, "start_task", task_id="mini")
        assert "mend it" in (await client.read_resource("task://current"))[0].text
        prompt = await client.get_prompt("work_on_task", {"task_id": "mini"})
        assert "start_task" in prompt.messages[0].content.text


async def test_nothing_that_an_agent_can_see_holds_the_rubric(serving: Any) -> None:
    async with serving() as server, server.client() as client:
        seen = [str(await client.list_tools()), str(await client.list_resources())]
        seen.append(await call(client, "list_tasks"))
        seen.append(await call(client, "start_task", task_id="mini"))
        seen.append(await call(client, "status"))
        resources = ("task://catalog", "task://mini", "task://current")
        seen.extend([str(await client.read_resource(uri)) for uri in resources])
        seen.append(await call(client, "bash_exec", command="find . ; env"))
    everything = "\n".join(seen)
    for secret in ("OUTLIER", "robust", "probe.py", "extreme value", "points at the mean"):
        assert secret not in everything


async def test_tools_are_annotated_and_described_to_the_agent(serving: Any) -> None:
    async with serving() as server, server.client() as client:
        tools = {tool.name: tool for tool in await client.list_tools()}
    assert tools["read_file"].annotations.read_only_hint
    assert tools["bash_exec"].annotations.destructive_hint
    assert not any(tool.annotations.open_world_hint for tool in tools.values())
    for tool in tools.values():
        assert tool.description
        assert "    " not in tool.description
        assert tool.output_schema is None
    properties = tools["run_python"].input_schema["properties"]
    assert set(properties) == {"script_path", "timeout", "args", "background"}
