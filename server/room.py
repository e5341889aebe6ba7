"""How many sessions this process has room for.

Each holds files open, and a process that is out of them fails those that are at work: it is the
next session that has to wait.
"""

import resource

FILES_OF_SESSION = 8
"""Pipes of its sandbox and connections of its client: 6, and 2 while it starts or is waited for."""
FILES_BESIDE = 100
"""What the server itself has open, and gradings, which are few at a time."""


def allowed_files() -> int | None:
    """How many files this process may have open; None if that is not limited."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


def room_for_sessions() -> int | None:
    """How many sessions may be open at once; None if that is not limited."""
    allowed = allowed_files()
    return None if allowed is None else max(1, (allowed - FILES_BESIDE) // FILES_OF_SESSION)
