"""The owner's side of a server: opening sessions and reading their records, over HTTP."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TypeVar

import anyio
import httpx2
from pydantic import TypeAdapter, ValidationError

from proctor.schemas.errors import SessionError
from proctor.schemas.retry_after import asked_wait_s
from proctor.schemas.session import NOT_HANDED_IN, SessionRecord, SessionRequest, SessionTicket
from proctor.schemas.task import TaskCard

POLL_S = 0.25
TIMEOUT_S = 120.0
"""More than the server takes to close a session that something still runs in."""

NOT_YET = 503
"""The status that says to ask again."""
MOST_ASKED_S = 60.0
"""How far a server's ``Retry-After`` is followed."""

TICKET, RECORD = TypeAdapter(SessionTicket), TypeAdapter(SessionRecord)
RECORDS = TypeAdapter(tuple[SessionRecord, ...])
CARDS = TypeAdapter(tuple[TaskCard, ...])
T = TypeVar("T")


class Owner:
    """Whoever holds a server's owner token."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self._http = http

    @classmethod
    @asynccontextmanager
    async def of(cls, url: str, token: str) -> AsyncGenerator["Owner"]:
        """Connect to the server at `url` as its owner."""
        headers = {"Authorization": f"Bearer {token}"}
        unlimited = httpx2.Limits(max_connections=None)  # one waits for each session
        async with httpx2.AsyncClient(
            base_url=url, headers=headers, timeout=TIMEOUT_S, limits=unlimited
        ) as http:
            yield cls(http)

    async def open(self, request: SessionRequest) -> SessionTicket:
        """Open a session; waits while the server prepares its task, or has no room.

        Raises:
            SessionError: The server refuses.
        """
        return _read(TICKET, await self._ask("POST", "/sessions", request))

    async def tasks(self) -> tuple[TaskCard, ...]:
        """The tasks on offer.

        Raises:
            SessionError: The server refuses.
        """
        return _read(CARDS, await self._ask("GET", "/tasks"))

    async def sessions(self) -> tuple[SessionRecord, ...]:
        """Every session since the server started, in order.

        Raises:
            SessionError: The server refuses.
        """
        return _read(RECORDS, await self._ask("GET", "/sessions"))

    async def record(self, session_id: str) -> SessionRecord:
        """A session as it stands.

        Raises:
            SessionError: There is none.
        """
        return _read(RECORD, await self._ask("GET", f"/sessions/{session_id}"))

    async def handed_in(self, session_id: str) -> SessionRecord:
        """A session once its work is closed; waits for that.

        Raises:
            SessionError: There is none, or the server has gone.
        """
        while (record := await self._later(session_id, "handed_in")).state in NOT_HANDED_IN:  # noqa: ASYNC110 - what is awaited is in another process
            await anyio.sleep(POLL_S)
        return record

    async def settled(self, session_id: str) -> SessionRecord:
        """A session once nothing more will happen to it; waits for its grade.

        Raises:
            SessionError: There is none, or the server has gone.
        """
        while not (record := await self._later(session_id, "settled")).settled:  # noqa: ASYNC110 - as above
            await anyio.sleep(POLL_S)
        return record

    async def abandon(self, session_id: str) -> None:
        """Close a session without a grade, if it is open.

        Raises:
            SessionError: The server refuses.
        """
        await self._ask("DELETE", f"/sessions/{session_id}")

    async def _later(self, session_id: str, until: str) -> SessionRecord:
        """A session once that is so, as far as the server waits for it."""
        return _read(RECORD, await self._ask("GET", f"/sessions/{session_id}?until={until}"))

    async def _ask(self, method: str, path: str, body: SessionRequest | None = None) -> bytes:
        json = body.model_dump() if body else None
        try:
            while (response := await self._request(method, path, json)).status_code == NOT_YET:
                asked_s = asked_wait_s(response.headers.get("Retry-After", ""))
                await anyio.sleep(min(asked_s, MOST_ASKED_S) or POLL_S)
        except httpx2.HTTPError as error:
            problem = f"{type(error).__name__}: {error}"
            raise SessionError(f"the server does not answer: {problem}") from error
        if response.is_error:
            status = response.status_code
            raise SessionError(f"the server refuses ({status}): {response.text[:500]}")
        return response.content

    async def _request(self, method: str, path: str, json: object) -> httpx2.Response:
        """Ask; once more where that changes nothing, as a connection may be cut at any time."""
        try:
            return await self._http.request(method, path, json=json)
        except httpx2.TransportError:
            if method != "GET":
                raise
            await anyio.sleep(POLL_S)
            return await self._http.request(method, path, json=json)


def _read(kind: TypeAdapter[T], content: bytes) -> T:
    try:
        return kind.validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "its answer"
        raise SessionError(f"the server's answer cannot be read: {key}: {first['msg']}") from error
