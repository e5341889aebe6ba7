"""Commands and jobs, as the helper keeps them: their output and their end."""

from __future__ import annotations

import itertools
import json
import math
import os
import signal
import time

from proctor.sandbox_backends.helper.output import Capture
from proctor.sandbox_backends.helper.processes import KILL_WITHIN_S, send_signal
from proctor.sandbox_backends.helper.supervisor import CANNOT_RUN, Supervisor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


ENDED_JOBS = 100
ARGV_SHOWN = 1000


class Command:
    """A command. It is a job once it was answered before its end."""

    def __init__(self, request: dict[str, Any], spool: str, supervisor: Supervisor) -> None:
        self.id: int = request["id"]
        self.started = time.monotonic()
        self.deadline = _moment(self.started, request["timeout"])
        self.answer_by = _moment(self.started, request["foreground"])
        self.request = request
        self.argv: list[str] = request["argv"]
        self.stack: bool | None = None
        self.job: int | None = None
        self.ended_at: float | None = None
        self.timed_out = self.killed = self.answered = self.given_up = self.over = False
        self.exit: int | None = None
        self.problem = ""
        self.supervisor = supervisor
        self._report = b""
        self.stdout = Capture(supervisor.stdout, request["limit"], spool + ".stdout")
        self.stderr = Capture(supervisor.stderr, request["limit"], spool + ".stderr")
        supervisor.order({name: request[name] for name in ("argv", "cwd", "env", "rlimits")})

    @property
    def ended(self) -> bool:
        """Whether it has come to its end, of itself or killed with all that it left."""
        return self.over or (self.exit is not None and not self.killed)

    def kill(self) -> None:
        """Have the supervisor kill the whole tree; it reports when that is done."""
        if not self.killed:
            self.killed = True
            self.deadline = time.monotonic() + KILL_WITHIN_S + 1
            self.supervisor.kill()

    def expire(self) -> None:
        """The deadline has passed: of the command, or of the supervisor that was to kill it.

        The agent's code can stop a supervisor. Killing it ends its report, upon which the helper
        kills what it watched over.
        """
        if self.killed:
            self.given_up = True
            send_signal([self.supervisor.pid], signal.SIGKILL)
        else:
            self.timed_out = True
            self.kill()

    def read_report(self) -> bool:
        """Take in what the supervisor reports. False once it is gone."""
        data = os.read(self.supervisor.report, 4096)
        *lines, self._report = (self._report + data).split(b"\n")
        for line in lines:
            report = json.loads(line)
            self.exit = report.get("exit", self.exit)
            self.problem = report.get("problem", self.problem)
            self.over = "over" in report
        return bool(data)

    def end(self) -> None:
        """It has come to its end. What it left in the background has no deadline any more.

        Without a report, somebody killed the supervisor.
        """
        self.ended_at = time.monotonic()
        if self.exit is None:
            self.exit = 128 + signal.SIGKILL
        if not self.killed:
            self.deadline = math.inf
        if self.problem:
            self.stderr.take(self.problem.encode())
        for capture in (self.stdout, self.stderr):
            capture.finish()

    def result(self) -> tuple[dict[str, Any], bytes]:
        """How it ended, or that it goes on, and its output."""
        self.answered = True
        self.answer_by = math.inf
        stdout, out = self.stdout.so_far()
        stderr, err = self.stderr.so_far()
        about = {
            "exit_code": self.exit if self.ended_at else None,
            "timed_out": self.timed_out,
            "duration": self.duration,
            "job": self.job,
            "stdout": stdout,
            "stderr": stderr,
        }
        return about, out + err

    def as_job(self) -> dict[str, Any]:
        """How it stands with a job."""
        return {
            "id": self.job,
            "argv": _shortened(self.argv),
            "running": self.ended_at is None,
            "exit_code": self.exit if self.ended_at and not self.killed else None,
            "timed_out": self.timed_out,
            "duration_s": self.duration,
            "stdout_bytes": self.stdout.total,
            "stderr_bytes": self.stderr.total,
        }

    @property
    def duration(self) -> float:
        """Seconds that it has run, or ran."""
        return (self.ended_at or time.monotonic()) - self.started


class Jobs:
    """The jobs of a sandbox, and who waits for their end. The longest ended are forgotten."""

    def __init__(self) -> None:
        self.known: dict[int, Command] = {}
        self.waiting: list[tuple[float, dict[str, Any], Command]] = []
        self._numbers = itertools.count(1)

    def add(self, command: Command) -> None:
        """Make a command a job."""
        command.job = next(self._numbers)
        self.known[command.job] = command
        ended = [job for job in self.known.values() if job.ended_at]
        for old in ended[: max(len(ended) - ENDED_JOBS, 0)]:
            self.forget(old)

    def forget(self, command: Command) -> None:
        """Forget a job that has ended."""
        if command.job is not None:
            self.known.pop(command.job, None)
        for capture in (command.stdout, command.stderr):
            capture.forget()

    def __getitem__(self, number: int) -> Command:
        """A job.

        Raises:
            LookupError: There is none of that number.
        """
        try:
            return self.known[number]
        except KeyError:
            raise LookupError(f"there is no job {number}") from None

    def due(self) -> list[tuple[dict[str, Any], Command]]:
        """The requests that have waited long enough, or whose job has ended, with that job."""
        now = time.monotonic()
        due = [each for each in self.waiting if now >= each[0] or each[2].ended_at is not None]
        self.waiting = [each for each in self.waiting if each not in due]
        return [(request, job) for _, request, job in due]


def never_run(error: OSError) -> tuple[dict[str, Any], bytes]:
    """The result of a command for which there was nothing left to run it with."""
    output = f"cannot run it: {error}".encode()
    nothing = {"head": 0, "tail": 0, "total": 0, "spool": None}
    about = {
        "exit_code": CANNOT_RUN,
        "timed_out": False,
        "oom_killed": False,
        "duration": 0.0,
        "job": None,
        "stdout": nothing,
        "stderr": {**nothing, "tail": len(output), "total": len(output)},
    }
    return about, output


def _shortened(argv: list[str]) -> list[str]:
    """Arguments for a list: of long ones the beginning, since many jobs must fit into it."""
    shown: list[str] = []
    left = ARGV_SHOWN
    for argument in argv:
        if left <= 0:
            return [*shown, "…"]
        shown.append(argument if len(argument) <= left else argument[:left] + "…")
        left -= len(argument) + 1
    return shown


def _moment(start: float, seconds: float | None) -> float:
    return math.inf if seconds is None else start + seconds
