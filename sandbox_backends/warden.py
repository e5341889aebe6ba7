"""Runs a command and ends with it, and sees to it that nothing of its process tree is left.

For what runs without a PID namespace of its own. A warden adopts what its command leaves behind (a
child subreaper, on Linux) and kills all of it when the command has ended, when it is told to end
(SIGTERM), and when whoever started it is gone.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from proctor.sandbox_backends.helper.processes import (
    KILL_WITHIN_S,
    PR_SET_CHILD_SUBREAPER,
    kill_tree,
    prctl,
    reap,
    wake_on_child,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

PR_SET_PDEATHSIG = 1
CANNOT_RUN = 127
BOOT = """\
import sys
sys.path.insert(0, sys.argv.pop(1))
from proctor.sandbox_backends.warden import main
sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
"""
"""The environment is the command's, so it cannot say where this package is."""


def watched(argv: Sequence[str]) -> list[str]:
    """The command line that has this process run `argv` under a warden."""
    root = Path(__file__).parent.parent.parent
    return [sys.executable, "-I", "-S", "-c", BOOT, str(root), str(os.getpid()), *argv]


def main(starter: int, argv: list[str]) -> int:
    """Run `argv` for as long as the process `starter` lives; its exit code, as a shell tells it."""
    told: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: told.append(number))
    woken = wake_on_child()
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != starter:  # it was gone before it could be watched
        return CANNOT_RUN
    try:
        command = os.posix_spawnp(argv[0], argv, os.environ, setsigdef=(signal.SIGPIPE,))
    except OSError as error:
        sys.stderr.write(f"cannot run {argv[0]}: {error.strerror}\n")
        return CANNOT_RUN
    code = None
    while code is None and not told:
        select.select([woken], [], [])
        os.read(woken, 4096)
        code = dict(reap()[0]).get(command)
    kill_tree(os.getpid(), time.monotonic() + KILL_WITHIN_S)
    return 128 + signal.SIGTERM if code is None else code
