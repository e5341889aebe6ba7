"""Who made a container: a label that tells whether that server, on this machine, still lives."""

import json
import os
import socket
from contextlib import suppress
from functools import cache
from pathlib import Path

LABEL = "proctor.server"


@cache
def this_server() -> str:
    """This process, as the value of a label."""
    return json.dumps(
        {
            "machine": _text("/etc/machine-id") or socket.gethostname(),
            "boot": _text("/proc/sys/kernel/random/boot_id"),
            "processes": _pid_namespace(),
            "pid": os.getpid(),
            "started": _started(os.getpid()),
        }
    )


def is_dead(label: str) -> bool:
    """Whether the server that a label names is gone for certain.

    A server of another machine, or one behind another PID namespace, cannot be judged.
    """
    here = json.loads(this_server())
    try:
        there = json.loads(label)
        if there["machine"] != here["machine"]:
            return False
        if there["boot"] != here["boot"]:
            return True
        if there["processes"] != here["processes"]:
            return False
        return _is_gone(int(there["pid"]), there["started"])
    except (ValueError, KeyError, TypeError):
        return False


def _is_gone(pid: int, started: str) -> bool:
    """Whether no such process lives; not because it cannot be looked at, as it may be another's."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return _started(pid) not in ("", started)


def _text(path: str) -> str:
    with suppress(OSError):
        return Path(path).read_text().strip()
    return ""


def _pid_namespace() -> str:
    with suppress(OSError):
        return str(Path("/proc/self/ns/pid").readlink())
    return ""


def _started(pid: int) -> str:
    """When a process started, by the kernel's clock; with its id, it names one for good."""
    return (_text(f"/proc/{pid}/stat").rpartition(")")[2].split() + [""] * 20)[19]
