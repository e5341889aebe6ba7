"""Task groups whose single failure passes unwrapped, so that callers can catch what it is."""

from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import anyio
from anyio.abc import TaskGroup


@asynccontextmanager
async def task_group() -> AsyncGenerator[TaskGroup]:
    """As `anyio.create_task_group`, but one error alone is raised as itself."""
    try:
        async with anyio.create_task_group() as tasks:
            yield tasks
    except BaseExceptionGroup as group:
        if len(group.exceptions) == 1:
            raise group.exceptions[0] from None
        raise


@asynccontextmanager
async def alongside(work: Callable[[], Coroutine[Any, Any, None]]) -> AsyncGenerator[None]:
    """Run `work` beside the body, and cancel it when the body ends."""
    async with task_group() as tasks:
        tasks.start_soon(work)
        yield
        tasks.cancel_scope.cancel()
