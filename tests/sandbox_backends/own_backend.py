"""A backend as a user would write one: ours, with a twist."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from proctor.sandbox_backends.base import Sandbox
from proctor.sandbox_backends.local import open_plain
from proctor.schemas.sandbox import SandboxSpec


@asynccontextmanager
async def open_sandbox(spec: SandboxSpec) -> AsyncGenerator[Sandbox]:
    async with open_plain(spec.model_copy(update={"cpus": 1.0})) as sandbox:
        yield sandbox


NOT_A_FUNCTION = 1
