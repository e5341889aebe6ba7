"""Commands that go on in the background."""

import math
from typing import Literal

import anyio

from proctor.sandbox_backends.base import OUTPUT_LIMIT, Backend, Sandbox
from proctor.sandbox_backends.concurrency import task_group
from proctor.sandbox_backends.contract.kit import (
    LONG_S,
    SPEC,
    appear,
    daemon,
    expect,
    expect_equal,
    expect_raises,
    expect_soon,
    marked,
    new_marker,
)
from proctor.schemas.sandbox import ExecResult

UNTIL_TOLD = "until [ -e go ]; do sleep 0.05; done"
LIVES = f"{UNTIL_TOLD}; echo lived"


async def a_command_that_outlives_its_foreground_goes_on_as_a_job(backend: Backend) -> None:
    async with backend(SPEC) as sandbox:
        command = f"echo begun; {UNTIL_TOLD}; echo done; exit 3"
        result = await _started(sandbox, command, foreground_s=2)
        number = _number_of(result)
        seen = (result.exit_code, result.timed_out)
        expect_equal(seen, (None, False), "exit code and timeout of what goes on")
        expect_equal(result.stdout.text(), "begun\n", "what it wrote so far")
        known = [(job.id, job.running, job.exit_code, job.argv) for job in await sandbox.jobs()]
        expect_equal(known, [(number, True, None, ("bash", "-c", command))], "the jobs that run")
        await _tell_to_go(sandbox)
        job, output = await sandbox.job_output(number, wait_s=LONG_S)
    expect_equal((job.running, job.exit_code), (False, 3), "the job that has ended")
    expect_equal(output.data, b"begun\ndone\n", "all that it wrote")


async def a_command_that_ends_in_time_is_no_job(backend: Backend) -> None:
    async with backend(SPEC) as sandbox:
        result = await _started(sandbox, "echo hi", foreground_s=LONG_S)
        expect_equal((result.exit_code, result.job), (0, None), "exit code and job")
        expect_equal(await sandbox.jobs(), (), "the jobs")


async def a_job_is_known_by_its_number_alone(backend: Backend) -> None:
    async with backend(SPEC) as sandbox:
        one = await _job(sandbox, "echo one")
        two = await _job(sandbox, "echo two >&2")
        expect_equal([job.id for job in await sandbox.jobs()], [one, two], "the jobs, in order")
        expect_equal(await _text(sandbox, one), "one\n", "the first job's stdout")
        expect_equal(await _text(sandbox, two), "", "the second job's stdout")
        expect_equal(await _text(sandbox, two, "stderr"), "two\n", "the second job's stderr")
        with expect_raises(LookupError, f"no job {two + 1}"):
            await sandbox.job_output(two + 1)
        with expect_raises(LookupError, f"no job {two + 1}"):
            await sandbox.job_stop(two + 1)


async def long_output_of_a_job_is_paged_from_its_first_byte_to_its_last(backend: Backend) -> None:
    wanted = b"".join(b"%d\n" % n for n in range(1, 100_001))
    async with backend(SPEC) as sandbox:
        number = await _job(sandbox, "seq 1 100000")
        job, tail = await sandbox.job_output(number, wait_s=LONG_S, max_bytes=12)
        expect_equal(tail.data, wanted[-12:], "the last of it")
        expect_equal((job.stdout_bytes, tail.total), (len(wanted), len(wanted)), "how much it is")
        pages = b""
        while len(pages) < len(wanted):
            _, page = await sandbox.job_output(number, offset=len(pages), max_bytes=200_000)
            expect_equal(page.offset, len(pages), "where the next page begins")
            expect(page.data, "more data before the output's end")
            pages += page.data
        expect(pages == wanted, "the pages to make up the whole output")
        _, beyond = await sandbox.job_output(number, offset=1 << 40)
        expect_equal((beyond.offset, beyond.data), (len(wanted), b""), "what lies beyond the end")


async def by_default_no_more_of_a_jobs_output_is_shown_than_a_result_carries(
    backend: Backend,
) -> None:
    async with backend(SPEC) as sandbox:
        number = await _job(sandbox, "seq 1 100000")
        _, output = await sandbox.job_output(number, wait_s=LONG_S)
    expect(len(output.data) <= OUTPUT_LIMIT, f"at most {OUTPUT_LIMIT} bytes")
    expect(output.data.endswith(b"\n100000\n"), "the last of it")


