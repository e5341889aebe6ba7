"""A run's directory: what is in it stays true whenever the run is killed.

run.json                    what the run is made of
<label>/result.json         a session that has come to its end
<label>/trajectory.json     what its model was told, said and did, in ATIF, where one took part
<label>/progress.jsonl      what the agent has told of one that has not
<label>/...                 the server's record, where the server is the run's own
.earlier/<label>/<n>/       sessions that were held again: their evidence
summary.json                all results, once the run has come to its end
"""

import json
import os
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from anyio.to_thread import run_sync
from filelock import FileLock, Timeout
from pydantic import ValidationError

from proctor.schemas.base import Value
from proctor.schemas.errors import RunError
from proctor.schemas.result import AgentReport, RunResult
from proctor.schemas.run import Attempt, Lock
from proctor.schemas.session import SessionRecord
from proctor.schemas.trajectory import Step

LOCK, RESULT, PROGRESS, SUMMARY = "run.json", "result.json", "progress.jsonl", "summary.json"
TRAJECTORY = "trajectory.json"
EARLIER = ".earlier"
IN_USE = ".in-use"


class RunDirectory:
    """The files of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @asynccontextmanager
    async def held(self) -> AsyncGenerator[None]:
        """Keep other processes from running here.

        Raises:
            RunError: One does.
        """
        lock = FileLock(self.path / IN_USE)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise RunError(f"another process runs in {self.path}; wait for its end") from None
        try:
            yield
        finally:
            lock.release()  # its file stays: removing it would let two hold the run
            if not (self.path / LOCK).exists():  # it could not begin: nothing is left behind
                (self.path / IN_USE).unlink(missing_ok=True)
                with suppress(OSError):
                    self.path.rmdir()

    def lock(self) -> Lock:
        """What the run is made of.

        Raises:
            RunError: The directory holds no run, or one of another version.
        """
        path = self.path / LOCK
        try:
            return Lock.model_validate_json(path.read_bytes())
        except OSError as error:
            raise RunError(f"{self.path} holds no run: {LOCK}: {error.strerror}") from error
        except ValidationError as error:
            problem = error.errors()[0]
            key = ".".join(map(str, problem["loc"]))
            raise RunError(f"{path} cannot be read: {key}: {problem['msg']}") from error

    async def save(self, name: str, value: Value) -> None:
        """Write one of the run's own files, whole or not at all."""
        await _write(self.path / name, value)

    def result(self, attempt: Attempt) -> RunResult | None:
        """The result of an attempt that has come to its end, if it has."""
        return read_result(self.path / attempt.label / RESULT)

    async def save_result(self, attempt: Attempt, result: RunResult) -> None:
        """Keep a session's result; what the agent told on the way is part of it."""
        place = self.path / attempt.label
        await _write(place / RESULT, result)
        (place / PROGRESS).unlink(missing_ok=True)

    def record(self, attempt: Attempt) -> SessionRecord | None:
        """The server's record of an attempt, where the server is the run's own."""
        try:
            data = (self.path / attempt.label / "session.json").read_bytes()
            return SessionRecord.model_validate_json(data)
        except (OSError, ValidationError):
            return None

    def set_aside(self, attempt: Attempt) -> None:
        """Keep what there is of an attempt elsewhere, so that it can be made again."""
        place = self.path / attempt.label
        if place.exists():
            target = self.path / EARLIER / attempt.label / str(self.times_set_aside(attempt) + 1)
            target.parent.mkdir(parents=True, exist_ok=True)
            place.rename(target)

    def times_set_aside(self, attempt: Attempt) -> int:
        """How often the attempt was made before."""
        place = self.path / EARLIER / attempt.label
        return len(list(place.iterdir())) if place.exists() else 0

    def tell(self, attempt: Attempt, report: AgentReport, told: int) -> None:
        """Keep what an agent has told so far; on disk, though the machine may still lose it.

        Args:
            attempt: Whose session it is.
            report: All that it has told.
            told: How many steps of the trace were told before.
        """
        new = report.model_copy(update={"trace": report.trace[told:]})
        line = new.model_dump_json(exclude={"tools"} if told else set())
        path = self.path / attempt.label / PROGRESS
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")

    def told(self, place: Path) -> AgentReport | None:
        """What an agent had told when it was stopped, in a session's directory."""
        report: AgentReport | None = None
        trace: tuple[Step, ...] = ()
        tools: tuple[dict[str, Any], ...] = ()
        try:
            for line in (place / PROGRESS).read_bytes().split(b"\n"):
                report = AgentReport.model_validate_json(line)
                trace, tools = trace + report.trace, tools or report.tools
        except (OSError, ValidationError):  # none, or the end: empty, or still being written
            pass
        return report.model_copy(update={"trace": trace, "tools": tools}) if report else None

    def told_by(self, attempt: Attempt) -> AgentReport | None:
        """What an attempt's agent had told when it was stopped."""
        return self.told(self.path / attempt.label)

    def told_of(self, attempt: Attempt) -> Iterator[AgentReport]:
        """What an attempt's agents have told, those included that it was taken from."""
        earlier = self.path / EARLIER / attempt.label
        places = sorted(earlier.iterdir()) if earlier.exists() else []
        for place in (*places, self.path / attempt.label):
            if (result := read_result(place / RESULT)) is not None:
                yield AgentReport.model_validate(result.metadata)
            elif (report := self.told(place)) is not None:
                yield report


def read_result(path: Path) -> RunResult | None:
    """A session's result, where `path` holds one."""
    try:
        return RunResult.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


async def _write(path: Path, value: Value) -> None:
    text = json.dumps(value.model_dump(mode="json"), indent=2) + "\n"
    await run_sync(_replace, path, text)


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
