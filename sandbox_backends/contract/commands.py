"""What commands do, and what they leave."""

import os
import time

import anyio

from proctor.sandbox_backends.base import Backend, Sandbox
from proctor.sandbox_backends.contract.checking import SPEC, bash

CANARY = "PROCTOR_CONTRACT_CANARY"


async def a_command_reports_its_streams_and_exit_code(backend: Backend) -> None:
    """A command reports its streams and exit code."""
    async with backend(SPEC) as sandbox:
        result = await sandbox.exec(["bash", "-c", "echo out; echo err >&2; exit 3"], timeout_s=30)
    assert (result.stdout.text(), result.stderr.text()) == ("out\n", "err\n")
    assert result.exit_code == 3
    assert not result.timed_out


async def a_command_killed_by_a_signal_reports_128_plus_the_signal(backend: Backend) -> None:
    """A command killed by a signal reports 128 plus the signal."""
    async with backend(SPEC) as sandbox:
        result = await sandbox.exec(["bash", "-c", "kill -TERM $$"], timeout_s=30)
    assert result.exit_code == 143


async def a_command_that_cannot_run_is_data(backend: Backend) -> None:
    """A command that cannot run is data."""
    for argv in (["/no/such/program"], ["bash", "-c", "true\0"]):
        async with backend(SPEC) as sandbox:
            result = await sandbox.exec(argv, timeout_s=30)
        assert result.exit_code == 126
        assert "cannot run it" in result.stderr.text()


async def stdin_is_at_its_end(backend: Backend) -> None:
    """Stdin is at its end."""
    async with backend(SPEC) as sandbox:
        assert await bash(sandbox, "cat; echo done") == "done\n"


async def commands_run_side_by_side(backend: Backend) -> None:
    """Commands run side by side."""
    outputs: list[str] = []
    all_there = "until [ $(ls | wc -l) = 8 ]; do sleep 0.05; done"

    async def one(sandbox: Sandbox, number: int) -> None:
        outputs.append(await bash(sandbox, f"touch {number}; {all_there}; echo {number}"))

    async with backend(SPEC) as sandbox, anyio.create_task_group() as tasks:
        for number in range(8):
            tasks.start_soon(one, sandbox, number)
    assert sorted(outputs) == [f"{number}\n" for number in range(8)]


async def long_output_keeps_head_and_tail_and_the_whole_is_in_a_file(
    backend: Backend,
) -> None:
    """Long output keeps head and tail and the whole is in a file."""
    async with backend(SPEC) as sandbox:
        result = await sandbox.exec(["bash", "-c", "seq 1 100000"], timeout_s=60)
        text = result.stdout.text()
        assert text.startswith("1\n2\n")
        assert text.endswith("99999\n100000\n")
        assert result.stdout.spool is not None
        assert result.stdout.spool in text
        assert await bash(sandbox, f"cat {result.stdout.spool} | tail -n +50000 | head -1") == (
            "50000\n"
        )
        assert not result.stdout.spool.startswith(sandbox.info.workdir)


async def a_flood_of_output_is_counted_in_bounded_memory(backend: Backend) -> None:
    """A flood of output is counted in bounded memory."""
    async with backend(SPEC) as sandbox:
        result = await sandbox.exec(["bash", "-c", "head -c 1G /dev/zero"], timeout_s=120)
        assert result.stdout.total == 1 << 30
        assert len(result.stdout.head) + len(result.stdout.tail) < 40_000
        size = await bash(sandbox, f"stat -c %s {result.stdout.spool}")
        assert int(size) <= 32 << 20


async def binary_output_and_a_line_without_an_end_become_text(backend: Backend) -> None:
    """Binary output and a line without an end become text."""
    async with backend(SPEC) as sandbox:
        result = await sandbox.exec(
            ["bash", "-c", "printf '\\377\\376x'; head -c 1000000 /dev/zero | tr '\\0' a"],
            timeout_s=60,
        )
    assert result.stdout.text().startswith("\ufffd\ufffdxaaa")
    assert result.stdout.total == 1_000_003


