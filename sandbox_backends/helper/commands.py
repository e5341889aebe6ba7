"""Commands: their output, and their end, as the helper keeps them."""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import time

from proctor.sandbox_backends.helper.processes import KILL_WITHIN_S, send_signal
from proctor.sandbox_backends.helper.supervisor import Supervisor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SPOOL_BYTES = 32 << 20  # a flood must not fill the sandbox's memory
ALL_SPOOLS_BYTES = 64 << 20
READS_PER_TURN = 64


class Capture:
    """One output stream of a command: its head and tail, and the whole in a file if it is long."""

    def __init__(self, fd: int, limit: int, spool_path: str) -> None:
        self.fd, self.limit, self.spool_path = fd, limit, spool_path
        self.head, self.tail = b"", bytearray()  # up to the limit, the tail is everything
        self.total = self.spooled = 0
        self.spool: int | None = None
        self.ended = self.finished = False

    def drain(self) -> bool:
        """Take what is there, in bounded time. False once the stream has ended."""
        for _ in range(0 if self.ended else READS_PER_TURN):
            try:
                data = os.read(self.fd, 1 << 16)
            except BlockingIOError:
                return True
            self.ended = not data
            if self.ended:
                break
            if not self.finished:
                self.take(data)
        return not self.ended

    def take(self, data: bytes) -> None:
        """Add `data` to what was captured."""
        overflowed = self.total > self.limit
        self.total += len(data)
        self.tail += data
        if self.total <= self.limit:
            return
        if overflowed:
            self._write_spool(data)
        else:
            with contextlib.suppress(OSError):
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
                self.spool = os.open(self.spool_path, flags, 0o644)
            self._write_spool(self.tail)
            self.head = bytes(self.tail[: self.limit // 2])
        del self.tail[: max(len(self.tail) - (self.limit - self.limit // 2), 0)]

    def _write_spool(self, data: bytes | bytearray) -> None:
        left = memoryview(bytes(data))[: SPOOL_BYTES - self.spooled]
        while self.spool is not None and left:
            try:
                written = os.write(self.spool, left)
            except OSError:  # the disk is full: what is there stays
                self._close_spool()
                return
            self.spooled += written
            left = left[written:]

    def _close_spool(self) -> None:
        if self.spool is not None:
            os.close(self.spool)
            self.spool = None

    def finish(self) -> tuple[dict[str, Any], bytes]:
        """What was captured. Whatever survivors write later is read and thrown away."""
        self.drain()
        self.finished = True
        self._close_spool()
        captured = self.head + bytes(self.tail)
        about = {
            "head": len(self.head),
            "tail": len(self.tail),
            "total": self.total,
            "spool": self.spool_path if self.spooled else None,
        }
        self.tail.clear()
        return about, captured


class Command:
    """A running command."""

    def __init__(self, request: dict[str, Any], spool: str, supervisor: Supervisor) -> None:
        self.id: int = request["id"]
        self.started = time.monotonic()
        self.deadline: float = self.started + request["timeout"]
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
        """Whether there is something to answer: it has ended by itself."""
        return self.exit is not None and not self.killed

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

    def result(self) -> tuple[dict[str, Any], bytes]:
        """How it ended, and its output. Without a report, somebody killed the supervisor.

        What it left in the background has no deadline any more.
        """
        self.answered = True
        if not self.killed:
            self.deadline = math.inf
        if self.problem:
            self.stderr.take(self.problem.encode())
        stdout, out = self.stdout.finish()
        stderr, err = self.stderr.finish()
        about = {
            "exit_code": 128 + signal.SIGKILL if self.exit is None else self.exit,
            "timed_out": self.timed_out,
            "duration": time.monotonic() - self.started,
            "stdout": stdout,
            "stderr": stderr,
        }
        return about, out + err
