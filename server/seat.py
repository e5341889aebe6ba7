"""A seat: where one client sits, with at most one open session at a time.

A stdio process is a seat, and so is a token over HTTP. A seat that is *bound* was given its
session (by the owner, or on the command line) and cannot start another.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio

from proctor.sandbox_backends.base import Sandbox
from proctor.schemas.errors import SessionError, TaskError
from proctor.schemas.session import NOT_HANDED_IN, SessionRequest
from proctor.schemas.task import TaskCard
from proctor.server.session import Session
from proctor.server.sessions import Sessions

GRADE_WAIT_S = 45.0
"""How long ``submit`` waits for the grade: clients give up on a call after a minute."""


class Seat:
    """One client's place."""

    def __init__(self, sessions: Sessions, session: Session | None = None) -> None:
        """Make a seat.

        Args:
            sessions: The server's.
            session: What the seat is bound to; None leaves it free to start sessions.
        """
        self.sessions = sessions
        self.bound = session is not None
        self.earlier: list[Session] = []
        """The sessions before the present one, oldest first."""
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
            if self.is_open:
                raise SessionError(
                    f"the task {self.session.task.id!r} is open here; "
                    "submit it before you start another"
                )
            session = await self.sessions.open(SessionRequest(task_id=task_id))
            if self._session is not None:
                self.earlier.append(self._session)
            self._session = session
            return session

    @property
    def is_open(self) -> bool:
        """Whether there is a session here that has not ended."""
        return self._session is not None and self._session.state in NOT_HANDED_IN

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

    def tasks(self) -> tuple[TaskCard, ...]:
        """The tasks that this client may know of; for none of them anything is prepared."""
        catalog = self.sessions.catalog
        return (catalog.card(self.session.task.id),) if self.bound else catalog.cards()

    def task(self, task_id: str) -> tuple[TaskCard, str | None]:
        """One of `tasks`, and its instructions; those of a competition are known once it is read.

        Raises:
            TaskError: There is none of that id, as far as this client may know.
        """
        if self.bound and task_id != self.session.task.id:
            raise TaskError(f"there is no task {task_id!r} here")
        catalog = self.sessions.catalog
        catalog.check_offered(task_id)
        told = catalog[task_id].instructions if catalog.at_hand(task_id) else None
        return catalog.card(task_id), told
