"""Commands that go on in the background."""

import math
from typing import Any

import anyio

from proctor.sandbox_backends.base import Backend, Sandbox
from proctor.sandbox_backends.contract.checking import SPEC, NotApplicableError, raises
from proctor.schemas.sandbox import MEBIBYTE, ExecResult


async def start(
    sandbox: Sandbox, command: str, *, timeout_s: float = math.inf, foreground_s: float = 0
) -> ExecResult:
    """Start a command in the background, or let it become a job after a while."""
    argv = ["bash", "-c", command]
    return await sandbox.exec(argv, timeout_s=timeout_s, foreground_s=foreground_s)


async def job_of(sandbox: Sandbox, command: str) -> int:
    """The number of a job that runs a command."""
    started = await start(sandbox, command)
    assert started.job is not None
    return started.job


async def text_of(sandbox: Sandbox, job: int, **how: Any) -> str:
    """What a job wrote, once it has ended."""
    _, output = await sandbox.job_output(job, wait_s=60, **how)
    return output.data.decode()


async def a_command_that_outlives_its_foreground_goes_on_as_a_job(backend: Backend) -> None:
    """A command that outlives its foreground goes on as a job."""
    async with backend(SPEC) as sandbox:
        command = "echo begun; until [ -e go ]; do sleep 0.05; done; echo done; exit 3"
        result = await start(sandbox, command, foreground_s=0.5)
        assert (result.exit_code, result.job, result.timed_out) == (None, 1, False)
        assert result.stdout.text() == "begun\n"
        (job,) = await sandbox.jobs()
        assert (job.running, job.exit_code, job.argv[:2]) == (True, None, ("bash", "-c"))
        await sandbox.exec(["touch", "go"], timeout_s=30)
        job, output = await sandbox.job_output(1, wait_s=60)
    assert (job.running, job.exit_code) == (False, 3)
    assert output.data == b"begun\ndone\n"


async def a_command_that_ends_in_time_is_no_job(backend: Backend) -> None:
    """A command that ends in time is no job."""
    async with backend(SPEC) as sandbox:
        result = await start(sandbox, "echo hi", foreground_s=30)
        assert (result.exit_code, result.job) == (0, None)
        assert await sandbox.jobs() == ()


async def a_job_is_known_by_its_number_alone(backend: Backend) -> None:
    """A job is known by its number alone."""
    async with backend(SPEC) as sandbox:
        assert await job_of(sandbox, "echo one") == 1
        assert await job_of(sandbox, "echo two >&2") == 2
        assert await text_of(sandbox, 1) == "one\n"
        assert await text_of(sandbox, 2, stream="stderr") == "two\n"
        with raises(LookupError, "no job 3"):
            await sandbox.job_output(3)
        with raises(LookupError, "no job 3"):
            await sandbox.job_stop(3)


async def long_output_is_paged_from_its_first_byte_to_its_last(backend: Backend) -> None:
    """Long output is paged from its first byte to its last."""
    async with backend(SPEC) as sandbox:
        job = await job_of(sandbox, "seq 1 100000")
        tail = await text_of(sandbox, job, max_bytes=12)
        assert tail.endswith("99999\n100000\n"[-12:])
        pages, offset = b"", 0
        while True:
            _, page = await sandbox.job_output(job, offset=offset, max_bytes=200_000)
            assert page.offset == offset
            if not page.data:
                break
            pages += page.data
            offset += len(page.data)
    assert pages == b"".join(b"%d\n" % n for n in range(1, 100_001))


async def of_a_flood_the_beginning_and_the_end_are_kept(backend: Backend) -> None:
    """Of a flood the beginning and the end are kept."""
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


async def a_jobs_timeout_goes_on_to_hold(backend: Backend) -> None:
    """A jobs timeout goes on to hold."""
    async with backend(SPEC) as sandbox:
        started = await start(sandbox, "sleep 300", timeout_s=1, foreground_s=0)
        assert started.job is not None
        job, _ = await sandbox.job_output(started.job, wait_s=60)
    assert (job.running, job.timed_out, job.exit_code) == (False, True, None)


