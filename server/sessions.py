"""Sessions: opening them, using their sandboxes, and bringing each to its end.

Above it: seats and tools, which use a session's sandbox, and the HTTP face, which opens and shows
sessions. Below it: backends, the evaluator and the record. A session lives in a task of its own,
which holds the sandbox's context; clients come and go without touching it.
"""

import logging
import os
import secrets
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import anyio
from anyio.abc import TaskGroup
from anyio.to_thread import run_sync

from proctor.evaluator.documents import listed
from proctor.evaluator.feedback import standing
from proctor.evaluator.grade import grade, invalid_grade
from proctor.evaluator.work import Work
from proctor.sandbox_backends.base import Backend, Sandbox
from proctor.sandbox_backends.concurrency import task_group
from proctor.schemas.errors import (
    NotYetError,
    ProctorError,
    SandboxError,
    SandboxLostError,
    SessionError,
    SubmissionError,
)
from proctor.schemas.grade import Grade
from proctor.schemas.session import NOT_HANDED_IN, Ending, SessionRequest, Submission
from proctor.schemas.task import Task
from proctor.server.preparing import Preparing
from proctor.server.record import Record, earlier_attempts
from proctor.server.room import allowed_files, room_for_sessions
from proctor.server.session import Session
from proctor.server.terms import Terms
from proctor.tasks.catalog import Catalog

logger = logging.getLogger(__name__)

