"""The owner's side of a server: opening sessions and reading their records, over HTTP."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import httpx2

from proctor.schemas.errors import SessionError
from proctor.schemas.session import SessionRecord, SessionRequest, SessionTicket

POLL_S = 0.25
SETTLED = ("graded", "abandoned", "failed")


class Owner:
    """Whoever holds a server's owner token."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self._http = http

    @classmethod
    @asynccontextmanager
    async def of(cls, url: str, token: str) -> AsyncGenerator["Owner"]:
        """Connect to the server at `url` as its owner."""
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=60) as http:
            yield cls(http)

    async def open(self, request: SessionRequest) -> SessionTicket:
        """Open a session.

        Raises:
            SessionError: The server refuses.
        """
        response = await self._http.post("/sessions", json=request.model_dump())
        return SessionTicket.model_validate_json(_content(response))

    async def record(self, session_id: str) -> SessionRecord:
        """A session as it stands.

        Raises:
            SessionError: There is none.
        """
        response = await self._http.get(f"/sessions/{session_id}")
        return SessionRecord.model_validate_json(_content(response))

    async def settled(self, session_id: str) -> SessionRecord:
        """A session once nothing more will happen to it; waits for its grade."""
        while (  # noqa: ASYNC110 - what is awaited is in another process
            record := await self.record(session_id)
        ).state not in SETTLED:
            await anyio.sleep(POLL_S)
        return record

    async def abandon(self, session_id: str) -> None:
        """Close a session without a grade, if it is open."""
        _content(await self._http.delete(f"/sessions/{session_id}"))


def _content(response: httpx2.Response) -> bytes:
    if response.is_error:
        raise SessionError(f"the server refuses ({response.status_code}): {response.text[:500]}")
    return response.content
