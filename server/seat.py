"""A seat: where one client sits, with at most one open session at a time.

A stdio process is a seat, and so is a token over HTTP. A seat that is *bound* was given its
session (by the owner, or on the command line) and cannot start another.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio

from proctor.sandbox_backends.base import Sandbox
from proctor.schemas.errors import SessionError
from proctor.schemas.session import Reveal
from proctor.schemas.task import Task
from proctor.server.session import Session
from proctor.server.sessions import Sessions

GRADE_WAIT_S = 45.0
"""How long ``submit`` waits for the grade: clients give up on a call after a minute."""


class Seat:
    """One client's place."""

    def __init__(self, sessions: Sessions, reveal: Reveal, session: Session | None = None) -> None:
        """Make a seat.

        Args:
            sessions: The server's.
            reveal: What the client may learn of its grade.
            session: What the seat is bound to; None leaves it free to start sessions.
        """
        self.sessions = sessions
        self.reveal: Reveal = reveal
        self.bound = session is not None
        self._session = session
        self._starting = anyio.Lock()

    @property
    def session(self) -> Session:
        """The session that this seat works on, or worked on last.

        Raises:
            SessionError: None was started.
        """
        if self._session is None:
            raise SessionError("no task is open here; call list_tasks, then start_task")
        return self._session

    async def start(self, task_id: str) -> Session:
        """Open a session and sit down to it.

        Raises:
            SessionError: One is open here, or the seat is bound to one.
            TaskError: There is no such task.
        """
        async with self._starting:
            if self.bound:
                raise SessionError(
                    f"this connection is bound to the task {self.session.task.id!r} "
                    "and cannot start another"
                )
            if self._session is not None and self._session.state == "open":
                raise SessionError(
                    f"the task {self._session.task.id!r} is open here; "
                    "submit it before you start another"
                )
            self._session = await self.sessions.open(task_id)
            return self._session

    @asynccontextmanager
    async def working(self) -> AsyncGenerator[Sandbox]:
        """Use the session's sandbox for one tool call; see `Sessions.working`."""
        async with self.sessions.working(self.session) as sandbox:
            yield sandbox

    async def submit(self, answer: str) -> Session:
        """Hand in, and wait a while for the grade."""
        session = self.session
        await self.sessions.submit(session, answer)
        with anyio.move_on_after(GRADE_WAIT_S):
            await session.settled.wait()
        return session

    def tasks(self) -> tuple[Task, ...]:
        """The tasks that can be started here."""
        return tuple(self.sessions.catalog)
