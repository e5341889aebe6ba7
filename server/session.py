"""One session: an attempt at one task, with its sandbox, its budget and its end.

It holds the state that clients' calls, the deadline and the submission meet in. What happens to
it, and when, is decided by `proctor.server.sessions`.
"""

import logging
import math
import secrets
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime

import anyio
from anyio.to_thread import run_sync

from proctor.sandbox_backends.archive import pack
from proctor.sandbox_backends.base import Backend, Sandbox
from proctor.schemas.errors import SandboxError, SandboxStartError, SessionError
from proctor.schemas.grade import Grade
from proctor.schemas.session import SessionRecord, SessionRequest, SessionState, Submission
from proctor.schemas.task import Task
from proctor.server.record import Record
from proctor.server.terms import Terms

logger = logging.getLogger(__name__)

IN_FLIGHT_GRACE_S = 10.0
"""How long calls that were running at submission may still take."""


class Session:
    """One attempt at one task, as the server keeps it."""

    def __init__(
        self, session_id: str, request: SessionRequest, task: Task, record: Record, terms: Terms
    ) -> None:
        self.id = session_id
        self.principal = request.principal
        self.attempt = 1
        self.feedback = terms.feedback_on(task)
        self.checks = 0
        self.tries = 0
        self._seal = terms.seal
        self._tried_at = -math.inf
        self.label = request.label or session_id
        self.seed = request.seed
        self.is_to_be_graded = request.grade
        self.token = secrets.token_urlsafe(32)
        self.task = task
        self.task_digest = ""
        """The task's; known to whoever opens the session."""
        self.record = record
        self.state: SessionState = "open"
        self.started_at = datetime.now(UTC)
        self.ended_at: datetime | None = None
        chosen = {"time_s": request.time_s, "tool_calls": request.tool_calls}
        self.limits = task.limits.model_copy(
            update={name: value for name, value in chosen.items() if value is not None}
        )
        self.deadline = time.monotonic() + self.limits.time_s
        self.tool_calls = 0
        self.sandbox: Sandbox | None = None
        self.submission: Submission | None = None
        self.grade: Grade | None = None
        self.error: str | None = None
        self.handed_in = anyio.Event()
        """Set once its work is closed for good, whether there is a grade to wait for or not."""
        self.settled = anyio.Event()
        """Set once nothing more will happen: graded, abandoned, failed, or handed in for later."""
        self.gone = anyio.Event()
        """Set once its sandbox is gone, too."""
        self._calls: set[anyio.CancelScope] = set()
        self._idle = anyio.Event()
        self._idle.set()
        self._ended = anyio.Event()
        self._wanted, self._ready, self._released = anyio.Event(), anyio.Event(), anyio.Event()
        self._opening = anyio.CancelScope()

    @property
    def time_left_s(self) -> float:
        """Seconds until the session ends by itself."""
        return max(0.0, self.deadline - time.monotonic())

    @property
    def calls_left(self) -> int:
        """Tool calls that the budget still allows."""
        return max(0, self.limits.tool_calls - self.tool_calls)

    @property
    def was_set_aside(self) -> bool:
        """Whether it has ended and its record was moved away, so that its label is free again."""
        return self.settled.is_set() and not self.record.directory.exists()

    def as_record(self, *, settled: bool | None = None) -> SessionRecord:
        """The session as its owner may see it, signed where the operator has a key.

        Args:
            settled: Whether it has come to its end, where that is about to be so.
        """
        record = SessionRecord(
            session_id=self.id,
            task_id=self.task.id,
            task_digest=self.task_digest,
            kind=self.task.kind,
            category=self.task.category,
            label=self.label,
            directory=str(self.record.directory),
            state=self.state,
            settled=self.settled.is_set() if settled is None else settled,
            limits=self.limits,
            started_at=self.started_at,
            ended_at=self.ended_at,
            tool_calls=self.tool_calls,
            sandbox=self.sandbox.info if self.sandbox else None,
            submission=self.submission,
            grade=self.grade,
            error=self.error,
            principal=self.principal,
            attempt=self.attempt,
            feedback=self.feedback,
            checks=self.checks,
            tries=self.tries,
        )
        return self._seal(record)

    def take_try(self) -> str | None:
        """Take one of the graded tries; why there is none to take, where there is none."""
        if self.tries >= self.feedback.tries:
            return f"all {self.feedback.tries} graded tries are used"
        wait = self._tried_at + self.feedback.cooldown_s - time.monotonic()
        if wait > 0:
            return f"the next graded try is possible in {wait:.0f} s"
        self.tries, self._tried_at = self.tries + 1, time.monotonic()
        return None

    async def save(self, *, settled: bool | None = None) -> None:
        """Put the session as it stands, or is about to, on disk."""
        await self.record.save(self.as_record(settled=settled))

    @contextmanager
    def call(self) -> Generator[None]:
        """Count a tool call, and let the session's end cancel it.

        Raises:
            SessionError: The session has ended, or its budget is spent.
        """
        self._refuse_if_ended()
        if not self.time_left_s:
            raise SessionError("the time is up; the work is being handed in as it is")
        if not self.calls_left:
            raise SessionError(
                f"the budget of {self.limits.tool_calls} tool calls is spent; "
                "call submit with your final answer"
            )
        self.tool_calls += 1
        with anyio.CancelScope() as scope:
            if not self._calls:
                self._idle = anyio.Event()
            self._calls.add(scope)
            try:
                yield
            finally:
                self._calls.discard(scope)
                if not self._calls:
                    self._idle.set()
        if scope.cancelled_caught:
            raise SessionError(f"the session ended ({self.state}) while this call was running")

    async def open_sandbox(self) -> Sandbox:
        """The session's sandbox, started when it is first wanted.

        Raises:
            SandboxError: There is none, and never will be.
        """
        self._wanted.set()
        await self._ready.wait()
        if self.sandbox is None or self.error is not None:
            raise SandboxStartError(self.error or "the session ended before its sandbox was open")
        return self.sandbox

    async def keep_sandbox(self, backend: Backend) -> None:
        """Hold the sandbox's context from when it is wanted until it is released.

        Raises:
            SandboxError: It did not come up.
        """
        try:
            with self._opening:  # around all of it: a scope must not end within what it opened
                await self._wanted.wait()
                async with backend(self.task.sandbox) as sandbox:
                    await sandbox.restore(await run_sync(pack, self.task.workspace))
                    await self.record.append("sandbox_ready", sandbox.info.model_dump())
                    self.sandbox = sandbox
                    self._ready.set()
                    await self._released.wait()
        except (SandboxError, OSError) as error:
            self.error = f"the sandbox failed: {error}"
            raise SandboxStartError(self.error) from error
        finally:
            self._ready.set()

    def release_sandbox(self) -> None:
        """Let the sandbox go; one that is still being opened, or waited for, is given up."""
        self._released.set()
        if not self._ready.is_set():
            self._opening.cancel()

    @property
    def is_opening(self) -> bool:
        """Whether its sandbox is wanted, and not there yet."""
        return self._wanted.is_set() and not self._ready.is_set()

    @property
    def was_given_up(self) -> bool:
        """Whether it ended before it had a sandbox, so that there is no work to keep."""
        return self._opening.cancel_called

    def begin_ending(self) -> None:
        """Refuse new calls from now on.

        Raises:
            SessionError: It is ending already.
        """
        self._refuse_if_ended()
        self.state = "submitting"
        self._ended = anyio.Event()

    def finish_ending(self) -> None:
        """Let those go on who wait for the ending that `begin_ending` began."""
        self._ended.set()

    async def wait_for_ending(self) -> None:
        """Wait until an ending under way is over, one way or the other."""
        if self.state == "submitting":
            await self._ended.wait()

    async def end_calls(self) -> None:
        """Wait a while for running calls, then cancel them."""
        with anyio.move_on_after(IN_FLIGHT_GRACE_S):
            await self._idle.wait()
        for scope in self._calls:
            scope.cancel()
        with anyio.move_on_after(IN_FLIGHT_GRACE_S):
            await self._idle.wait()

    async def settle(self, state: SessionState, error: str | None = None) -> None:
        """Come to the end: nothing more will happen."""
        self.state = state
        self.error = error or self.error
        self.ended_at = self.ended_at or datetime.now(UTC)
        self.release_sandbox()
        try:
            await self.record.append("ended", {"state": state, "error": self.error})
            await self.save(settled=True)
        except OSError:  # such as a full disk: this session's end must not be the server's
            logger.exception("the end of session %s could not be recorded", self.id)
        finally:
            self.handed_in.set()
            self.settled.set()

    def _refuse_if_ended(self) -> None:
        if self.state != "open":
            raise SessionError(
                f"the task {self.task.id!r} has ended ({self.state}); its workspace is closed"
            )