async def a_later_timeout_kills_no_earlier_job(backend: Backend) -> None:
    """A later timeout kills no earlier job."""
    async with backend(SPEC) as sandbox:
        job = await job_of(sandbox, "until [ -e go ]; do sleep 0.05; done; echo lived")
        late = await sandbox.exec(["sleep", "300"], timeout_s=0.3)
        assert late.timed_out
        await sandbox.exec(["touch", "go"], timeout_s=30)
        assert await text_of(sandbox, job) == "lived\n"


async def waiting_ends_with_the_job_and_leaves_others_alone(backend: Backend) -> None:
    """Waiting ends with the job and leaves others alone."""
    async with backend(SPEC) as sandbox:
        job = await job_of(sandbox, "until [ -e go ]; do sleep 0.05; done; echo done")
        told: list[str] = []

        async def wait() -> None:
            told.append(await text_of(sandbox, job))

        with anyio.fail_after(40):
            async with anyio.create_task_group() as tasks:
                for _ in range(3):
                    tasks.start_soon(wait)
                still, _ = await sandbox.job_output(job, wait_s=0.1)
                assert still.running
                await sandbox.exec(["touch", "go"], timeout_s=30)
        assert told == ["done\n"] * 3


async def jobs_end_with_everything_else(backend: Backend) -> None:
    """Jobs end with everything else."""
    async with backend(SPEC) as sandbox:
        job = await job_of(sandbox, "sleep 300")
        await sandbox.kill_all()
        assert not (await sandbox.jobs())[0].running
        assert (await sandbox.job_stop(job)).exit_code is None


async def many_jobs_use_up_nothing_and_the_oldest_are_forgotten(backend: Backend) -> None:
    """Many jobs use up nothing and the oldest are forgotten."""
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


async def a_cancelled_wait_leaves_the_job_alone(backend: Backend) -> None:
    """A cancelled wait leaves the job alone."""
    async with backend(SPEC) as sandbox:
        job = await job_of(sandbox, "until [ -e go ]; do sleep 0.05; done; echo lived")
        with anyio.move_on_after(0.2):
            await sandbox.job_output(job, wait_s=60)
        await sandbox.exec(["touch", "go"], timeout_s=30)
        assert await text_of(sandbox, job) == "lived\n"


async def what_one_command_left_in_its_pipe_is_not_shown_by_the_next(
    backend: Backend,
) -> None:
    """What one command left in its pipe is not shown by the next."""
    async with backend(SPEC) as sandbox:
        for number in range(20):
            result = await start(sandbox, f"echo {number}; (sleep 0.01; echo late) &")
            assert result.job is not None
            await sandbox.job_output(result.job, wait_s=30)
            plain = await sandbox.exec(["echo", "mine"], timeout_s=30)
            assert plain.stdout.text() == "mine\n"


async def running_out_of_memory_is_said(backend: Backend) -> None:
    """Running out of memory is said."""
    small = SPEC.model_copy(update={"memory_bytes": 256 * MEBIBYTE})
    async with backend(small) as sandbox:
        if sandbox.info.limits != "full":
            raise NotApplicableError("nothing limits this sandbox's memory as a whole")
        bomb = "x = []\nwhile True: x.append(bytearray(10_000_000))"
        result = await sandbox.exec([sandbox.info.python, "-c", bomb], timeout_s=60)
        assert result.oom_killed
        failing = await sandbox.exec(["sh", "-c", "exit 3"], timeout_s=60)
        assert not failing.oom_killed


CHECKS = (
    a_command_that_outlives_its_foreground_goes_on_as_a_job,
    a_command_that_ends_in_time_is_no_job,
    a_job_is_known_by_its_number_alone,
    long_output_is_paged_from_its_first_byte_to_its_last,
    of_a_flood_the_beginning_and_the_end_are_kept,
    a_jobs_timeout_goes_on_to_hold,
    a_later_timeout_kills_no_earlier_job,
    waiting_ends_with_the_job_and_leaves_others_alone,
    jobs_end_with_everything_else,
    many_jobs_use_up_nothing_and_the_oldest_are_forgotten,
    a_cancelled_wait_leaves_the_job_alone,
    what_one_command_left_in_its_pipe_is_not_shown_by_the_next,
    running_out_of_memory_is_said,
)
