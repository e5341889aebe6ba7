"""Many sandboxes asked for at once."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import anyio

from proctor.sandbox_backends.base import Sandbox
from proctor.sandbox_backends.local import open_plain
from proctor.sandbox_backends.nvml import Gpu
from proctor.sandbox_backends.starts import few_at_once
from proctor.schemas.sandbox import SandboxSpec


async def test_however_many_sandboxes_are_wanted_few_start_at_a_time() -> None:
    starting, most, opened, all_open = 0, 0, 0, anyio.Event()

    @asynccontextmanager
    async def counted(spec: SandboxSpec, gpus: Sequence[Gpu] = ()) -> AsyncGenerator[Sandbox]:
        nonlocal starting, most
        starting += 1
        most = max(most, starting)
        async with open_plain(spec, gpus) as sandbox:
            starting -= 1
            yield sandbox

    opener = few_at_once(counted, 2)

    async def use() -> None:
        nonlocal opened
        async with opener(SandboxSpec(), ()) as sandbox:
            opened += 1
            if opened == 5:
                all_open.set()
            await all_open.wait()
            assert (await sandbox.exec(["true"], timeout_s=20)).exit_code == 0

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(use)
    assert most == 2


async def test_a_start_that_fails_or_is_given_up_lets_the_next_begin() -> None:
    attempts = 0

    @asynccontextmanager
    async def flaky(spec: SandboxSpec, gpus: Sequence[Gpu] = ()) -> AsyncGenerator[Sandbox]:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            raise OSError("no luck")
        if attempts == 2:
            await anyio.sleep_forever()
        async with open_plain(spec, gpus) as sandbox:
            yield sandbox

    opener = few_at_once(flaky, 1)
    try:
        async with opener(SandboxSpec(), ()):
            raise AssertionError("it was to fail")
    except OSError:
        pass
    with anyio.move_on_after(0.01):
        async with opener(SandboxSpec(), ()):
            raise AssertionError("it was to hang")
    with anyio.fail_after(30):
        async with opener(SandboxSpec(), ()) as sandbox:
            assert (await sandbox.exec(["true"], timeout_s=20)).exit_code == 0
