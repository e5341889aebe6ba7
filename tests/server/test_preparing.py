"""Competitions that are prepared when their first session is asked for, while others go on."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
from fastmcp.exceptions import ToolError
from filelock import FileLock
from mcp.shared.exceptions import MCPError

from proctor.clients.runs.owner import Owner
from proctor.schemas.errors import TaskError
from proctor.schemas.session import SessionRequest
from proctor.tasks.catalog import Catalog
from proctor.tasks.competitions.elsewhere import prepare_elsewhere
from proctor.tasks.competitions.library import OFFLINE, Competitions

ONE = "competition/cell-samples"
OTHER = "competition/kiln-gas"


def workers() -> Iterator[int]:
    """The processes of this one that prepare, or could."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = status.read_text().rpartition(")")[2].split()[1]
            command = (status.parent / "cmdline").read_bytes()
            if parent == str(os.getpid()) and b"anyio.to_process" in command:
                yield int(status.parent.name)


def manifests(data: Path) -> list[Path]:
    return list(data.rglob("manifest.json"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def catalog(mini_task: Path, data: Path) -> Catalog:
    """The mini task, and two competitions of which none is prepared."""
    return Catalog([mini_task.parent], Competitions(data), among=[ONE, OTHER])


@pytest.fixture
def held(data: Path) -> Callable[[], FileLock]:
    """Keeps the one competition from being prepared any further."""

    def hold() -> FileLock:
        place = data / "cell-samples"
        place.mkdir(parents=True)
        lock = FileLock(place / ".lock")
        lock.acquire()
        return lock

    return hold


async def test_what_is_not_prepared_is_listed_and_nothing_is_prepared_for_that(
    serving: Any, catalog: Catalog, data: Path
) -> None:
    async with serving(catalog=catalog) as server, server.owner() as http:
        cards = {card["id"]: card for card in (await http.get("/tasks")).json()}
        assert list(cards) == [ONE, OTHER, "mini"]
        assert cards[ONE]["digest"] == ""
        assert cards["mini"]["digest"]
        async with server.client() as client:
            assert f"{ONE}: " in str(await client.call_tool("list_tasks", {}))
            told = (await client.read_resource(f"task://{ONE}"))[0].text
            assert "start_task prepares its files" in told
    assert not manifests(data)


async def test_the_first_session_prepares_a_competition_and_the_next_finds_it(
    serving: Any, catalog: Catalog, data: Path
) -> None:
    async with serving(catalog=catalog) as server:
        ticket = await server.ticket(task_id=ONE)
        (manifest,) = manifests(data)
        made_at = manifest.stat().st_mtime_ns
        digest = (await server.record(ticket["session_id"]))["task_digest"]
        assert digest == Competitions(data).task(ONE).digest()
        await server.ticket(task_id=ONE)
        assert manifest.stat().st_mtime_ns == made_at
        async with server.owner() as http:
            cards = {card["id"]: card for card in (await http.get("/tasks")).json()}
        assert cards[ONE]["digest"] == digest


async def test_what_is_not_on_offer_is_neither_told_of_nor_prepared(
    serving: Any, catalog: Catalog, data: Path
) -> None:
    async with serving(catalog=catalog.offering([OTHER])) as server, server.client() as client:
        for call in (
            client.call_tool("start_task", {"task_id": ONE}),
            client.read_resource(f"task://{ONE}"),
        ):
            with pytest.raises((ToolError, MCPError), match="is not on offer here"):
                await call
    assert not manifests(data)


async def test_others_go_on_while_a_competition_is_prepared_and_who_asks_again_waits_with_the_first(
    serving: Any, catalog: Catalog, data: Path, held: Callable[[], FileLock]
) -> None:
    tickets: list[dict[str, Any]] = []

    async with serving(catalog=catalog) as server:

        async def ask(task_id: str) -> None:
            tickets.append(await server.ticket(task_id=task_id))

        lock = held()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, ONE)
            tasks.start_soon(ask, ONE)
            with anyio.fail_after(20):
                other = await server.ticket()
                async with server.client(other["token"]) as client:
                    assert "mini" in str(await client.call_tool("status", {}))
            assert not tickets
            lock.release()
        assert len(tickets) == 2
        assert len(manifests(data)) == 1


async def test_who_asks_is_told_to_ask_again_where_it_takes_long_and_owners_do(
    serving: Any, catalog: Catalog, held: Callable[[], FileLock]
) -> None:
    async with serving(catalog=catalog, wait_s=0.05) as server:
        lock = held()
        async with server.owner() as http:
            refused = await http.post("/sessions", json={"task_id": ONE})
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert f"{ONE} is being prepared" in refused.json()["error"]
        async with server.client() as client:
            with pytest.raises(ToolError, match="ask for it again in a minute"):
                await client.call_tool("start_task", {"task_id": ONE})
        lock.release()
        async with Owner.of(server.url, "owner-token") as owner:
            with anyio.fail_after(60):
                ticket = await owner.open(SessionRequest(task_id=ONE))
        assert (await server.record(ticket.session_id))["task_id"] == ONE


async def test_what_cannot_be_prepared_is_said_to_who_asks_each_time_and_leaves_nothing(
    serving: Any, tmp_path: Path, mini_task: Path, data: Path
) -> None:
    own = tmp_path / "own" / "cell-samples"
    shutil.copytree(OFFLINE / "cell-samples", own)
    declared = own / "competition.toml"
    declared.write_text(declared.read_text().replace("seed = 20261101", "seed = 1"))
    library = Competitions(data, [own.parent])
    async with serving(catalog=Catalog([mini_task.parent], library, [ONE])) as server:
        for _ in range(2):
            async with server.owner() as http:
                refused = await http.post("/sessions", json={"task_id": ONE})
            assert refused.status_code == 404
            assert "not those that its leaderboard was made with" in refused.json()["error"]
        assert (await server.ticket())["session_id"]
    assert [path.name for path in (data / "cell-samples").iterdir()] == [".lock"]


async def test_a_server_that_closes_does_not_wait_for_what_it_prepares(
    serving: Any, catalog: Catalog, data: Path, held: Callable[[], FileLock]
) -> None:
    with anyio.fail_after(30):
        async with serving(catalog=catalog, wait_s=0.05) as server:
            lock = held()
            async with server.owner() as http:
                assert (await http.post("/sessions", json={"task_id": ONE})).status_code == 503
    lock.release()
    assert not manifests(data)


async def test_a_process_that_dies_while_it_prepares_is_said_so_and_another_may(
    data: Path, held: Callable[[], FileLock]
) -> None:
    others = {*workers()}  # of tests before

    async def kill() -> None:
        with anyio.fail_after(30):
            while not (found := {*workers()} - others):
                await anyio.sleep(0.02)
        os.kill(found.pop(), signal.SIGKILL)

    library, lock = Competitions(data), held()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(kill)
        with pytest.raises(TaskError, match=f"{ONE} cannot be prepared: the process .* died"):
            await prepare_elsewhere(library, ONE)
    lock.release()
    await prepare_elsewhere(library, ONE)
    assert library.is_prepared(ONE)
