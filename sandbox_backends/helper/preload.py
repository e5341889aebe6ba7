"""Preloaded interpreters, as the helper keeps them: which one serves a script, and its life.

One is started after the first script that it could have served has ended, so that nobody waits
for it and nothing depends on it; until it is ready, and whenever it is busy, scripts start cold.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import sys

from proctor.sandbox_backends.helper.supervisor import Supervisor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SCANNED_FILES, SCANNED_BYTES = 64, 1 << 20
IMPORT = re.compile(rb"(?:^|;)[ \t]*(?:from|import)[ \t]+([^\n#;]+)", re.MULTILINE)
STACK = frozenset(("numpy", "pandas", "scipy", "sklearn"))
STARTS_AT_MOST = 3
TRIED = ((3, 11), (3, 12), (3, 13))
"""The versions on which scripts were compared, cold and warm; on others they start cold."""
NOT_SHARED = "PYTHON"
SHARED = ("PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE")
FROM_ORDERS = "stream = open(3, 'rb', buffering=0, closefd=False)"
BOOT = """\
import sys
sys.modules.pop("linecache", None)  # 3.13 keeps the text of -c in it
baseline, main = dict(sys.modules), dict(globals())
del main["sys"]
{boot}
from proctor.sandbox_backends.helper.forkserver import serve
serve(baseline, main, stack={stack})
"""


class Interpreter:
    """A preloaded interpreter."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.supervisor = supervisor
        self.ready = False

    def look(self) -> bool:
        """Whether it lives; notes that it has become ready."""
        try:
            data = os.read(self.supervisor.report, 4096)
        except BlockingIOError:
            return True
        self.ready = self.ready or b"ready" in data
        return bool(data)


class Preloaded:
    """The preloaded interpreters of this sandbox: at most one of each kind."""

    def __init__(self, sent: dict[str, Any], user: tuple[int, int] | None) -> None:
        self.sent, self.user = sent, user
        self.interpreters: dict[bool, Interpreter] = {}
        self.starts = {True: 0, False: 0}

    def taken_for(self, request: dict[str, Any]) -> Supervisor | None:
        """The interpreter that can serve a request now, which is then no more among these."""
        if not _can_be_served(request):
            return None
        stack = needs_stack(request["argv"][1])
        request["stack"] = stack
        found = self.interpreters.get(stack)
        if found is None:
            return None
        lives = found.look()
        if lives and not found.ready:
            return None
        supervisor = self.interpreters.pop(stack).supervisor
        if lives and supervisor.answers():
            return supervisor
        supervisor.close()
        return None

    def give_back(self, supervisor: Supervisor, *, stack: bool) -> None:
        """An interpreter is free again."""
        interpreter = Interpreter(supervisor)
        interpreter.ready = True
        self.interpreters[stack] = interpreter

    def start_for(self, request: dict[str, Any]) -> None:
        """Start the interpreter that would have served a request, unless that is no use."""
        stack = request.get("stack")
        if stack is None or stack in self.interpreters or self.starts[stack] >= STARTS_AT_MOST:
            return
        self.starts[stack] += 1
        receive = self.sent["boot"].replace("stream = sys.stdin.buffer.raw", FROM_ORDERS)
        boot = BOOT.format(boot=receive, stack=stack)
        supervisor = Supervisor(self.user, [request["argv"][0], "-c", boot], request["env"])
        frame = json.dumps({name: self.sent[name] for name in ("modules", "magic")}).encode()
        supervisor.give(b"%08x" % len(frame) + frame)
        self.interpreters[stack] = Interpreter(supervisor)

    def close(self) -> None:
        """End them all."""
        for interpreter in self.interpreters.values():
            interpreter.supervisor.close()
        self.interpreters.clear()

    @property
    def pids(self) -> list[int]:
        """Their processes."""
        return [each.supervisor.pid for each in self.interpreters.values()]


def _can_be_served(request: dict[str, Any]) -> bool:
    """Whether a request is for the interpreter that this one is, without odd settings."""
    odd = [name for name in request["env"] if name.startswith(NOT_SHARED) and name not in SHARED]
    argv = request["argv"]
    return (
        bool(request.get("preloaded"))
        and len(argv) > 1
        and argv[0] == sys.executable
        and argv[1].startswith("/")
        and not odd
        and sys.version_info[:2] in TRIED
    )


def needs_stack(script: str) -> bool:
    """Whether a script, or a module beside it that it imports, imports any of the ML stack.

    A bounded scan of the text: no code of the agent's is parsed here.
    """
    place = os.path.dirname(script)
    todo, seen, left = [script], {script}, SCANNED_BYTES
    while todo and left > 0 and len(seen) <= SCANNED_FILES:
        with contextlib.suppress(OSError):
            fd = os.open(todo.pop(0), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(fd, "rb") as file:
                if not stat.S_ISREG(os.fstat(fd).st_mode):
                    continue  # a pipe, perhaps the one that requests come in by
                text = file.read(left)
            left -= len(text)
            for name in _imported(text):
                top = name.partition(".")[0]
                if top in STACK:
                    return True
                for path in _files_of(place, top):
                    if path not in seen:
                        seen.add(path)
                        todo.append(path)
    return False


def _imported(text: bytes) -> list[str]:
    names: list[str] = []
    for match in IMPORT.finditer(text):
        listed = match.group(1).decode("utf-8", "replace").split(" import ")[0]
        names += [each.split()[0] for each in listed.split(",") if each.split()]
    return names


def _files_of(place: str, name: str) -> list[str]:
    """The files of a module or package beside the script."""
    if os.path.isfile(f"{place}/{name}.py"):
        return [f"{place}/{name}.py"]
    with contextlib.suppress(OSError):
        names = sorted(os.listdir(f"{place}/{name}"))[:SCANNED_FILES]
        return [f"{place}/{name}/{each}" for each in names if each.endswith(".py")]
    return []
