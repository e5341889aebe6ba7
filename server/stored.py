"""Sessions as they lie on disk: what a run or a server has left."""

import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from gzip import BadGzipFile
from gzip import open as open_gzip
from pathlib import Path

from pydantic import ValidationError

from proctor.evaluator.judge.panel import Judge
from proctor.evaluator.work import Work
from proctor.sandbox_backends.base import Backend
from proctor.schemas.competition import Compat
from proctor.schemas.errors import SessionError
from proctor.schemas.session import SessionRecord, Submission
from proctor.schemas.task import Task
from proctor.server.record import RECORD, session_directories

CHUNK = 1 << 20


@dataclass(frozen=True)
class StoredSession:
    """A session's record, and where it lies."""

    directory: Path
    record: SessionRecord

    @classmethod
    def at(cls, directory: Path) -> "StoredSession":
        """Read a session's record.

        Raises:
            SessionError: There is none, or it makes no sense.
        """
        path = directory / RECORD
        try:
            return cls(directory, SessionRecord.model_validate_json(path.read_bytes()))
        except OSError as error:
            raise SessionError(f"{path} cannot be read: {error.strerror}") from error
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"])) or "the file"
            raise SessionError(
                f"{path} is no record of a session: {key}: {first['msg']}"
            ) from error

    @property
    def snapshot(self) -> Path:
        """The workspace that was handed in, packed."""
        return self.directory / "snapshot.tar.gz"

    @property
    def submission(self) -> Submission:
        """What was handed in.

        Raises:
            SessionError: Nothing was, or it cannot be graded.
        """
        found = self.record.submission
        if found is None:
            raise SessionError(f"{self.directory}: nothing was handed in ({self.record.state})")
        if found.snapshot_sha256 is None:
            raise SessionError(f"{self.directory}: {found.problem or 'no workspace was kept'}")
        return found

    def snapshot_problem(self) -> str | None:
        """Why the workspace on disk is not the one that was handed in; None where it is.

        Raises:
            SessionError: Nothing was handed in.
        """
        seal = hashlib.sha256()
        try:
            with open_gzip(self.snapshot) as file:
                while chunk := file.read(CHUNK):
                    seal.update(chunk)
        except (OSError, EOFError, BadGzipFile, zlib.error) as error:
            return f"{self.snapshot} cannot be read: {error}"
        if seal.hexdigest() != self.submission.snapshot_sha256:
            return f"{self.snapshot} was changed since it was handed in"
        return None

    def work(
        self,
        task: Task,
        backend: Backend,
        judge: Judge | None = None,
        compat: Compat = "strict",
    ) -> Work:
        """What graders are given of it.

        Raises:
            SessionError: What was handed in is not there, or not what it was.
        """
        submission = self.submission
        if problem := self.snapshot_problem():
            raise SessionError(problem)
        return Work(
            task=task,
            answer=submission.answer,
            snapshot=self.snapshot,
            snapshot_sha256=submission.snapshot_sha256 or "",
            seed=submission.seed,
            backend=backend,
            judge=judge,
            compat=compat,
        )


def stored_sessions(root: Path) -> Iterator[StoredSession]:
    """Every session below `root`, by path; not those that a run has set aside.

    Raises:
        SessionError: A record makes no sense.
    """
    for directory in session_directories(root):
        if not any(part.startswith(".") for part in directory.relative_to(root).parts):
            yield StoredSession.at(directory)
