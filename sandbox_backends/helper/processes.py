"""Commands: their output, their end, and everything that they leave behind.

Each command has a *supervisor*, a forked child that adopts whatever the command leaves behind (a
child subreaper). So the command's whole process tree, daemons included, can be killed, and
nothing else. A supervisor lives until the last of its tree is gone.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import math
import os
import resource
import selectors
import signal
import sys
import time
from collections.abc import Iterable
from typing import Any, NoReturn

from proctor.sandbox_backends.helper.files import LIBC

SPOOL_BYTES = 32 << 20  # a flood must not fill the sandbox's memory
ALL_SPOOLS_BYTES = 64 << 20
KILL_WITHIN_S = 5.0
READS_PER_TURN = 64
CANNOT_RUN = 126
MAX_FDS = 65536

PR_SET_DUMPABLE = 4
PR_SET_CHILD_SUBREAPER = 36
SYS_KEYCTL = {"x86_64": 250, "aarch64": 219}
KEYCTL_JOIN_SESSION_KEYRING = 1
NOT_OURS = (signal.SIGPIPE, signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGHUP)


def prctl(option: int, value: int) -> None:
    """Set a property of this process, where there is such a thing."""
    if sys.platform == "linux":
        LIBC.prctl(option, ctypes.c_ulong(value), 0, 0, 0)


def join_new_keyring() -> None:
    """Leave the session keyring of whoever started this, which crosses namespaces."""
    number = SYS_KEYCTL.get(os.uname().machine)
    if sys.platform == "linux" and number is not None:
        LIBC.syscall(number, KEYCTL_JOIN_SESSION_KEYRING, None)


def touch_files_as(user: int, group: int) -> None:
    """Have this process open and make files as another user would, its rights to signal kept.

    To that user's processes, it stays as much out of reach as it was.
    """
    os.setgroups([])
    LIBC.setfsgid(group)
    LIBC.setfsuid(user)


def descendants(root: int, spare: Iterable[int] = ()) -> list[int]:
    """Every live process below `root`, without those in `spare` and what is below them."""
    below: dict[int, list[int]] = {}
    for pid, parent in _parents().items():
        below.setdefault(parent, []).append(pid)
    spared = set(spare)
    found: list[int] = []
    todo = [root]
    while todo:
        for pid in below.get(todo.pop(), ()):
            if pid not in spared:
                found.append(pid)
                todo.append(pid)
    return found


def _parents() -> dict[int, int]:
    """The parent of every live process that can be seen."""
    if sys.platform != "linux":
        with os.popen("ps -axo pid=,ppid=") as listing:  # noqa: S605, S607 - no /proc there
            return {int(pid): int(parent) for pid, parent in map(str.split, listing)}
    found: dict[int, int] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
                state, parent = file.read().rpartition(b")")[2].split()[:2]
                if state != b"Z":
                    found[int(name)] = int(parent)
    return found


def send_signal(pids: Iterable[int], number: int) -> None:
    """Send a signal to processes, some of which may be gone."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def reap() -> tuple[list[tuple[int, int]], bool]:
    """Collect every child that has ended, with its exit code, and whether none is left."""
    ended: list[tuple[int, int]] = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended, True
        if pid == 0:
            return ended, False
        code = os.waitstatus_to_exitcode(status)
        ended.append((pid, 128 - code if code < 0 else code))


def kill_tree(root: int, deadline: float) -> bool:
    """Kill all descendants of `root` until none is left; False if some are, at the deadline.

    They are stopped first, all of them, so that none can fork while others are killed.
    """
    while time.monotonic() < deadline:
        stopped: set[int] = set()
        while fresh := set(descendants(root)) - stopped:
            send_signal(fresh, signal.SIGSTOP)
            stopped |= fresh
        if not stopped:
            return True
        send_signal(stopped, signal.SIGKILL)
        reap()
        time.sleep(0.001)
    return False


def wake_on_child() -> int:
    """A descriptor that can be read whenever a child has ended."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.signal(signal.SIGCHLD, _note)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    return read


def _note(number: int, frame: object) -> None:
    """Do nothing: that there is a handler makes the signal wake `wake_on_child`'s descriptor."""


