"""Warm sandboxes."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from proctor.sandbox_backends.base import Backend, Sandbox
from proctor.sandbox_backends.pool import Pool
from proctor.schemas.errors import SandboxStartError
from proctor.schemas.sandbox import SandboxSpec

SPEC = SandboxSpec()
OTHER = SandboxSpec(workdir="/app")


class Counting:
    """A backend that knows how many of its sandboxes were opened, and are open."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.opened = self.open = 0
        self.changed = anyio.Event()

    @asynccontextmanager
    async def __call__(self, spec: SandboxSpec) -> AsyncGenerator[Sandbox]:
        async with self._backend(spec) as sandbox:
            self._count(1)
            try:
                yield sandbox
            finally:
                self._count(-1)

    def _count(self, step: int) -> None:
        self.open += step
        self.opened += step > 0
        self.changed.set()
        self.changed = anyio.Event()

    async def until_open(self, number: int) -> None:
        with anyio.fail_after(30):
            while self.open != number:
                await self.changed.wait()


@pytest.fixture
def counting(any_backend: Backend) -> Counting:
    return Counting(any_backend)


async def say(sandbox: Sandbox, command: str) -> str:
    return (await sandbox.exec(["sh", "-c", command], timeout_s=30)).stdout.text()


async def test_a_warm_sandbox_is_handed_out_and_replaced(counting: Counting) -> None:
    async with Pool.warming(counting, 2, [SPEC]) as pool:
        await counting.until_open(2)
        async with pool(SPEC) as sandbox:
            assert await say(sandbox, "echo hi") == "hi\n"
            await counting.until_open(3)
        await counting.until_open(2)
    assert counting.open == 0
    assert counting.opened == 3


async def test_no_sandbox_serves_twice(counting: Counting) -> None:
    async with Pool.warming(counting, 1, [SPEC]) as pool:
        for _ in range(3):
            async with pool(SPEC) as sandbox:
                assert await say(sandbox, "ls; touch was-here") == ""


async def test_every_expected_spec_has_its_share(counting: Counting) -> None:
    async with Pool.warming(counting, 2, [SPEC, OTHER, SPEC]) as pool:
        await counting.until_open(2)
        async with pool(SPEC) as one, pool(OTHER) as other:
            assert await say(one, "echo 1") + await say(other, "echo 2") == "1\n2\n"
        await counting.until_open(2)


@pytest.mark.parametrize(
    "changes", [{"memory_bytes": 1 << 30}, {"network": "internet"}, {"gpus": 1}]
)
async def test_what_was_not_foreseen_is_opened_when_asked_for(changes: dict[str, Any]) -> None:
    asked: list[SandboxSpec] = []

    @asynccontextmanager
    async def refusing(spec: SandboxSpec) -> AsyncGenerator[Sandbox]:
        asked.append(spec)
        raise SandboxStartError("not here")
        yield

    wanted = SPEC.model_copy(update=changes)
    async with Pool.warming(refusing, 1, [SPEC, wanted]) as pool:
        with pytest.raises(SandboxStartError, match="not here"):
            async with pool(wanted):
                pass
    assert wanted in asked


async def test_a_warm_sandbox_that_died_is_not_handed_out(counting: Counting) -> None:
    class Dead:
        async def list(self, path: str) -> None:
            raise SandboxStartError(f"gone: {path}")

    @asynccontextmanager
    async def dying(spec: SandboxSpec) -> AsyncGenerator[Any]:
        async with counting(spec) as sandbox:
            yield Dead() if counting.opened == 1 else sandbox

    async with Pool.warming(dying, 1, [SPEC]) as pool:
        await counting.until_open(1)
        async with pool(SPEC) as sandbox:
            assert await say(sandbox, "echo alive") == "alive\n"
    assert counting.open == 0


async def test_a_session_that_is_cancelled_closes_what_it_took(counting: Counting) -> None:
    async with Pool.warming(counting, 1, [SPEC]) as pool:
        with anyio.move_on_after(0.5):
            async with pool(SPEC):
                await anyio.sleep(30)
        await counting.until_open(1)
    assert counting.open == 0
