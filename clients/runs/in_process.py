"""The engine that holds sessions in this process, against a server it reaches over HTTP."""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

import anyio
import httpx2
from fastmcp import Client
from fastmcp.client.auth import BearerAuth
from fastmcp.client.transports import StreamableHttpTransport

from proctor.clients.agents import Agent, AnyClient, Exam, told_of
from proctor.clients.agents.python_file import raised_at
from proctor.clients.runs.directory import RunDirectory
from proctor.clients.runs.engine import Tell
from proctor.clients.runs.joined import blame, joined
from proctor.clients.runs.owner import Owner
from proctor.clients.runs.trajectory import keep_trajectory
from proctor.schemas.errors import ProctorError, SessionError
from proctor.schemas.result import AgentReport, Blame, RunResult
from proctor.schemas.run import Attempt, Candidate
from proctor.schemas.session import SessionRecord, SessionRequest, SessionTicket

CALL_WITHIN_S = 900.0
CLOSE_WITHIN_S = 60.0
"""How long a session may take to be closed when the run is stopped."""
STOPPED = "the run was stopped"
OUT_OF_TIME = "the run's time is up: the work was handed in as it was"


@dataclass(frozen=True)
class InProcess:
    """Holds sessions by running each candidate's agent here."""

    owner: Owner
    candidates: Mapping[str, Candidate]
    agents: Mapping[str, Agent]
    """By the candidates' names."""
    directory: RunDirectory
    request: Callable[[Attempt], SessionRequest]
    """How a session is asked for."""
    ends_at: float = float("inf")
    """When agents' work is handed in as it is, by `time.monotonic`."""
    _opening: dict[str, anyio.Lock] = field(default_factory=lambda: defaultdict(anyio.Lock))
    """By task: one may have to be prepared first, for which others need not wait."""

    async def hold(self, attempt: Attempt, tell: Tell) -> RunResult:
        """See `proctor.clients.runs.engine.Engine`."""
        started_at, started = datetime.now(UTC), time.monotonic()
        sitting = _Sitting(self, attempt, tell)
        try:
            failure = await sitting.hold()
        except anyio.get_cancelled_exc_class():
            failure = ("interrupted", STOPPED)
            with anyio.CancelScope(shield=True), anyio.move_on_after(CLOSE_WITHIN_S):
                await sitting.abandon()
        candidate = self.candidates[attempt.candidate]
        with anyio.CancelScope(shield=True):
            session_id = sitting.record.session_id if sitting.record else None
            await keep_trajectory(
                self.directory, attempt, candidate.agent, sitting.report, session_id
            )
        return joined(
            attempt,
            candidate,
            sitting.report,
            sitting.record,
            started_at=started_at,
            duration_s=time.monotonic() - started,
            failure=failure,
        )

    async def open(self, attempt: Attempt) -> SessionTicket:
        """Open a session; of a task one after the other, so that attempts count in order."""
        async with self._opening[attempt.task_id]:
            return await self.owner.open(self.request(attempt))


class _Sitting:
    """One attempt, as it goes on."""

    def __init__(self, engine: InProcess, attempt: Attempt, tell: Tell) -> None:
        self._engine = engine
        self._attempt = attempt
        self._tell = tell
        self._ticket: SessionTicket | None = None
        self._told = 0
        self.report = AgentReport(confinement=None)
        self.record: SessionRecord | None = None

    async def hold(self) -> tuple[Blame, str] | None:
        """Hold the session; why it was not finished, where it was not."""
        owner = self._engine.owner
        self._tell("opening", None)
        failure: tuple[Blame, str] | None = None
        try:
            ticket = self._ticket = await self._engine.open(self._attempt)
            self._tell("working", None)
            async with anyio.create_task_group() as tasks:
                if self._engine.request(self._attempt).grade:
                    tasks.start_soon(self._watch_grading, ticket.session_id)
                failure = await self._work(ticket)
                tasks.cancel_scope.cancel()
            if failure is not None:
                await owner.abandon(ticket.session_id)
            self.record = await owner.settled(ticket.session_id)
        except ProctorError as error:
            return blame(error), str(error)
        return failure

    async def abandon(self) -> None:
        """Close the session, if it is open, and see how it stands."""
        if self._ticket is not None:
            with suppress(ProctorError):
                await self._engine.owner.abandon(self._ticket.session_id)
                self.record = await self._engine.owner.record(self._ticket.session_id)

    async def _work(self, ticket: SessionTicket) -> tuple[Blame, str] | None:
        """Let the agent work; whose fault it is, and what, where it could not end."""
        transport = StreamableHttpTransport(ticket.url, auth=BearerAuth(ticket.token))
        try:
            async with Client(transport, timeout=CALL_WITHIN_S) as client:
                await self._work_with(client, ticket)
        except ProctorError as error:
            return blame(error), str(error)
        except httpx2.HTTPError as error:
            return "server", f"the server does not answer: {type(error).__name__}: {error}"
        except Exception as error:  # noqa: BLE001 - an agent is anybody's code; its failure is a result
            return "agent", told_of(error) + raised_at(error)
        return None

    async def _work_with(self, client: AnyClient, ticket: SessionTicket) -> None:
        place = self._engine.directory.path / self._attempt.label
        exam = Exam(
            task_id=self._attempt.task_id,
            client=client,
            ticket=ticket,
            directory=place,
            settled=partial(self._engine.owner.settled, ticket.session_id),
            tell=self._keep,
        )
        left_s = self._engine.ends_at - time.monotonic()
        with anyio.move_on_after(max(0.0, left_s)) as scope:
            self.report = await self._engine.agents[self._attempt.candidate](exam)
        if scope.cancelled_caught:
            await client.call_tool("submit", {"answer": self.report.answer})
            errors = (*self.report.errors, OUT_OF_TIME)
            self.report = self.report.model_copy(update={"errors": errors})

    def _keep(self, report: AgentReport) -> None:
        """Keep what the agent tells."""
        self.report = report
        self._engine.directory.tell(self._attempt, report, self._told)
        self._told = len(report.trace)
        self._tell("working", report)

    async def _watch_grading(self, session_id: str) -> None:
        """Say when the work has been handed in: the agent itself waits for the grade."""
        with suppress(SessionError):
            await self._engine.owner.handed_in(session_id)
            self._tell("grading", None)
