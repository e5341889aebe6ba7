"""Preparing in a process of its own, so that a server goes on meanwhile.

A thread would not do: what makes the files holds the interpreter for long, may need more memory
than the machine has, and cannot be stopped. A process can be killed at any time, as files appear
whole or not at all.
"""

import os
import sys
from pathlib import Path

import anyio
from anyio import BrokenWorkerProcess
from anyio.to_process import run_sync

from proctor.schemas.errors import TaskError
from proctor.tasks.competitions.library import Competitions


async def prepare_elsewhere(library: Competitions, name: str) -> None:
    """Make a competition's files, unless they are there; cancelling kills the process.

    Raises:
        TaskError: As `Competitions.prepare`, or the process died.
    """
    try:
        await run_sync(_prepare, library, name, cancellable=True, limiter=anyio.CapacityLimiter(1))
    except (BrokenWorkerProcess, ProcessLookupError) as error:  # the latter while it starts
        raise TaskError(
            f"{name} cannot be prepared: the process that did so died, as it does where memory "
            "runs out; 'proctor competitions prepare' shows more"
        ) from error


def _prepare(library: Competitions, name: str) -> None:
    with Path(os.devnull).open("wb") as nothing:  # a pipe that nobody reads would be full one day
        os.dup2(nothing.fileno(), sys.stderr.fileno())
    library.prepare(name)
