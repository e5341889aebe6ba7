"""What every command in a sandbox finds in its environment, and nothing else."""

import math
import os
from collections.abc import Mapping
from pathlib import PurePosixPath

LIMITS_ALWAYS: Mapping[str, int] = {"RLIMIT_CORE": 0, "RLIMIT_NOFILE": 4096}
"""No core files, and no more descriptors than a program needs: the host's are not endless."""
PLACES = ("/usr/local/bin", "/usr/bin", "/bin")


def environment(python: str, *, home: str, cpus: float | None, path: str = "") -> dict[str, str]:
    """All that a command sees: nothing of the server's own environment, so no key and no token.

    Args:
        python: The interpreter, as a path in the sandbox; its directory comes first in ``PATH``.
        home: A directory that can be written to and is not the workspace.
        cpus: What the sandbox may use; None for all that there are.
        path: The machine's own ``PATH``, where it has one that matters.
    """
    threads = str(math.ceil(cpus) if cpus else os.cpu_count() or 1)
    places = [str(PurePosixPath(python).parent), *filter(None, path.split(":")), *PLACES]
    return {
        "PATH": ":".join(dict.fromkeys(places)),
        "HOME": home,
        "TMPDIR": home,
        "USER": "agent",
        "LOGNAME": "agent",
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        "PYTHONUNBUFFERED": "1",
        "MPLBACKEND": "Agg",
        "OMP_NUM_THREADS": threads,
        "LOKY_MAX_CPU_COUNT": threads,
    }
