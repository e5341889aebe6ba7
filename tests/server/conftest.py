"""A server with the mini task, reached over real HTTP on loopback."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastmcp import Client
from fastmcp.client.auth import BearerAuth
from fastmcp.client.transports import StreamableHttpTransport

from proctor.sandbox_backends.base import Backend
from proctor.schemas.feedback import Feedback
from proctor.server.http import build_app
from proctor.server.listen import bind, listening
from proctor.server.sessions import Sessions
from proctor.server.terms import Terms
from proctor.tasks.catalog import Catalog

OWNER_TOKEN = "owner-token"  # noqa: S105 - opens nothing but these tests


class Server:
    """A running server, as its clients see it."""

    def __init__(self, url: str, sessions: Sessions, records: Path) -> None:
        self.url = url
        self.sessions = sessions
        self.records = records

    def client(self, token: str = OWNER_TOKEN, **options: Any) -> Client[Any]:
        transport = StreamableHttpTransport(f"{self.url}/mcp", auth=BearerAuth(token))
        return Client(transport, timeout=120, **options)

    def owner(self, token: str | None = OWNER_TOKEN) -> httpx2.AsyncClient:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx2.AsyncClient(base_url=self.url, headers=headers, timeout=120)

    async def ticket(self, **request: Any) -> dict[str, Any]:
        async with self.owner() as http:
            response = await http.post("/sessions", json={"task_id": "mini", **request})
        assert response.status_code == 201, response.text
        ticket: dict[str, Any] = response.json()
        return ticket

    async def record(self, session_id: str) -> dict[str, Any]:
        async with self.owner() as http:
            found: dict[str, Any] = (await http.get(f"/sessions/{session_id}")).json()
        return found


Serving = Callable[..., AbstractAsyncContextManager[Server]]


@pytest.fixture
def serving(mini_task: Path, tmp_path: Path, any_backend: Backend) -> Serving:
    @asynccontextmanager
    async def serve(
        feedback: str | None = None,
        tasks: Path | None = None,
        backend: Backend = any_backend,
        catalog: Catalog | None = None,
        wait_s: float = 45.0,
    ) -> AsyncGenerator[Server]:
        records = tmp_path / "records"
        policy = Feedback.written(feedback) if feedback else None
        terms = Terms(feedback=policy, otherwise=Feedback(after="score"), wait_s=wait_s)
        listener = bind("127.0.0.1", 0)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        offered = catalog or Catalog([tasks or mini_task.parent])
        async with Sessions.serving(offered, backend, records, terms) as sessions:
            app = build_app(sessions, owner_token=OWNER_TOKEN)
            async with listening(app, listener):
                yield Server(url, sessions, records)

    return serve
