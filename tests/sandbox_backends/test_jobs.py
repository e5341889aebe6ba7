"""What a helper keeps of jobs; what every backend promises of them is in the contract."""

import math
from typing import Any

from proctor.sandbox_backends.base import Backend, Sandbox
from proctor.schemas.sandbox import SandboxSpec

SPEC = SandboxSpec()


async def job_of(sandbox: Sandbox, command: str) -> int:
    argv = ["bash", "-c", command]
    started = await sandbox.exec(argv, timeout_s=math.inf, foreground_s=0)
    assert started.job is not None
    return started.job


async def text_of(sandbox: Sandbox, job: int, **how: Any) -> str:
    _, output = await sandbox.job_output(job, wait_s=60, **how)
    return output.data.decode()


async def test_of_a_flood_the_beginning_and_the_end_are_kept(backend: Backend) -> None:
    async with backend(SPEC) as sandbox:
        job = await job_of(sandbox, "head -c 100M /dev/zero; echo end")
        state, last = await sandbox.job_output(job, wait_s=60, max_bytes=5)
        assert (last.data, state.stdout_bytes) == (b"\0end\n", (100 << 20) + 4)
        _, first = await sandbox.job_output(job, offset=0, max_bytes=100)
        assert (first.offset, first.data) == (0, bytes(100))
        _, lost = await sandbox.job_output(job, offset=60 << 20, max_bytes=100)
        assert lost.offset > 60 << 20
        _, beyond = await sandbox.job_output(job, offset=1 << 40, max_bytes=100)
        assert (beyond.offset, beyond.data) == (state.stdout_bytes, b"")


async def test_many_jobs_use_up_nothing_and_the_oldest_are_forgotten(backend: Backend) -> None:
    async with backend(SPEC) as sandbox:
        running = await job_of(sandbox, "until [ -e go ]; do sleep 0.05; done; echo lived")
        for _ in range(150):
            job = await job_of(sandbox, "seq 1 20000")
            await sandbox.job_output(job, wait_s=60)
        known = [job.id for job in await sandbox.jobs()]
        assert running in known
        assert 100 <= len(known) <= 102
        assert known[-1] == 151
        await sandbox.exec(["touch", "go"], timeout_s=30)
        assert await text_of(sandbox, running) == "lived\n"
