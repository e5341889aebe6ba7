"""What the attacks share: an agent that means harm, beside a neighbour that must go on working."""

import io
import secrets
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any

import anyio
import pytest

from proctor.sandbox_backends.base import Backend, Sandbox
from proctor.sandbox_backends.concurrency import alongside
from proctor.schemas.sandbox import SandboxSpec

SPEC = SandboxSpec()
HOLD = "import sys, time\nprint('holds', flush=True)\ntime.sleep(600)"


class Agent:
    """An agent in its sandbox."""

    def __init__(self, sandbox: Sandbox, neighbour: Sandbox, canary: str) -> None:
        self.sandbox = sandbox
        self.neighbour = neighbour
        self.canary = canary
        """What the neighbour knows and nobody else may find: as argument, environment, files."""

    async def bash(self, command: str, timeout_s: float = 60) -> str:
        """What a command says, on both streams."""
        result = await self.sandbox.exec(["bash", "-c", command], timeout_s=timeout_s)
        return result.stdout.text() + result.stderr.text()

    async def python(self, code: str, *arguments: str, timeout_s: float = 120) -> str:
        """What a script says, on both streams."""
        argv = [self.sandbox.info.python, "-c", code, *arguments]
        result = await self.sandbox.exec(argv, timeout_s=timeout_s)
        return result.stdout.text() + result.stderr.text()

    async def is_alive(self) -> bool:
        """Whether its sandbox answers."""
        with anyio.fail_after(60):
            return await self.bash("echo alive") == "alive\n"

    @asynccontextmanager
    async def meanwhile(self, code: str, *arguments: str) -> AsyncGenerator[int]:
        """Run a script, which says something once it is at it, for as long as the context lasts."""
        argv = [self.sandbox.info.python, "-c", code, *arguments]
        started = await self.sandbox.exec(argv, timeout_s=120, foreground_s=0)
        assert started.job is not None
        with anyio.fail_after(30):
            while not (await self.sandbox.job_output(started.job))[1].data:
                job, said = await self.sandbox.job_output(started.job, stream="stderr")
                assert job.running, said.data.decode()
                await anyio.sleep(0.02)
        yield started.job
        await self.sandbox.job_stop(started.job)


Attacked = Callable[..., AbstractAsyncContextManager[Agent]]


@pytest.fixture
def attacked(isolating: Backend) -> Attacked:
    """Opens an agent's sandbox, with a spec that is changed so, beside a neighbour's."""

    @asynccontextmanager
    async def opened(**changes: Any) -> AsyncGenerator[Agent]:
        canary = f"canary-{secrets.token_hex(16)}"
        spec = SPEC.model_copy(update=changes)
        async with isolating(SPEC) as neighbour, isolating(spec) as sandbox:
            for place in (neighbour.info.workdir, neighbour.info.scratch, "/dev/shm"):  # noqa: S108
                await neighbour.write("theirs", io.BytesIO(canary.encode()), root=place)
            await neighbour.exec(
                [neighbour.info.python, "-c", HOLD, canary],
                timeout_s=900,
                foreground_s=0,
                env={"SECRET": canary},
            )
            async with alongside(partial(_watch, neighbour, canary)):
                yield Agent(sandbox, neighbour, canary)
            await _works(neighbour, canary)

    return opened


async def _watch(neighbour: Sandbox, canary: str) -> None:
    while True:
        await _works(neighbour, canary)
        await anyio.sleep(0.2)


async def _works(neighbour: Sandbox, canary: str) -> None:
    with anyio.fail_after(60):
        result = await neighbour.exec(["bash", "-c", "cat theirs; ls -A"], timeout_s=50)
        assert result.stdout.text() == canary + "theirs\n", result.stderr.text()
        assert [job.running for job in await neighbour.jobs()] == [True]
