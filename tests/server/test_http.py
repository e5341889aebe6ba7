"""Who may do what over HTTP."""

from typing import Any

import anyio
import pytest


@pytest.mark.parametrize("token", [None, "wrong", "owner-token2", "owner-toke", "ä"])
async def test_nobody_gets_in_without_a_token(serving: Any, token: str | None) -> None:
    async with serving() as server:
        headers = {} if token is None else {"Authorization": f"Bearer {token}".encode()}
        async with server.owner(None) as http:
            for method, path in (
                ("POST", "/mcp"), ("GET", "/mcp"), ("POST", "/sessions"), ("GET", "/sessions"),
                ("GET", "/sessions/x"), ("DELETE", "/sessions/x"), ("POST", "/s/wrong/mcp"),
                ("GET", "/nope"),
            ):  # fmt: skip
                response = await http.request(method, path, headers=headers, json={})
                assert response.status_code == 401, (method, path)
                assert response.headers["WWW-Authenticate"] == "Bearer"


async def test_health_needs_no_token(serving: Any) -> None:
    async with serving() as server, server.owner(None) as http:
        assert (await http.get("/health")).json()["status"] == "ok"


@pytest.mark.parametrize(
    ("header", "value", "status"),
    [("Host", "evil.example", 421), ("Origin", "http://evil.example", 403),
     ("Host", "127.0.0.1.evil.example", 421)],
)  # fmt: skip
async def test_foreign_hosts_and_origins_are_refused_everywhere(
    serving: Any, header: str, value: str, status: int
) -> None:
    async with serving() as server, server.owner() as http:
        for method, path in (("POST", "/mcp"), ("GET", "/sessions"), ("GET", "/health")):
            response = await http.request(method, path, headers={header: value})
            assert response.status_code == status, path


async def test_a_sessions_token_is_no_owners_token(serving: Any) -> None:
    async with serving() as server:
        ticket = await server.ticket()
        async with server.owner(ticket["token"]) as http:
            session = f"/sessions/{ticket['session_id']}"
            for method, path in (
                ("POST", "/sessions"), ("GET", "/sessions"), ("GET", session), ("DELETE", session)
            ):  # fmt: skip
                response = await http.request(method, path, json={"task_id": "mini"})
                assert response.status_code == 403, (method, path)
                assert "owner" in response.json()["error"]


@pytest.mark.parametrize(
    ("request_body", "status", "message"),
    [
        ({"task_id": "nope"}, 404, "no task 'nope'"),
        ({}, 422, "task_id"),
        ({"task_id": "mini", "colour": 1}, 422, "colour"),
        ({"task_id": "mini", "label": "../x"}, 422, "label"),
        ({"task_id": "mini", "label": "/etc/x"}, 422, "label"),
        ({"task_id": "mini", "label": "a/.hidden"}, 422, "label"),
        ("mini", 422, "no session request: the body"),
    ],
)
async def test_a_bad_session_request_says_what_is_wrong(
    serving: Any, request_body: object, status: int, message: str
) -> None:
    async with serving() as server, server.owner() as http:
        response = await http.post("/sessions", json=request_body)
        assert response.status_code == status
        assert message in response.json()["error"]
        assert not server.sessions.all()


async def test_a_body_that_is_not_json_is_refused(serving: Any) -> None:
    async with serving() as server, server.owner() as http:
        json_type = {"Content-Type": "application/json"}
        response = await http.post("/sessions", content=b"\xff", headers=json_type)
        assert response.status_code == 422


async def test_a_label_is_taken_once(serving: Any) -> None:
    async with serving() as server, server.owner() as http:
        request = {"task_id": "mini", "label": "mine"}
        assert (await http.post("/sessions", json=request)).status_code == 201
        again = await http.post("/sessions", json=request)
        assert again.status_code == 409
        assert "exists" in again.json()["error"]


async def test_the_owner_sees_and_abandons_every_session(serving: Any) -> None:
    async with serving() as server:
        tickets = [await server.ticket() for _ in range(2)]
        async with server.owner() as http:
            listed = (await http.get("/sessions")).json()
            assert [record["session_id"] for record in listed] == [
                ticket["session_id"] for ticket in tickets
            ]
            assert all(record["state"] == "open" for record in listed)
            assert not any(ticket["token"] in str(listed) for ticket in tickets)
            gone = await http.delete(f"/sessions/{tickets[0]['session_id']}")
            assert gone.json()["state"] == "abandoned"
            assert (await http.get("/sessions/nope")).status_code == 404


@pytest.mark.parametrize("until", ["handed_in", "settled"])
async def test_the_owner_may_wait_for_a_later_state(serving: Any, until: str) -> None:
    """Asked before the session ends, and answered after it."""
    told: list[str] = []
    async with serving() as server, server.owner() as http:
        path = f"/sessions/{(await server.ticket())['session_id']}"
        asked = anyio.Event()

        async def ask(_: Any) -> None:
            asked.set()

        async def wait() -> None:
            async with server.owner() as waiting:
                waiting.event_hooks["request"].append(ask)
                told.append((await waiting.get(path, params={"until": until})).json()["state"])

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await asked.wait()
            assert (await http.get(path)).json()["state"] == "open"
            assert not told
            await http.delete(path)
        assert told == ["abandoned"]
        assert (await http.get(path, params={"until": until})).json()["state"] == "abandoned"


async def test_a_wait_ends_though_nothing_happens(
    serving: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proctor.server.http.WAIT_S", 0.01)
    async with serving() as server, server.owner() as http:
        path = f"/sessions/{(await server.ticket())['session_id']}"
        waited = await http.get(path, params={"until": "settled"})
        assert (waited.status_code, waited.json()["state"]) == (200, "open")
        wrong = await http.get(path, params={"until": "doomsday"})
        assert wrong.status_code == 422
        assert "until=doomsday: give handed_in or settled" in wrong.json()["error"]


async def test_a_client_that_vanishes_in_the_middle_of_its_request_is_no_error_of_the_server(
    serving: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving() as server, server.owner() as http:
        token = (await server.ticket())["token"]
        for path in ("/mcp", f"/s/{token}/mcp", "/sessions"):
            head = (
                f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer owner-token\r\n"
                "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
                "MCP-Protocol-Version: 2026-07-28\r\nContent-Length: 1000\r\n\r\n{"
            )
            port = int(server.url.rpartition(":")[2])
            async with await anyio.connect_tcp("127.0.0.1", port) as vanishing:
                await vanishing.send(head.encode())
                await http.get("/health")  # so that the server has begun with it
            for _ in range(5):
                await http.get("/health")
    assert not caplog.records
