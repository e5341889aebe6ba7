"""What ends a command, and what goes with it."""

from functools import partial

from proctor.sandbox_backends.base import Backend
from proctor.sandbox_backends.concurrency import task_group
from proctor.sandbox_backends.contract.kit import (
    SPEC,
    appear,
    bash,
    daemon,
    expect,
    expect_equal,
    expect_soon,
    marked,
    new_marker,
    sleeper,
)

OFTEN = 5


async def a_timeout_kills_the_whole_process_tree_and_nothing_else(backend: Backend) -> None:
    other, own = new_marker(), new_marker()
    async with backend(SPEC) as sandbox:
        await bash(sandbox, daemon(other))
        await appear(sandbox, other)
        for _ in range(OFTEN):
            command = f"{daemon(own)}; {daemon(own)}; {sleeper(own)}"
            result = await sandbox.exec(["bash", "-c", command], timeout_s=0.3)
            expect(result.timed_out, "timed_out of a command that sleeps beyond its timeout")
            expect_equal(await marked(sandbox, own), 0, "what a timeout leaves of its tree")
        expect(await marked(sandbox, other), "an earlier command's process to live on")


async def a_cancelled_command_is_killed_with_its_tree(backend: Backend) -> None:
    marker = new_marker()
    async with backend(SPEC) as sandbox:
        command = ["bash", "-c", f"{daemon(marker)}; {sleeper(marker)}"]
        async with task_group() as tasks:
            tasks.start_soon(partial(sandbox.exec, command, timeout_s=300))
            await appear(sandbox, marker)
            tasks.cancel_scope.cancel()
        expect_equal(await marked(sandbox, marker), 0, "what is left of a cancelled command")


async def a_background_process_survives_its_command_but_not_kill_all(backend: Backend) -> None:
    deaf, holding = new_marker(), new_marker()
    async with backend(SPEC) as sandbox:
        with expect_soon("a command to end although its child holds its streams"):
            await bash(sandbox, f"{daemon(deaf)}; ({sleeper(holding)}) &", timeout_s=300)
        await appear(sandbox, deaf)
        await appear(sandbox, holding)
        await sandbox.kill_all()
        expect_equal(await marked(sandbox, deaf), 0, "deaf processes after kill_all")
        expect_equal(await marked(sandbox, holding), 0, "other processes after kill_all")
        expect_equal(await bash(sandbox, "echo on"), "on\n", "a command after kill_all")


async def what_is_left_in_the_background_outlives_its_commands_timeout(backend: Backend) -> None:
    marker = new_marker()
    async with backend(SPEC) as sandbox:
        left = await sandbox.exec(["bash", "-c", daemon(marker)], timeout_s=1)
        expect(not left.timed_out, "a command that leaves a daemon behind to end at once")
        later = await sandbox.exec(["sleep", "300"], timeout_s=1.5)
        expect(later.timed_out, "a later timeout")
        expect(await marked(sandbox, marker), "the daemon to live beyond its command's timeout")