class Capture:
    """One output stream of a command: its head and tail, and the whole in a file if it is long."""

    def __init__(self, fd: int, limit: int, spool_path: str) -> None:
        self.fd, self.limit, self.spool_path = fd, limit, spool_path
        self.head, self.tail = b"", bytearray()  # up to the limit, the tail is everything
        self.total = self.spooled = 0
        self.spool: int | None = None
        self.ended = self.finished = False
        os.set_blocking(fd, False)

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

    def __init__(self, request: dict[str, Any], spool: str) -> None:
        self.id: int = request["id"]
        self.started = time.monotonic()
        self.deadline: float = self.started + request["timeout"]
        self.timed_out = self.killed = self.answered = self.given_up = False
        self.exit: int | None = None
        self.problem = ""
        self._report = b""
        out_read, out_write = os.pipe()
        err_read, err_write = os.pipe()
        control_read, self.control = os.pipe()
        self.status, status_write = os.pipe()
        kept = (out_write, err_write, control_read, status_write)
        self.supervisor = os.fork()
        if self.supervisor == 0:
            _supervise(request, *kept)
        for fd in kept:
            os.close(fd)
        self.stdout = Capture(out_read, request["limit"], spool + ".stdout")
        self.stderr = Capture(err_read, request["limit"], spool + ".stderr")

    @property
    def over(self) -> bool:
        """Whether there is something to answer: it has ended by itself."""
        return self.exit is not None and not self.killed

    def kill(self) -> None:
        """Have the supervisor kill the whole tree; its report ends when that is done."""
        if not self.killed:
            self.killed = True
            self.deadline = time.monotonic() + KILL_WITHIN_S + 1
            with contextlib.suppress(BrokenPipeError):
                os.write(self.control, b"k")

    def expire(self) -> None:
        """The deadline has passed: of the command, or of the supervisor that was to kill it.

        The agent's code can stop a supervisor. Killing it ends its report, upon which the helper
        kills what it watched over.
        """
        if self.killed:
            self.given_up = True
            send_signal([self.supervisor], signal.SIGKILL)
        else:
            self.timed_out = True
            self.kill()

    def read_report(self) -> bool:
        """Take in the supervisor's report. False once that has ended."""
        data = os.read(self.status, 4096)
        *lines, self._report = (self._report + data).split(b"\n")
        for line in lines:
            report = json.loads(line)
            self.exit, self.problem = report["exit"], report["problem"]
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

    def close(self) -> None:
        """Let go of the supervisor, which is gone."""
        os.close(self.status)
        os.close(self.control)


def _supervise(
    request: dict[str, Any], stdout: int, stderr: int, control: int, status: int
) -> NoReturn:
    """Run a command, report how it ended, and kill its whole tree when told to."""
    try:
        _keep_only(stdout, stderr, control, status)
        os.setsid()
        prctl(PR_SET_CHILD_SUBREAPER, 1)
        woken = wake_on_child()
        failure_read, failure_write = os.pipe()
        main = os.fork()
        if main == 0:
            signal.set_wakeup_fd(-1)
            _become(request, stdout, stderr, failure_write)
        for fd in (stdout, stderr, failure_write):
            os.close(fd)
        selector = selectors.DefaultSelector()
        selector.register(woken, selectors.EVENT_READ)
        selector.register(control, selectors.EVENT_READ)
        while True:
            ended, childless = reap()
            if main in dict(ended):
                problem = os.read(failure_read, 2000).decode("utf-8", "replace")
                report = {"exit": dict(ended)[main], "problem": problem}
                os.write(status, json.dumps(report).encode() + b"\n")
            if childless:
                os._exit(0)
            for key, _ in selector.select():
                if key.fd == control:  # told to, or the helper is gone
                    kill_tree(os.getpid(), time.monotonic() + KILL_WITHIN_S)
                    os._exit(0)
                os.read(woken, 4096)
    finally:
        os._exit(70)


def _become(request: dict[str, Any], stdout: int, stderr: int, failure: int) -> NoReturn:
    """Turn this process into the command."""
    try:
        os.setsid()
        for number in NOT_OURS:
            signal.signal(number, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(stdout, 1)
        os.dup2(stderr, 2)
        os.chdir(request["cwd"])
        for name, value in request["rlimits"].items():
            _limit(getattr(resource, name), value)
        os.set_inheritable(failure, False)  # noqa: FBT003 - the system's signature
        os.closerange(3, failure)
        os.closerange(failure + 1, MAX_FDS)
        if request["user"]:
            _turn_into(*request["user"])
        _offer_to_the_oom_killer()
        os.execvpe(request["argv"][0], request["argv"], request["env"])
    except (OSError, ValueError) as error:
        os.write(failure, f"cannot run it: {error}".encode("utf-8", "replace")[:2000])
    finally:
        os._exit(CANNOT_RUN)


def _turn_into(user: int, group: int) -> None:
    """Become another user for good, whose every id this is; capabilities go with root."""
    os.setgroups([])
    os.setresgid(group, group, group)
    os.setresuid(user, user, user)


def _offer_to_the_oom_killer() -> None:
    """When memory runs out, have this killed rather than the helper."""
    with contextlib.suppress(OSError):
        prctl(PR_SET_DUMPABLE, 1)  # or the file would not be ours to write
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")


def _limit(number: int, value: int) -> None:
    hard = resource.getrlimit(number)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(number, (value, value))


def _keep_only(*fds: int) -> None:
    """Close every other descriptor, so that no end of anybody else's pipe is held open."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    previous = 2
    for fd in sorted(fds):
        os.closerange(previous + 1, fd)
        previous = fd
    os.closerange(previous + 1, MAX_FDS)