async def a_jobs_timeout_goes_on_to_hold(backend: Backend) -> None:
    async with backend(SPEC) as sandbox:
        number = await _job(sandbox, "sleep 300", timeout_s=1)
        job, _ = await sandbox.job_output(number, wait_s=LONG_S)
    seen = (job.running, job.timed_out, job.exit_code)
    expect_equal(seen, (False, True, None), "a job beyond its timeout")


async def a_later_timeout_kills_no_earlier_job(backend: Backend) -> None:
    async with backend(SPEC) as sandbox:
        number = await _job(sandbox, LIVES)
        late = await sandbox.exec(["sleep", "300"], timeout_s=0.3)
        expect(late.timed_out, "the later command to time out")
        await _tell_to_go(sandbox)
        expect_equal(await _text(sandbox, number), "lived\n", "the earlier job's output")


async def stopping_a_job_kills_its_whole_tree_and_no_other(backend: Backend) -> None:
    marker = new_marker()
    async with backend(SPEC) as sandbox:
        number = await _job(sandbox, f"{daemon(marker)}; sleep 300")
        other = await _job(sandbox, LIVES)
        await appear(sandbox, marker)
        stopped = await sandbox.job_stop(number)
        expect_equal((stopped.running, stopped.exit_code), (False, None), "the stopped job")
        expect_equal(await marked(sandbox, marker), 0, "what is left of its tree")
        await _tell_to_go(sandbox)
        expect_equal(await _text(sandbox, other), "lived\n", "the other job's output")
        ended = await sandbox.job_stop(other)
        expect_equal(ended.exit_code, 0, "the exit code of a job stopped after its end")


async def waiting_ends_with_the_job_and_leaves_others_alone(backend: Backend) -> None:
    told: list[str] = []
    async with backend(SPEC) as sandbox:
        number = await _job(sandbox, f"{UNTIL_TOLD}; echo done")

        async def wait() -> None:
            told.append(await _text(sandbox, number))

        with expect_soon("three waits to end with their job"):
            async with task_group() as tasks:
                for _ in range(3):
                    tasks.start_soon(wait)
                still, _ = await sandbox.job_output(number, wait_s=0.1)
                expect(still.running, "a short wait to end before the job")
                await _tell_to_go(sandbox)
    expect_equal(told, ["done\n"] * 3, "what those who waited are told")


async def a_cancelled_wait_leaves_the_job_alone(backend: Backend) -> None:
    async with backend(SPEC) as sandbox:
        number = await _job(sandbox, LIVES)
        with anyio.move_on_after(0.2):
            await sandbox.job_output(number, wait_s=LONG_S)
        await _tell_to_go(sandbox)
        expect_equal(await _text(sandbox, number), "lived\n", "the job's output")


async def jobs_end_with_everything_else(backend: Backend) -> None:
    async with backend(SPEC) as sandbox:
        number = await _job(sandbox, "sleep 300")
        await sandbox.kill_all()
        running = [job.running for job in await sandbox.jobs()]
        expect_equal(running, [False], "which jobs run after kill_all")
        expect_equal((await sandbox.job_stop(number)).exit_code, None, "its exit code")


async def what_one_command_left_in_its_pipe_is_not_shown_by_the_next(backend: Backend) -> None:
    async with backend(SPEC) as sandbox:
        for turn in range(20):
            number = await _job(sandbox, f"echo {turn}; (sleep 0.01; echo late) &")
            await sandbox.job_output(number, wait_s=LONG_S)
            plain = await sandbox.exec(["echo", "mine"], timeout_s=30)
            expect_equal(plain.stdout.text(), "mine\n", "the next command's output")


async def _started(
    sandbox: Sandbox, command: str, *, timeout_s: float = math.inf, foreground_s: float = 0
) -> ExecResult:
    argv = ["bash", "-c", command]
    return await sandbox.exec(argv, timeout_s=timeout_s, foreground_s=foreground_s)


async def _job(sandbox: Sandbox, command: str, *, timeout_s: float = math.inf) -> int:
    return _number_of(await _started(sandbox, command, timeout_s=timeout_s))


def _number_of(result: ExecResult) -> int:
    if result.job is None:
        raise AssertionError("expected a command that outlives its foreground to be a job")
    return result.job


async def _tell_to_go(sandbox: Sandbox) -> None:
    await sandbox.exec(["touch", "go"], timeout_s=LONG_S)


async def _text(sandbox: Sandbox, job: int, stream: Literal["stdout", "stderr"] = "stdout") -> str:
    _, output = await sandbox.job_output(job, wait_s=LONG_S, stream=stream)
    return output.data.decode()
