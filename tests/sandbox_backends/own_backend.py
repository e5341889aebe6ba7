"""A backend as a user would write one."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast

from proctor.sandbox_backends.base import Sandbox
from proctor.sandbox_backends.local import open_plain
from proctor.schemas.sandbox import SandboxInfo, SandboxSpec


class Renamed:
    """A sandbox under another name."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    @property
    def info(self) -> SandboxInfo:
        return self._sandbox.info.model_copy(update={"backend": "own"})

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sandbox, name)


@asynccontextmanager
async def open_sandbox(spec: SandboxSpec) -> AsyncGenerator[Sandbox]:
    async with open_plain(spec) as sandbox:
        yield cast("Sandbox", Renamed(sandbox))


not_a_function = 7


async def forgets_its_decorator(spec: SandboxSpec) -> AsyncGenerator[Sandbox]:
    async with open_plain(spec) as sandbox:
        yield sandbox
