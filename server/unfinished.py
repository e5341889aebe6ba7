"""Sessions that were handed in, and whose server was killed before they had a grade."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import anyio
from anyio.to_thread import run_sync

from proctor.evaluator.grade import grade
from proctor.sandbox_backends.base import Backend
from proctor.sandbox_backends.concurrency import task_group
from proctor.schemas.errors import ProctorError, SessionError
from proctor.server.record import RECORD, session_directories, write_atomically
from proctor.server.sessions import GRADINGS_AT_ONCE
from proctor.server.stored import StoredSession
from proctor.server.terms import Terms
from proctor.tasks.catalog import Catalog

logger = logging.getLogger(__name__)


async def finish_gradings(records: Path, catalog: Catalog, backend: Backend, terms: Terms) -> None:
    """Grade what was handed in and has no grade yet, as its server would have.

    A session whose task is another now, or whose workspace was not kept, is left as it is.

    Args:
        records: The directory of the sessions' records; no server may be using it.
        catalog: The tasks.
        backend: What opens sandboxes.
        terms: What held for the sessions.
    """
    limit = anyio.CapacityLimiter(GRADINGS_AT_ONCE)

    async def finish(stored: StoredSession) -> None:
        async with limit:
            try:
                await _finish(stored, catalog, backend, terms)
            except ProctorError as error:
                logger.warning("%s stays without a grade: %s", stored.directory, error)

    async with task_group() as tasks:
        for stored in await run_sync(lambda: list(_unfinished(records))):
            tasks.start_soon(finish, stored)


def _unfinished(records: Path) -> Iterator[StoredSession]:
    for directory in session_directories(records):
        try:
            stored = StoredSession.at(directory)
        except SessionError:  # another version's
            continue
        if stored.record.state == "submitted" and not stored.record.settled:
            yield stored


async def _finish(stored: StoredSession, catalog: Catalog, backend: Backend, terms: Terms) -> None:
    task = await run_sync(catalog.__getitem__, stored.record.task_id)
    if task.digest() != stored.record.task_digest:
        raise SessionError(f"the task {task.id!r} is another now")
    work = await run_sync(stored.work, task, backend, terms.judge, terms.compat)
    graded = stored.record.model_copy(
        update={
            "state": "graded",
            "settled": True,
            "grade": await grade(work),
            "ended_at": stored.record.ended_at or datetime.now(UTC),
            "signature": None,
        }
    )
    text = terms.seal(graded).model_dump_json(indent=2) + "\n"
    await run_sync(write_atomically, stored.directory / RECORD, text.encode())
