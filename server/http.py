"""The HTTP face: MCP for clients, and a small API for the owner.

POST   /sessions       {task_id, label?}: opens a session; returns its id, token and URLs, or
                       503 with Retry-After while its task is being prepared, or as many are
                       open as there is room for
GET    /sessions       every session since the server started
GET    /sessions/{id}  one session: state, budget and, whatever the agent may see, the grade;
                       with ?until=handed_in or ?until=settled, once that is so, or after 20 s
DELETE /sessions/{id}  abandons an open session; its workspace is kept
GET    /tasks          every task on offer, without its content
GET    /health         whether the server is up; needs no token
*      /mcp            MCP, streamable HTTP; also /s/<token>/mcp
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import anyio
from anyio.to_thread import run_sync
from mcp.server.streamable_http_manager import StreamableHTTPASGIApp
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from proctor import __version__
from proctor.schemas.base import Value
from proctor.schemas.errors import NotYetError, SessionError, TaskError
from proctor.schemas.session import SessionRequest, SessionTicket
from proctor.server.auth import IS_OWNER, SEAT, Authentication, security_settings
from proctor.server.mcp import Request as MCPRequest
from proctor.server.mcp import build_server
from proctor.server.seat import Seat
from proctor.server.session import Session
from proctor.server.sessions import Sessions

MAX_BODY_BYTES = 32 << 20
WAIT_S = 20.0
"""How long a question for a later state is held open: what lies between cuts idle ones sooner or
later."""


def build_app(sessions: Sessions, *, owner_token: str, hosts: Sequence[str] = ()) -> Starlette:
    """Make the ASGI application.

    Args:
        sessions: The server's.
        owner_token: Whoever shows it may open any number of sessions and see every grade.
        hosts: Host names, beside this machine's own, under which it is reached.
    """
    security = security_settings(hosts)
    server = build_server(_seat_of_mcp)
    server.streamable_http_app(
        transport_security=security, max_request_body_size=MAX_BODY_BYTES
    )  # makes the session manager, which our own routes then serve
    manager = server.session_manager

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        async with manager.run():
            yield

    owner = OwnerAPI(sessions)
    return Starlette(
        lifespan=lifespan,
        routes=[
            Route("/health", _health, methods=["GET"]),
            Route("/sessions", owner.open, methods=["POST"]),
            Route("/sessions", owner.all, methods=["GET"]),
            Route("/sessions/{session_id}", owner.one, methods=["GET"]),
            Route("/sessions/{session_id}", owner.abandon, methods=["DELETE"]),
            Route("/tasks", owner.tasks, methods=["GET"]),
            Route("/mcp", StreamableHTTPASGIApp(manager)),
        ],
        middleware=[
            Middleware(
                Authentication,
                sessions=sessions,
                owner_token=owner_token,
                security=security,
            )
        ],
        exception_handlers={HTTPException: _as_json},
    )


class OwnerAPI:
    """What only the owner may do."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def open(self, request: Request) -> Response:
        """``POST /sessions``."""
        _owner_only(request)
        try:
            wanted = SessionRequest.model_validate(await request.json())
            session = await self._sessions.open(wanted)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"])) or "the body"
            raise HTTPException(422, f"no session request: {key}: {first['msg']}") from error
        except ValueError as error:
            raise HTTPException(422, f"the body is not JSON: {error}") from error
        except TaskError as error:
            raise HTTPException(404, str(error)) from error
        except NotYetError as error:
            raise HTTPException(503, str(error), {"Retry-After": "1"}) from error
        except SessionError as error:
            raise HTTPException(409, str(error)) from error
        base = str(request.base_url)
        ticket = SessionTicket(
            session_id=session.id,
            token=session.token,
            url=f"{base}mcp",
            url_with_token=f"{base}s/{session.token}/mcp",
            time_s=session.time_left_s,
        )
        return _json(ticket, status_code=201)

    async def all(self, request: Request) -> Response:
        """``GET /sessions``."""
        _owner_only(request)
        records = [s.as_record().model_dump(mode="json") for s in self._sessions.all()]
        return JSONResponse(records)

    async def one(self, request: Request) -> Response:
        """``GET /sessions/{id}``."""
        session = self._find(request)
        if (until := request.query_params.get("until")) is not None:
            reached = {"handed_in": session.handed_in, "settled": session.settled}.get(until)
            if reached is None:
                raise HTTPException(422, f"until={until}: give handed_in or settled")
            with anyio.move_on_after(WAIT_S):
                await reached.wait()
        return _json(session.as_record())

    async def tasks(self, request: Request) -> Response:
        """``GET /tasks``."""
        _owner_only(request)
        cards = await run_sync(self._sessions.catalog.cards)
        return JSONResponse([card.model_dump(mode="json") for card in cards])

    async def abandon(self, request: Request) -> Response:
        """``DELETE /sessions/{id}``."""
        session = self._find(request)
        await self._sessions.abandon(session)
        return _json(session.as_record())

    def _find(self, request: Request) -> Session:
        _owner_only(request)
        try:
            return self._sessions.with_id(request.path_params["session_id"])
        except SessionError as error:
            raise HTTPException(404, str(error)) from error


def _owner_only(request: Request) -> None:
    if not request.scope[IS_OWNER]:
        raise HTTPException(403, "only the owner's token may do this")


def _seat_of_mcp(request: MCPRequest) -> Seat:
    http: Request | None = request.request
    if http is None:
        raise SessionError("a request without a sender")
    seat: Seat = http.scope[SEAT]
    return seat


def _json(value: Value, status_code: int = 200) -> Response:
    return Response(value.model_dump_json(), status_code, media_type="application/json")


async def _health(_: Request) -> Response:
    return JSONResponse({"status": "ok", "version": __version__})


async def _as_json(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it alone
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)
