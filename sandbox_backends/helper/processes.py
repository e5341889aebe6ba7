"""Processes: whose they are, how they end, and how a whole tree of them is killed."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time

from proctor.sandbox_backends.helper.files import LIBC

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

KILL_WITHIN_S = 5.0
OOM_COUNTERS = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")

PR_SET_DUMPABLE = 4
PR_SET_CHILD_SUBREAPER = 36
SYS_KEYCTL = {"x86_64": 250, "aarch64": 219}
KEYCTL_JOIN_SESSION_KEYRING = 1


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


def oom_kills() -> int:
    """How many processes of this sandbox the kernel has killed because memory ran out."""
    for path in OOM_COUNTERS:
        with contextlib.suppress(OSError), open(path) as file:
            counters = dict(line.split() for line in file)
            return int(counters.get("oom_kill", 0))
    return 0


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


def kill_tree(root: int, deadline: float, spare: Iterable[int] = ()) -> bool:
    """Kill all descendants of `root` until none is left; False if some are, at the deadline.

    Those in `spare` stay, with what is below them. The others are stopped first, all of them, so
    that none can fork while others are killed.
    """
    while time.monotonic() < deadline:
        stopped: set[int] = set()
        while fresh := set(descendants(root, spare)) - stopped:
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
