"""The server on stdin and stdout, for a client that starts it as its child."""

import os
import signal
from contextlib import suppress

import anyio

from proctor.schemas.errors import NotYetError
from proctor.schemas.session import SessionRequest
from proctor.server.mcp import build_server
from proctor.server.seat import Seat
from proctor.server.session import Session
from proctor.server.sessions import Sessions


async def serve_stdio(sessions: Sessions, task_id: str | None = None) -> None:
    """Serve one client until its end of input, or until told to end.

    Args:
        sessions: The server's.
        task_id: A task to open at once, which binds the client to it.
    """
    session = await _opened(sessions, task_id) if task_id else None
    seat = Seat(sessions, session)
    server = build_server(lambda _: seat)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_end_on_signal, sessions)
        await server.run_stdio_async()
        tasks.cancel_scope.cancel()


async def _opened(sessions: Sessions, task_id: str) -> Session:
    """A session of the task, however long that takes to prepare."""
    while True:
        with suppress(NotYetError):
            return await sessions.open(SessionRequest(task_id=task_id))


async def _end_on_signal(sessions: Sessions) -> None:
    """Close the sessions and leave: a thread that waits for stdin cannot be cancelled."""
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for number in signals:
            with anyio.CancelScope(shield=True):
                await sessions.close()
            os._exit(128 + number)
