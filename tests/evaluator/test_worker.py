"""The process in which agents' files are read: bounded, and none the worse for it."""

import os
import time
import timeit
from pathlib import Path

import anyio
import pytest
from anyio.to_process import current_default_process_limiter

from proctor.evaluator.tables import read_table
from proctor.evaluator.worker import in_worker
from proctor.schemas.errors import GradingError, SubmissionError


async def test_what_a_function_returns_or_raises_comes_back() -> None:
    assert await in_worker(divmod, 7, 2) == (3, 1)
    with pytest.raises(SubmissionError, match="is empty"):
        await in_worker(read_table, Path(os.devnull), "x.csv", ("x",), 1)
    with pytest.raises(ZeroDivisionError):
        await in_worker(divmod, 7, 0)


async def test_a_file_that_takes_too_much_memory_is_refused_and_the_next_is_read() -> None:
    with pytest.raises(SubmissionError, match="more than 64 MiB"):
        await in_worker(bytes, 256 << 20, memory_bytes=64 << 20)
    assert len(await in_worker(bytes, 256 << 20)) == 256 << 20


async def test_a_file_that_takes_too_long_is_refused_and_the_next_is_read() -> None:
    with pytest.raises(SubmissionError, match="more than 1 s"):
        await in_worker(timeit.timeit, "pass", "pass", time.perf_counter, 10**12, within_s=1)
    assert await in_worker(abs, -1, within_s=1) == 1


async def test_a_worker_that_gets_no_time_is_not_the_agents_fault() -> None:
    with pytest.raises(GradingError, match="busy machine"):
        await in_worker(time.sleep, 60, within_s=0.2)


async def test_a_file_that_kills_its_reader_is_refused() -> None:
    with pytest.raises(SubmissionError, match="dies of it"):
        await in_worker(os._exit, 0)
    assert await in_worker(os.getpid) != os.getpid()


async def test_cancelling_kills_the_process() -> None:
    process = await in_worker(os.getpid)
    with anyio.move_on_after(0.3):
        await in_worker(time.sleep, 300)
    with anyio.fail_after(20):
        while await anyio.Path(f"/proc/{process}").exists():
            await anyio.sleep(0.02)


async def test_waiting_for_a_turn_costs_none_of_the_time() -> None:
    current_default_process_limiter().total_tokens = 1
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(_sleep_in_worker)


async def _sleep_in_worker() -> None:
    await in_worker(time.sleep, 0.6, within_s=0.2)
