"""Control groups, where this machine lets us make them."""

from pathlib import Path

import anyio
import pytest

from proctor.sandbox_backends.cgroup import control_group
from proctor.schemas.sandbox import SandboxSpec


async def test_others_go_on_while_a_group_waits_for_its_last_process() -> None:
    async with await anyio.open_process(["sleep", "60"]) as process:
        left, joined = anyio.Event(), list[Path]()

        async def end_it() -> None:
            await left.wait()
            process.kill()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(end_it)
            async with control_group(SandboxSpec()) as join:
                joined += join
                for procs in join:
                    procs.write_text(str(process.pid))
                left.set()
        await process.wait()
    if not joined:
        pytest.skip("control groups cannot be made here")
    assert not any(procs.parent.exists() for procs in joined)
