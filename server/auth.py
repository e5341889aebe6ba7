"""Who a request over HTTP comes from: the owner, a session's client, or nobody.

A client shows its token as ``Authorization: Bearer …``, or in the path, ``/s/<token>/mcp``, if it
cannot send headers. Every request of every route passes here, Host and Origin checked first.
"""

import secrets
from collections.abc import Sequence
from contextlib import suppress

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from proctor.server.seat import Seat
from proctor.server.session import Session
from proctor.server.sessions import Sessions

SEAT = "proctor.seat"
IS_OWNER = "proctor.is_owner"
OPEN_PATHS = ("/health",)


class Authentication:
    """ASGI middleware that finds the seat of each request, or refuses it."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        sessions: Sessions,
        owner_token: str,
        security: TransportSecuritySettings,
    ) -> None:
        self._app = app
        self._sessions = sessions
        self._owner_token = owner_token
        self._security = TransportSecurityMiddleware(security)
        self._owner_seat = Seat(sessions)
        self._seats: dict[str, Seat] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through to whom it may reach, as whom it comes from."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if refusal := await self._security.validate_request(Request(scope)):
            await refusal(scope, receive, send)
            return
        token, path = _token_and_path(scope)
        if path not in OPEN_PATHS:
            seat, owner = self._seat(token)
            if seat is None:
                await _unauthorized(scope, receive, send)
                return
            scope = {**scope, "path": path, "raw_path": path.encode(), SEAT: seat, IS_OWNER: owner}
            name = "owner" if owner else seat.session.id
            # Ties what the SDK keeps for a client, such as a handshake's state, to its token.
            scope["user"] = AuthenticatedUser(AccessToken(token=token, client_id=name, scopes=[]))
        with suppress(ClientDisconnect):  # in the middle of its request: there is nobody to answer
            await self._app(scope, receive, send)

    def _seat(self, token: str) -> tuple[Seat | None, bool]:
        if secrets.compare_digest(token.encode(), self._owner_token.encode()):
            return self._owner_seat, True
        session = self._sessions.with_token(token)
        return (self._seat_of(session) if session else None), False

    def _seat_of(self, session: Session) -> Seat:
        if session.id not in self._seats:
            self._seats[session.id] = Seat(self._sessions, session)
        return self._seats[session.id]


def security_settings(hosts: Sequence[str] = ()) -> TransportSecuritySettings:
    """The Host and Origin headers that are let in: this machine's own, and `hosts`."""
    names = ["127.0.0.1", "localhost", "[::1]", *hosts]
    return TransportSecuritySettings(
        enable_dns_rebinding_protection=True,
        allowed_hosts=[form for name in names for form in (name, f"{name}:*")],
        allowed_origins=[
            form
            for name in names
            for scheme in ("http", "https")
            for form in (f"{scheme}://{name}", f"{scheme}://{name}:*")
        ],
    )


def _token_and_path(scope: Scope) -> tuple[str, str]:
    path: str = scope["path"]
    if path.startswith("/s/"):
        token, _, rest = path.removeprefix("/s/").partition("/")
        return token, f"/{rest}"
    header = Request(scope).headers.get("authorization", "")
    scheme, _, token = header.partition(" ")
    return (token.strip() if scheme.lower() == "bearer" else ""), path


async def _unauthorized(scope: Scope, receive: Receive, send: Send) -> None:
    response = JSONResponse(
        {"error": "unauthorized: send the token as 'Authorization: Bearer <token>'"},
        status_code=401,
        headers={"WWW-Authenticate": "Bearer"},
    )
    await response(scope, receive, send)