DAEMON = "setsid nohup sh -c 'trap \"\" TERM INT HUP; sleep 300' >/dev/null 2>&1 &"


async def running(sandbox: Sandbox, what: str) -> int:
    """How many processes of a sandbox are called so."""
    return int(await bash(sandbox, f"ps -eo args | grep -c '^{what}' || true"))


async def a_timeout_kills_the_whole_process_tree_and_nothing_else(backend: Backend) -> None:
    """A timeout kills the whole process tree and nothing else."""
    async with backend(SPEC) as sandbox:
        await bash(sandbox, "setsid nohup sleep 301 >/dev/null 2>&1 &")
        for _ in range(5):
            result = await sandbox.exec(
                ["bash", "-c", f"({DAEMON}) ; {DAEMON} sleep 302"], timeout_s=0.3
            )
            assert result.timed_out
        assert await running(sandbox, "sleep 300") == 0
        assert await running(sandbox, "sleep 302") == 0
        assert await running(sandbox, "sleep 301") == 1


async def a_background_process_survives_its_command_but_not_kill_all(
    backend: Backend,
) -> None:
    """A background process survives its command but not kill all."""
    async with backend(SPEC) as sandbox:
        started = time.monotonic()
        await bash(sandbox, f"{DAEMON} sleep 303 & sleep 0.1")
        assert time.monotonic() - started < 20
        assert await running(sandbox, "sleep 303") == 1
        await sandbox.kill_all()
        assert await running(sandbox, "sleep 303") == 0
        assert await running(sandbox, "sleep 300") == 0


async def what_is_left_in_the_background_outlives_its_commands_timeout(
    backend: Backend,
) -> None:
    """What is left in the background outlives its commands timeout."""
    async with backend(SPEC) as sandbox:
        await bash(sandbox, "setsid sleep 309 >/dev/null 2>&1 &", timeout_s=1)
        await anyio.sleep(1.5)
        assert await running(sandbox, "sleep 309") == 1


async def a_cancelled_command_is_killed(backend: Backend) -> None:
    """A cancelled command is killed."""
    async with backend(SPEC) as sandbox:
        with anyio.move_on_after(0.5):
            await sandbox.exec(["bash", "-c", f"{DAEMON} sleep 304"], timeout_s=60)
        assert await running(sandbox, "sleep 30[04]") == 0


async def the_environment_is_an_allow_list(backend: Backend) -> None:
    """The environment is an allow-list."""
    os.environ[CANARY] = "canary-7315"
    try:
        async with backend(SPEC) as sandbox:
            seen = await bash(sandbox, "env; cat /proc/self/environ | tr '\\0' '\\n'")
    finally:
        del os.environ[CANARY]
    assert "canary-7315" not in seen
    assert CANARY not in seen


async def the_interpreter_has_the_ml_stack(backend: Backend) -> None:
    """The interpreter has the ml stack."""
    async with backend(SPEC) as sandbox:
        result = await sandbox.exec(
            [sandbox.info.python, "-c", "import numpy, pandas, scipy, sklearn; print('ok')"],
            timeout_s=120,
        )
    assert result.stdout.text() == "ok\n", result.stderr.text()


CHECKS = (
    a_command_reports_its_streams_and_exit_code,
    a_command_killed_by_a_signal_reports_128_plus_the_signal,
    a_command_that_cannot_run_is_data,
    stdin_is_at_its_end,
    commands_run_side_by_side,
    long_output_keeps_head_and_tail_and_the_whole_is_in_a_file,
    a_flood_of_output_is_counted_in_bounded_memory,
    binary_output_and_a_line_without_an_end_become_text,
    a_timeout_kills_the_whole_process_tree_and_nothing_else,
    a_background_process_survives_its_command_but_not_kill_all,
    what_is_left_in_the_background_outlives_its_commands_timeout,
    a_cancelled_command_is_killed,
    the_environment_is_an_allow_list,
    the_interpreter_has_the_ml_stack,
)
