"""A session's record on disk: nobody is told of an event before it is there.

session.json      the session as it stands, replaced atomically
transcript.jsonl  every event, in order
snapshot.tar.gz   the workspace that was handed in
submission/       the same files, unpacked, with the answer in ANSWER.md
"""

import gzip
import itertools
import json
import logging
import os
from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import anyio
from anyio.to_thread import run_sync

from proctor.sandbox_backends.archive import HashingWriter, extract
from proctor.schemas.errors import SessionError
from proctor.schemas.session import OWNER, SessionRecord
from proctor.schemas.transcript import Event, EventType

logger = logging.getLogger(__name__)

RECORD = "session.json"
COMPRESSION = 3
"""Snapshots are mostly text and small; more effort saves little."""


class Record:
    """The files of one session."""

    def __init__(self, directory: Path) -> None:
        """Make the directory.

        Raises:
            SessionError: It exists: another session has that label.
        """
        try:
            directory.mkdir(parents=True, mode=0o700)
        except FileExistsError:
            raise SessionError(f"{directory} exists; choose another label") from None
        self.directory = directory
        self._events = 0
        self._calls = itertools.count()
        self._lock = anyio.Lock()

    @property
    def snapshot(self) -> Path:
        """Where the workspace that was handed in is kept."""
        return self.directory / "snapshot.tar.gz"

    def next_call(self) -> int:
        """A number for the next tool call, by which its events belong together."""
        return next(self._calls)

    async def append(
        self, type_: EventType, data: Mapping[str, Any], *, settle: bool = True
    ) -> None:
        """Add an event to the transcript; it is on disk when this returns.

        Args:
            type_: What happened.
            data: What there is to say of it.
            settle: Whether that is awaited; if not, it is there with the next that is.
        """
        with anyio.CancelScope(shield=True):
            async with self._lock:
                event = Event(seq=self._events, at=datetime.now(UTC), type=type_, data=data)
                line = json.dumps(event.model_dump(mode="json"), ensure_ascii=True) + "\n"
                await run_sync(self._write, line.encode(), settle)
                self._events += 1

    def _write(self, line: bytes, settle: bool) -> None:  # noqa: FBT001 - run_sync takes no names
        with (self.directory / "transcript.jsonl").open("ab") as transcript:
            transcript.write(line)
            if settle:
                _settle(transcript)

    async def save(self, session: SessionRecord) -> None:
        """Replace ``session.json``; it is on disk when this returns."""
        text = session.model_dump_json(indent=2) + "\n"
        with anyio.CancelScope(shield=True):
            await run_sync(write_atomically, self.directory / RECORD, text.encode())

    @asynccontextmanager
    async def new_snapshot(self, place: Path | None = None) -> AsyncGenerator[HashingWriter]:
        """A file to write the workspace to, uncompressed; kept only if the body succeeds.

        Args:
            place: Where it is kept; None where the snapshot of what is handed in belongs.
        """
        place = place or self.snapshot
        temporary = place.with_suffix(".tmp")
        try:
            with temporary.open("wb") as file:
                with gzip.GzipFile("", "wb", COMPRESSION, file, mtime=0) as compressed:
                    yield HashingWriter(compressed)
                await run_sync(_settle, file)
            temporary.rename(place)
        finally:
            temporary.unlink(missing_ok=True)

    async def unpack(self, answer: str) -> None:
        """Lay out a copy of what was submitted for people to read."""
        target = self.directory / "submission"
        await run_sync(extract, self.snapshot, target / "workspace")
        await run_sync(write_atomically, target / "ANSWER.md", answer.encode("utf-8", "replace"))


def earlier_attempts(records: Path) -> Counter[tuple[str, str]]:
    """How many sessions each principal has had on each task, by all the records of a directory."""
    counts: Counter[tuple[str, str]] = Counter()
    for directory in session_directories(records):
        path = directory / RECORD
        try:
            record = json.loads(path.read_bytes())
            counts[record.get("principal", OWNER), record["task_id"]] += 1
        except (OSError, ValueError, LookupError, AttributeError, TypeError):
            logger.warning("%s is no record of a session", path)
    return counts


def session_directories(root: Path) -> Iterator[Path]:
    """Where sessions lie at or below `root`, in order.

    Nothing below a session is looked at: there lies what its agent handed in, and that may hold
    records of its own making.
    """
    for place, below, files in os.walk(root):
        if RECORD in files:
            below.clear()
            yield Path(place)
        below.sort()


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, and wait until it is on disk."""
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb") as file:
        file.write(data)
        _settle(file)
    temporary.rename(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _settle(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
