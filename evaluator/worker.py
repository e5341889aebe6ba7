"""A process for reading what agents wrote: apart from the server, bounded in time and memory.

It runs Proctor's own code alone, never the agent's, and never unpickles what an agent made.
"""

import resource
from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

import anyio
from anyio import to_process

from proctor.schemas.errors import SubmissionError

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")

MEMORY_BYTES = 4 << 30
WITHIN_S = 60.0


async def in_worker(
    function: Callable[[*Arguments], T],
    *arguments: *Arguments,
    within_s: float = WITHIN_S,
    memory_bytes: int = MEMORY_BYTES,
) -> T:
    """Call a function of Proctor's in a worker process.

    Args:
        function: At the top of a module; what it takes and returns can be pickled.
        arguments: What it is called with.
        within_s: Seconds that it may take.
        memory_bytes: What it may take.

    Raises:
        SubmissionError: It takes more time or memory: what it reads is the agent's.
    """
    try:
        with anyio.fail_after(within_s):
            return await to_process.run_sync(
                _bounded, memory_bytes, function, arguments, cancellable=True
            )
    except TimeoutError:
        raise SubmissionError(f"it takes longer than {within_s:g} s to read") from None
    except (MemoryError, anyio.BrokenWorkerProcess):
        mib = memory_bytes >> 20
        raise SubmissionError(f"it takes more than {mib} MiB of memory to read") from None


def _bounded(
    memory_bytes: int,
    function: Callable[[*Arguments], T],
    arguments: tuple[*Arguments],
) -> T:
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, hard))
    return function(*arguments)
