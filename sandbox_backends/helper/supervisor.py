"""The process between the helper and a command, which answers for all that the command leaves.

A supervisor is a forked child that adopts whatever its command leaves behind (a child subreaper),
so that the whole process tree, daemons included, can be killed, and nothing else. It has become
the agent's user for good and spawns commands without copying itself, which a fork would. Once
nothing of a command is left, it serves the next one; what is left keeps it from that.

Orders come as eight hex digits of length and a JSON object; a length of zero means to kill the
tree, an empty object asks for as much in return. It reports lines of JSON: how the command ended,
and that nothing of its tree is left.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import resource
import select
import selectors
import signal
import time

from proctor.sandbox_backends.helper.landlock import leave_the_kernels_files_alone
from proctor.sandbox_backends.helper.processes import (
    KILL_WITHIN_S,
    PR_SET_CHILD_SUBREAPER,
    PR_SET_DUMPABLE,
    kill_tree,
    prctl,
    reap,
    send_signal,
    wake_on_child,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

CANNOT_RUN = 126
ANSWER_WITHIN_S = 1.0
LENGTH = 8
KILL = b"0" * LENGTH
MAX_FDS = 65536
NOT_OURS = (signal.SIGPIPE, signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGHUP)


class Supervisor:
    """A supervisor, as the helper sees it: where its streams end."""

    def __init__(
        self,
        user: tuple[int, int] | None,
        program: list[str] | None = None,
        env: dict[str, str] | None = None,
    ) -> None:
        """Start one.

        Args:
            user: The agent's user and group; None where that is this process's own.
            program: What it turns into, which must serve orders from descriptor 3 and report
                to 4; by default it goes on as a copy of this process.
            env: The program's environment.
        """
        made: list[int] = []
        try:
            for _ in range(4):
                made += os.pipe()
            self.pid = os.fork()
        except OSError:  # the agent has used up the processes
            for fd in made:
                os.close(fd)
            raise
        orders, self._orders, self.report, report, self.stdout, stdout, self.stderr, stderr = made
        theirs = (orders, report, stdout, stderr)
        if self.pid == 0:
            _supervise(user, (program, env or {}), *theirs)
        for fd in theirs:
            os.close(fd)
        for fd in (self._orders, self.report, self.stdout, self.stderr):
            os.set_blocking(fd, False)

    def order(self, request: dict[str, Any]) -> None:
        """Have a command run; where nothing is asked for, have it answer."""
        data = json.dumps(request).encode()
        self.give(b"%08x" % len(data) + data)

    def kill(self) -> None:
        """Have the whole tree killed."""
        self.give(KILL)

    def give(self, data: bytes) -> None:
        """Write to where it reads its orders."""
        left = memoryview(data)
        with contextlib.suppress(BrokenPipeError):  # it is gone, as its report tells
            while left and self._takes_more():
                left = left[os.write(self._orders, left) :]

    def _takes_more(self) -> bool:
        """Whether there is room for more of an order; one that the agent has stopped is killed."""
        room = select.poll()
        room.register(self._orders, select.POLLOUT)
        if room.poll(KILL_WITHIN_S * 1000):
            return True
        send_signal([self.pid], signal.SIGKILL)
        return False

    def answers(self) -> bool:
        """Whether it is there to serve; one that the agent has stopped is killed.

        It must be idle, with nothing of it left to read.
        """
        self.order({})
        answer = select.poll()
        answer.register(self.report, select.POLLIN)
        if not answer.poll(ANSWER_WITHIN_S * 1000):
            send_signal([self.pid], signal.SIGKILL)
            return False
        return bool(os.read(self.report, 4096))

    def close(self) -> None:
        """Let go of it; one that lives kills what it watches over, and ends."""
        for fd in (self._orders, self.report, self.stdout, self.stderr):
            os.close(fd)


def _supervise(
    user: tuple[int, int] | None,
    program: tuple[list[str] | None, dict[str, str]],
    *fds: int,
) -> NoReturn:
    """Be a supervisor, or become a program that is one."""
    try:
        orders, report, stdout, stderr = fds
        _keep_only(*fds)
        os.setsid()
        prctl(PR_SET_CHILD_SUBREAPER, 1)
        _become_the_agent(user)
        argv, env = program
        if argv:
            _execute(argv, env, *fds)
        supervise(orders, report, lambda order: _spawn(order, stdout, stderr))
    finally:
        os._exit(70)


def supervise(orders: int, report: int, start: Callable[[dict[str, Any]], int]) -> NoReturn:
    """Serve orders until there is nobody who could give one.

    Args:
        orders: A descriptor to read them from.
        report: A descriptor to report to.
        start: Starts what an order asks for, and returns its process id.
    """
    woken = wake_on_child()
    selector = selectors.DefaultSelector()
    selector.register(woken, selectors.EVENT_READ)
    selector.register(orders, selectors.EVENT_READ)
    main = 0
    while True:
        for key, _ in selector.select():
            if key.fd == woken:
                os.read(woken, 4096)
            elif (order := _read_order(orders)) is None:
                _kill_everything()
            elif order:
                main = _begin(order, report, start)
            else:
                tell(report, {})
        ended, childless = reap()
        news: dict[str, Any] = {}
        if main in dict(ended):
            news["exit"] = dict(ended)[main]
        if childless and main:
            main, news["over"] = 0, True
        if news:
            tell(report, news)


def _execute(argv: list[str], env: dict[str, str], *fds: int) -> NoReturn:
    """Become a program, with nothing but its streams, orders and report."""
    orders, report, stdout, stderr = (fcntl.fcntl(fd, fcntl.F_DUPFD, 64) for fd in fds)
    for number in NOT_OURS:
        signal.signal(number, signal.SIG_DFL)
    for fd, place in ((stdout, 1), (stderr, 2), (orders, 3), (report, 4)):
        os.dup2(fd, place)
    os.closerange(5, MAX_FDS)
    os.chdir("/")
    os.execve(argv[0], argv, env)


def _read_order(orders: int) -> dict[str, Any] | None:
    """The next order; None is one to kill. Ends this process where nobody is left to give any."""
    size = int(_read_exactly(orders, LENGTH), 16)
    order: dict[str, Any] | None = json.loads(_read_exactly(orders, size)) if size else None
    return order


def _read_exactly(fd: int, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = os.read(fd, size - len(data))
        if not piece:
            _kill_everything()
            os._exit(0)
        data += piece
    return data


def _kill_everything() -> None:
    if not kill_tree(os.getpid(), time.monotonic() + KILL_WITHIN_S):
        os._exit(1)  # upon which the helper does what it can


def _begin(order: dict[str, Any], report: int, start: Callable[[dict[str, Any]], int]) -> int:
    """Start a command; where it cannot run, report that it ended at once."""
    try:
        os.chdir(order["cwd"])
        for name, value in order["rlimits"].items():
            _limit(getattr(resource, name), value)
        return start(order)
    except (OSError, ValueError) as error:
        problem = f"cannot run it: {error}".encode("utf-8", "replace")[:2000]
        tell(report, {"exit": CANNOT_RUN, "problem": problem.decode("utf-8", "replace")})
        return -1  # of which nothing is left


def _spawn(order: dict[str, Any], stdout: int, stderr: int) -> int:
    argv, env = order["argv"], order["env"]
    streams = (
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, stdout, 1),
        (os.POSIX_SPAWN_DUP2, stderr, 2),
    )
    return os.posix_spawn(
        _program(argv[0], env),
        argv,
        env,
        file_actions=streams,
        setsid=True,
        setsigmask=(),
        setsigdef=NOT_OURS,
    )


def _program(name: str, env: dict[str, str]) -> str:
    """The path of a program, looked for as a shell would."""
    if "/" in name:
        return name
    for place in os.get_exec_path(env):
        path = f"{place}/{name}"
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    raise FileNotFoundError(f"there is no program {name!r}")


def _become_the_agent(user: tuple[int, int] | None) -> None:
    """Turn into the agent's user, which every command then is."""
    if user:
        os.setgroups([])
        os.setresgid(user[1], user[1], user[1])
        os.setresuid(user[0], user[0], user[0])
    with contextlib.suppress(OSError):
        prctl(PR_SET_DUMPABLE, 1)  # or the file would not be ours to write
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")  # when memory runs out, have this killed rather than the helper
    leave_the_kernels_files_alone()  # or that could be undone
    prctl(PR_SET_DUMPABLE, 0)  # the same user's code can neither trace this nor read its memory


def _limit(number: int, value: int) -> None:
    hard = resource.getrlimit(number)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(number, (value, value))


def tell(report: int, about: dict[str, Any]) -> None:
    """Report something."""
    os.write(report, json.dumps(about).encode() + b"\n")


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
