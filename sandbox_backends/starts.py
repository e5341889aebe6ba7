"""Sandboxes are started a few at a time, however many are asked for at once.

One that shares the processors with hundreds of others would be given up as one that hangs.
"""

import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import anyio

from proctor.sandbox_backends.base import Sandbox
from proctor.sandbox_backends.gpus import Opener
from proctor.sandbox_backends.nvml import Gpu
from proctor.schemas.sandbox import SandboxSpec

STARTS_AT_ONCE = 2 * (os.cpu_count() or 1)
"""Part of a start is waiting. 300 at once on 2 processors took more than the 30 s that each has."""


def few_at_once(opener: Opener, at_once: int = STARTS_AT_ONCE) -> Opener:
    """An opener that starts at most `at_once`; the others wait in the order of asking."""
    starts = anyio.Semaphore(at_once)

    @asynccontextmanager
    async def opened(spec: SandboxSpec, gpus: Sequence[Gpu] = ()) -> AsyncGenerator[Sandbox]:
        async with AsyncExitStack() as stack:
            async with starts:
                sandbox = await stack.enter_async_context(opener(spec, gpus))
            yield sandbox

    return opened