SEED_BITS = 63
TAKE_WITHIN_S = 300.0
ABANDON_WITHIN_S = 30.0
GRADES_WITHIN_S = 60.0
"""How long a closing server waits for gradings that are under way."""
GRADINGS_AT_ONCE = max(2, (os.cpu_count() or 1) // 2)
"""Each keeps up to two sandboxes busy; agents at work have the same processors."""
CHECKS_AT_ONCE = 4
"""Checks of the form alone, which need not wait for gradings."""


class Sessions:
    """All sessions of a server."""

    def __init__(
        self,
        catalog: Catalog,
        backend: Backend,
        records: Path,
        *,
        tasks: TaskGroup,
        terms: Terms,
        attempts: Counter[tuple[str, str]],
    ) -> None:
        self.catalog = catalog
        self._terms = terms
        self._attempts = attempts
        self._backend = backend
        self._records = records
        self._tasks = tasks
        self._by_id: dict[str, Session] = {}
        self._by_token: dict[str, Session] = {}
        self._being_opened = 0
        self._gradings = anyio.CapacityLimiter(GRADINGS_AT_ONCE)
        self._checks = anyio.CapacityLimiter(CHECKS_AT_ONCE)
        self._preparing = Preparing(catalog, tasks, terms.wait_s)

    @classmethod
    @asynccontextmanager
    async def serving(
        cls, catalog: Catalog, backend: Backend, records: Path, terms: Terms | None = None
    ) -> AsyncGenerator["Sessions"]:
        """Serve sessions; those still open at the end are snapshotted and marked abandoned.

        Args:
            catalog: The tasks on offer.
            backend: What opens sandboxes, for agents and for grading.
            records: The directory of all sessions' records.
            terms: What holds for every session.
        """
        attempts = await run_sync(earlier_attempts, records)
        async with task_group() as tasks:
            sessions = cls(
                catalog, backend, records, tasks=tasks, terms=terms or Terms(), attempts=attempts
            )
            try:
                yield sessions
            finally:
                with anyio.CancelScope(shield=True):
                    await sessions.close()
                tasks.cancel_scope.cancel()

    async def open(self, request: SessionRequest) -> Session:
        """Open a session.

        Raises:
            TaskError: No such task is on offer, or it cannot be prepared.
            NotYetError: It is being prepared, which takes a while; or as many are open as can be.
            SessionError: The label is taken.
        """
        task = await self._preparing.task(request.task_id)
        self._refuse_if_full()
        self._being_opened += 1
        try:
            return await self._opened(request, task)
        finally:
            self._being_opened -= 1

    async def _opened(self, request: SessionRequest, task: Task) -> Session:
        session_id = secrets.token_hex(8)
        label = request.label or f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{session_id}"
        for other in self.all():
            nested = f"{other.label}/".startswith(f"{label}/") or label.startswith(
                f"{other.label}/"
            )
            if nested and not other.was_set_aside:
                raise SessionError(f"the label {other.label!r} exists; choose one beside it")
        request = request.model_copy(update={"label": label})
        record = Record(self._records / label)
        session = Session(session_id, request, task, record, self._terms)
        session.task_digest = self.catalog.card(task.id).digest
        who = (request.principal, task.id)
        self._attempts[who] += 1
        session.attempt = self._attempts[who]
        opened = {"session_id": session_id, "task_id": task.id, "task_digest": session.task_digest}
        await session.record.append("session_opened", opened)
        await session.save()
        self._by_id[session.id] = session
        self._by_token[session.token] = session
        self._tasks.start_soon(self._guarded, self._live, session)
        return session

    def _refuse_if_full(self) -> None:
        room = room_for_sessions()
        at_work = sum(not session.handed_in.is_set() for session in self._by_id.values())
        n_open = at_work + self._being_opened
        if room is not None and n_open >= room:
            raise NotYetError(
                f"{n_open} sessions are open, as many as {allowed_files()} open files allow; "
                "ask again when one has ended, or allow the server more with 'ulimit -n'"
            )

    def with_id(self, session_id: str) -> Session:
        """The session of that id.

        Raises:
            SessionError: There is none.
        """
        try:
            return self._by_id[session_id]
        except KeyError:
            raise SessionError(f"there is no session {session_id!r}") from None

    def with_token(self, token: str) -> Session | None:
        """The session that a token stands for, if any."""
        return self._by_token.get(token)

    def all(self) -> tuple[Session, ...]:
        """Every session since the server started, in order."""
        return tuple(self._by_id.values())

    @asynccontextmanager
    async def working(self, session: Session) -> AsyncGenerator[Sandbox]:
        """Use a session's sandbox for one tool call.

        Raises:
            SessionError: The session has ended, or its budget is spent.
            SandboxError: The sandbox failed, which ends the session.
        """
        with session.call():
            try:
                yield await session.open_sandbox()
            except SandboxLostError as error:
                self._tasks.start_soon(self.fail, session, str(error))
                raise

    async def check(self, session: Session) -> str:
        """Tell an agent how its work stands, as far as the session's policy goes.

        Raises:
            SessionError: The policy tells nothing, the session has ended, or its budget is spent.
            SubmissionError: The workspace is too large.
            SandboxError: The sandbox failed.
        """
        before = session.feedback.before
        if before == "none":
            raise SessionError("nothing of how the work stands is told before it is submitted")
        remark = None
        session.checks += 1
        place = session.record.directory / f"check-{session.checks}.tar.gz"
        try:
            async with self.working(session) as sandbox:
                digest, left_out = await self._snapshot(session, sandbox, place)
                if before == "graded" and (remark := session.take_try()):
                    before = "validation"
                async with self._checks if before == "validity" else self._gradings:
                    said = await standing(self._work(session, place, digest), before)
        finally:
            place.unlink(missing_ok=True)
        if left_out:
            said.append(f"Not looked at, as they are no plain files: {listed(left_out)}.")
        text = "\n".join([*said, *([f"No points: {remark}."] if remark else [])])
        await session.record.append("checked", {"told": before, "text": text})
        await session.save()
        return text

    async def submit(self, session: Session, answer: str) -> None:
        """Hand in the session's work; returns once that is on disk. Grading follows by itself.

        A submission under way or done is left as it is.

        Raises:
            SubmissionError: The workspace is too large; the session stays open.
            SandboxError: The sandbox failed, so that there is nothing to hand in.
        """
        if session.state == "open":
            await self._shielded_end(session, answer, "submit")
        await session.wait_for_ending()
        if session.state == "failed":
            raise SandboxLostError(session.error or "the session failed")
        if session.submission is None:
            raise SessionError("a submission before this one did not succeed; call submit again")

    async def abandon(self, session: Session) -> None:
        """Close an open session without a grade; its workspace is kept."""
        if session.state == "open":
            await self._shielded_end(session, "", "abandoned")

    async def close(self) -> None:
        """Abandon what is open, and give gradings a while to end."""
        async with task_group() as tasks:
            for session in self.all():
                tasks.start_soon(self._guarded, self.abandon, session)
        with anyio.move_on_after(GRADES_WITHIN_S):
            for session in self.all():
                await session.settled.wait()
                await session.gone.wait()

    async def _guarded(self, work: Callable[[Session], Awaitable[None]], session: Session) -> None:
        """Do a session's work so that its failure ends this session and no other."""
        try:
            await work(session)
        except Exception as error:
            logger.exception("session %s failed", session.id)
            await session.settle("failed", f"the server failed: {type(error).__name__}")

    async def _live(self, session: Session) -> None:
        """A session's own task: its sandbox, and its deadline."""
        async with task_group() as tasks:
            tasks.start_soon(self._watch_deadline, session)
            try:
                await session.keep_sandbox(self._backend)
            except SandboxError as error:
                await self.fail(session, str(error))
            session.gone.set()
            await session.settled.wait()
            tasks.cancel_scope.cancel()

    async def _watch_deadline(self, session: Session) -> None:
        """End the session at its deadline, whatever submissions fail around that time."""
        await anyio.sleep(session.time_left_s)
        while session.state in NOT_HANDED_IN:
            await session.wait_for_ending()
            if session.state == "open":
                with suppress(ProctorError):
                    await self._shielded_end(session, "", "deadline")

    async def fail(self, session: Session, reason: str) -> None:
        """End a session that the server cannot go on with; there is no grade."""
        if not session.settled.is_set() and session.submission is None:
            await session.settle("failed", reason)

    async def _shielded_end(self, session: Session, answer: str, ending: Ending) -> None:
        """End a session, whatever becomes of the client that asked for it."""
        session.begin_ending()
        with anyio.CancelScope(shield=True):
            try:
                await self._end(session, answer, ending)
            except SubmissionError:
                raise
            except Exception:  # whatever it was, such as a full disk: nobody must wait for ever
                if not session.settled.is_set():
                    await session.settle("failed", "the work could not be handed in")
                raise
            finally:
                session.finish_ending()

    async def _end(self, session: Session, answer: str, ending: Ending) -> None:
        if ending != "submit" and session.is_opening:
            session.release_sandbox()  # those who wait for it need not wait any longer
        await session.end_calls()
        if session.is_opening:
            session.release_sandbox()
        try:
            submission = await self._take(session, answer, ending)
        except SubmissionError as error:
            if ending == "submit":
                session.state = "open"
                raise
            submission = Submission(
                answer=answer, ended_by=ending, at=datetime.now(UTC),
                snapshot_sha256=None, problem=str(error),
            )  # fmt: skip
        except (SandboxError, OSError) as error:
            if ending == "abandoned" and session.was_given_up:
                await session.settle("abandoned")
                return
            await self.fail(
                session, f"the workspace could not be kept: {str(error) or 'it took too long'}"
            )
            if ending == "submit":
                raise
            return
        session.ended_at = submission.at
        session.submission = submission
        session.state = "abandoned" if ending == "abandoned" else "submitted"
        await session.record.append("submitted", submission.model_dump(mode="json"))
        await session.save()
        session.handed_in.set()
        session.release_sandbox()
        try:
            await session.record.unpack(answer)
        except (OSError, ValueError):  # only a copy for people to read; the snapshot is kept
            logger.exception("no readable copy of session %s", session.id)
        if ending == "abandoned" or not session.is_to_be_graded:
            await session.settle(session.state)
        else:
            self._tasks.start_soon(self._guarded, self._grade, session)

    async def _take(self, session: Session, answer: str, ending: Ending) -> Submission:
        """Freeze the workspace: nothing of the agent's runs while it is read."""
        with anyio.fail_after(ABANDON_WITHIN_S if ending == "abandoned" else TAKE_WITHIN_S):
            sandbox = await session.open_sandbox()
            await sandbox.kill_all()
            async with session.record.new_snapshot() as target:
                limit = session.task.sandbox.workspace_bytes
                about = await sandbox.snapshot(target, max_bytes=limit)
        return Submission(
            answer=answer,
            ended_by=ending,
            at=datetime.now(UTC),
            seed=secrets.randbits(SEED_BITS) if session.seed is None else session.seed,
            snapshot_sha256=target.hexdigest(),
            snapshot_bytes=about.bytes,
            files=about.files,
            skipped=about.skipped,
        )

    async def _grade(self, session: Session) -> None:
        async with self._gradings:
            session.grade = await self._measure(session)
        await session.record.append("graded", session.grade.model_dump(mode="json"))
        await session.settle("graded")

    async def _measure(self, session: Session) -> Grade:
        submission = session.submission
        if submission is None or submission.snapshot_sha256 is None:
            problem = submission.problem if submission else None
            answer = submission.answer if submission else ""
            return invalid_grade(session.task, answer, problem or "nothing was handed in")
        return await grade(
            Work(
                task=session.task,
                answer=submission.answer,
                snapshot=session.record.snapshot,
                snapshot_sha256=submission.snapshot_sha256,
                seed=submission.seed,
                backend=self._backend,
                judge=self._terms.judge,
                compat=self._terms.compat,
            )
        )

    @staticmethod
    async def _snapshot(
        session: Session, sandbox: Sandbox, place: Path
    ) -> tuple[str, Sequence[str]]:
        """Keep the workspace as it is now; what runs in it goes on.

        Returns:
            Its digest, and what could not be kept.
        """
        async with session.record.new_snapshot(place) as target:
            limit = session.task.sandbox.workspace_bytes
            about = await sandbox.snapshot(target, max_bytes=limit)
        return target.hexdigest(), about.skipped

    def _work(self, session: Session, snapshot: Path, digest: str) -> Work:
        """A hand-in that is not one yet; its seed is no other's."""
        return Work(
            task=session.task,
            answer="",
            snapshot=snapshot,
            snapshot_sha256=digest,
            seed=secrets.randbits(SEED_BITS),
            backend=self._backend,
        )
