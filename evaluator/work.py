"""What a grader is given: the task, what was handed in, and how to open a fresh sandbox."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from anyio.to_thread import run_sync

from proctor.evaluator.judge.panel import Judge
from proctor.sandbox_backends.archive import read_file
from proctor.sandbox_backends.base import Backend
from proctor.schemas.errors import SubmissionError
from proctor.schemas.task import Task

MAX_DOCUMENT_BYTES = 1 << 20
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
    memo: dict[Any, Any] = field(default_factory=dict[Any, Any])
    """What several criteria share, such as a probe's verdicts; dies with the grading."""

    async def read(self, path: str, *, max_bytes: int = MAX_DOCUMENT_BYTES) -> bytes | None:
        """One file of the workspace; None where there is none.

        Raises:
            SubmissionError: It is larger than `max_bytes`.
        """
        try:
            return await run_sync(lambda: read_file(self.snapshot, path, max_bytes=max_bytes))
        except ValueError as error:
            raise SubmissionError(str(error)) from error

    async def read_json(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """One JSON file of the workspace.

        Raises:
            SubmissionError: It is missing, too large, not UTF-8, or not JSON.
        """
        data = await self.read(path)
        if data is None:
            raise SubmissionError(f"{path}: {MISSING}")
        try:
            return json.loads(data.decode("utf-8-sig"), parse_constant=_refuse)
        except RecursionError:
            raise SubmissionError(f"{path} is nested too deeply") from None
        except ValueError as error:
            raise SubmissionError(f"{path} is not JSON in UTF-8: {error}") from error


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a JSON value")
