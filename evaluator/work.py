"""What a grader is given: the task, what was handed in, and how to open a fresh sandbox."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import anyio
from anyio.to_thread import run_sync

from proctor.evaluator.documents import parse_json
from proctor.evaluator.judge.panel import Judge
from proctor.evaluator.verdicts import OpensVerdicts, VerdictSandbox, open_verdict_sandbox
from proctor.sandbox_backends.archive import copy_file, read_file
from proctor.sandbox_backends.base import Backend
from proctor.schemas.competition import Compat
from proctor.schemas.errors import ProctorError, SubmissionError
from proctor.schemas.task import Task

MAX_DOCUMENT_BYTES = 1 << 20
T = TypeVar("T")

MISSING = "it does not exist in the workspace that was handed in"


@dataclass(frozen=True)
class Work:
    """A submission, as graders see it."""

    task: Task
    answer: str
    snapshot: Path
    """The compressed archive of the workspace."""
    snapshot_sha256: str
    """Of the uncompressed archive."""
    seed: int
    """What random inputs are drawn from."""
    backend: Backend
    judge: Judge | None = None
    """What reads prose; None leaves it ungraded."""
    compat: Compat = "strict"
    """By which rule a competition's submission is read and aligned."""
    verdicts: OpensVerdicts | None = None
    """Opens the verdict sandbox that all graders share; without it, each opens its own."""
    _shared: dict[Any, Any] = field(default_factory=dict[Any, Any])
    _locks: dict[Any, anyio.Lock] = field(default_factory=dict[Any, anyio.Lock])

    async def once(self, key: object, make: Callable[[], Awaitable[T]]) -> T:
        """What several criteria share, such as a probe's verdicts: made by the first that asks.

        Raises:
            ProctorError: It cannot be made, as was found out once for all of them.
        """
        async with self._locks.setdefault(key, anyio.Lock()):
            if key not in self._shared:
                try:
                    self._shared[key] = await make()
                except ProctorError as error:
                    self._shared[key] = error
        found: T | ProctorError = self._shared[key]
        if isinstance(found, ProctorError):
            raise found
        return found

    def made(self, key: object) -> Any:  # noqa: ANN401 - whatever was made
        """What `once` has made; None where it has not, or could not."""
        found = self._shared.get(key)
        return None if isinstance(found, ProctorError) else found

    @asynccontextmanager
    async def verdict_sandbox(self) -> AsyncGenerator[VerdictSandbox]:
        """Where this task's verdict code runs.

        Raises:
            SandboxError: It does not come up.
        """
        opens = self.verdicts or partial(open_verdict_sandbox, self.backend, self.task)
        async with opens() as sandbox:
            yield sandbox

    async def read(self, path: str, *, max_bytes: int = MAX_DOCUMENT_BYTES) -> bytes | None:
        """One file of the workspace; None where there is none.

        Raises:
            SubmissionError: It is larger than `max_bytes`.
        """
        try:
            return await run_sync(lambda: read_file(self.snapshot, path, max_bytes=max_bytes))
        except ValueError as error:
            raise SubmissionError(str(error)) from error

    @asynccontextmanager
    async def file(self, path: str, *, max_bytes: int) -> AsyncGenerator[Path]:
        """One file of the workspace, copied to a place of its own for as long as it is read.

        Raises:
            SubmissionError: It is missing, no plain file, or larger than `max_bytes`.
        """
        with TemporaryDirectory(prefix="proctor-file-") as place:
            copy = Path(place, Path(path).name)
            try:
                await run_sync(copy_file, self.snapshot, path, copy, max_bytes)
            except (FileNotFoundError, ValueError) as error:
                raise SubmissionError(str(error)) from error
            yield copy

    async def read_json(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """One JSON file of the workspace.

        Raises:
            SubmissionError: It is missing, too large, or not JSON as `parse_json` reads it.
        """
        data = await self.read(path)
        if data is None:
            raise SubmissionError(f"{path}: {MISSING}")
        return parse_json(data, path)
