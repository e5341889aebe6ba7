"""A trusted process beside the server's, where agents' files are read within bounds.

A file can be small and yet cost much to read. So it is read elsewhere: whoever needs more time or
memory than any honest hand-in is refused, and the server goes on. The processes are kept for the
next call, and no code of an agent or a task ever runs in them.
"""

import math
import resource
import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TypeVar, TypeVarTuple

import anyio
from anyio import BrokenWorkerProcess
from anyio.to_process import current_default_process_limiter, run_sync

from proctor.schemas.errors import GradingError, SubmissionError

WITHIN_S = 60.0
MEMORY_BYTES = 2 << 30
PATIENCE = 5
"""How many times its processor time a call may last, on a machine that is busy elsewhere."""

Ts = TypeVarTuple("Ts")
T = TypeVar("T")


async def in_worker(
    function: Callable[[*Ts], T],
    *args: *Ts,
    within_s: float = WITHIN_S,
    memory_bytes: int = MEMORY_BYTES,
) -> T:
    """Call a function of a module in a worker process; cancelling kills the process.

    Args:
        function: What to call; it, its arguments and its result are pickled.
        args: Its arguments.
        within_s: Processor seconds that it may use.
        memory_bytes: How much more memory it may take than the process has.

    Raises:
        SubmissionError: It needed more than that, or its process died of it twice.
        GradingError: The machine is too busy, or cannot run workers at all.
    """
    async with current_default_process_limiter():
        for _ in range(2):  # once may be bad luck
            try:
                return await _call(function, args, within_s, memory_bytes)
            except BrokenWorkerProcess:
                continue
        try:
            await _call(abs, (0,), within_s, memory_bytes)
        except BrokenWorkerProcess as error:
            raise GradingError("no worker process can be had") from error
    raise SubmissionError("a file cannot be read: the process that tries dies of it")


async def _call(
    function: Callable[[*Ts], T], args: tuple[*Ts], within_s: float, memory_bytes: int
) -> T:
    try:
        with anyio.fail_after(within_s * PATIENCE):
            return await run_sync(
                _bounded,
                function,
                args,
                within_s,
                memory_bytes,
                cancellable=True,
                limiter=anyio.CapacityLimiter(1),
            )
    except TimeoutError as error:
        raise GradingError(f"a worker process got too little of a busy machine: {error}") from error


def _bounded(
    function: Callable[[*Ts], T], args: tuple[*Ts], within_s: float, memory_bytes: int
) -> T:
    try:
        with _limited(within_s, memory_bytes):
            return function(*args)
    except _OutOfTime:
        raise SubmissionError(f"a file takes more than {within_s:g} s to read") from None
    except MemoryError:
        raise SubmissionError(f"a file takes more than {memory_bytes >> 20} MiB to read") from None


class _OutOfTime(BaseException):
    """The processor time is used up; what runs must not catch it as an error of its own."""


def _stop(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise _OutOfTime


@contextmanager
def _limited(within_s: float, memory_bytes: int) -> Generator[None]:
    """Bound this process; only its soft limits change, so that it can serve again."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    spent = math.ceil(used.ru_utime + used.ru_stime + within_s)
    signal.signal(signal.SIGXCPU, _stop)
    with (
        _soft(resource.RLIMIT_CPU, spent),
        _soft(resource.RLIMIT_DATA, _held() + memory_bytes),
        _soft(resource.RLIMIT_CORE, 0),  # it would hold labels
    ):
        yield


@contextmanager
def _soft(what: int, limit: int) -> Generator[None]:
    before, hard = resource.getrlimit(what)
    known = [each for each in (limit, before, hard) if each != resource.RLIM_INFINITY]
    resource.setrlimit(what, (min(known), hard))
    try:
        yield
    finally:
        resource.setrlimit(what, (before, hard))


def _held() -> int:
    """The bytes of data that this process has; 0 where the system does not say."""
    status = Path("/proc/self/status")
    lines = status.read_text("utf-8").splitlines() if status.exists() else []
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("VmData:")), 0)
