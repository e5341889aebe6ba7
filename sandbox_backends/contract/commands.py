"""How a command runs, and what is told of it."""

import io
from functools import partial

from proctor.sandbox_backends.base import OUTPUT_LIMIT, Backend, Sandbox
from proctor.sandbox_backends.concurrency import task_group
from proctor.sandbox_backends.contract.kit import SPEC, bash, expect, expect_equal

CANNOT_RUN = (126, 127)
SIDE_BY_SIDE = 8
FLOOD = 1 << 28


async def a_command_reports_its_streams_and_exit_code(backend: Backend) -> None:
    async with backend(SPEC) as sandbox:
        result = await sandbox.exec(["bash", "-c", "echo out; echo err >&2; exit 3"], timeout_s=30)
    expect_equal(result.stdout.text(), "out\n", "stdout")
    expect_equal(result.stderr.text(), "err\n", "stderr")
    expect_equal(result.exit_code, 3, "the exit code")
    expect(not result.timed_out, "no timeout")
    expect_equal(result.job, None, "the job of a command that has ended")


async def a_command_killed_by_a_signal_reports_128_plus_the_signal(backend: Backend) -> None:
    async with backend(SPEC) as sandbox:
        result = await sandbox.exec(["bash", "-c", "kill -TERM $$"], timeout_s=30)
    expect_equal(result.exit_code, 143, "the exit code after SIGTERM")


async def a_command_that_cannot_run_is_data(backend: Backend) -> None:
    async with backend(SPEC) as sandbox:
        for argv in (["/no/such/program"], ["no-such-program"], ["bash", "-c", "true\0"]):
            result = await sandbox.exec(argv, timeout_s=30)
            expect(result.exit_code in CANNOT_RUN, f"{argv} to end with one of {CANNOT_RUN}")
            expect(result.stderr.total, f"stderr to say why {argv} cannot run")


async def a_missing_working_directory_is_data(backend: Backend) -> None:
    async with backend(SPEC) as sandbox:
        result = await sandbox.exec(["true"], timeout_s=30, cwd="/no/such/place")
    expect(result.exit_code in CANNOT_RUN, f"one of {CANNOT_RUN}, not {result.exit_code}")
    expect("/no/such/place" in result.stderr.text(), "stderr to name the missing directory")


async def a_command_starts_in_the_workspace_or_where_it_is_told_to(backend: Backend) -> None:
    async with backend(SPEC) as sandbox:
        expect_equal(await bash(sandbox, "pwd"), f"{sandbox.info.workdir}\n", "the default place")
        elsewhere = sandbox.info.scratch
        result = await sandbox.exec(["pwd"], timeout_s=30, cwd=elsewhere)
        expect_equal(result.stdout.text(), f"{elsewhere}\n", "the place that was asked for")


async def what_is_added_to_the_environment_is_seen_by_that_command_alone(
    backend: Backend,
) -> None:
    show = "echo ${ADDED-nothing} ${PATH:+path}"
    async with backend(SPEC) as sandbox:
        result = await sandbox.exec(["bash", "-c", show], timeout_s=30, env={"ADDED": "some ä"})
        expect_equal(result.stdout.text(), "some ä path\n", "the environment with an addition")
        expect_equal(await bash(sandbox, show), "nothing path\n", "the next command's environment")


async def arguments_are_passed_on_as_they_are(backend: Backend) -> None:
    arguments = ["two words", "$HOME", "*", "", "a\nb", "ä"]
    async with backend(SPEC) as sandbox:
        result = await sandbox.exec(["printf", "%s|", *arguments], timeout_s=30)
    expect_equal(result.stdout.text(), "".join(f"{each}|" for each in arguments), "the arguments")


async def stdin_is_at_its_end(backend: Backend) -> None:
    async with backend(SPEC) as sandbox:
        expect_equal(await bash(sandbox, "cat; echo done"), "done\n", "what is there to read, done")


async def commands_run_side_by_side(backend: Backend) -> None:
    said: list[str] = []
    all_there = f"until [ $(ls | wc -l) = {SIDE_BY_SIDE} ]; do sleep 0.05; done"

    async def one(sandbox: Sandbox, number: int) -> None:
        said.append(await bash(sandbox, f"touch {number}; {all_there}; echo {number}"))

    async with backend(SPEC) as sandbox, task_group() as tasks:
        for number in range(SIDE_BY_SIDE):
            tasks.start_soon(one, sandbox, number)
    wanted = [f"{number}\n" for number in range(SIDE_BY_SIDE)]
    expect_equal(sorted(said), wanted, "what commands say that wait for each other")


async def a_script_that_may_be_preloaded_runs_like_any_other(backend: Backend) -> None:
    script = b"import os, sys; print(sys.argv, os.getcwd(), __name__); sys.exit(3)"
    async with backend(SPEC) as sandbox:
        await sandbox.write("say.py", io.BytesIO(script))
        run = partial(
            sandbox.exec, [sandbox.info.python, "say.py", "a b", "c"], timeout_s=120, env={"X": "1"}
        )
        cold, preloaded = await run(), await run(preloaded=True)
    wanted = f"['say.py', 'a b', 'c'] {sandbox.info.workdir} __main__\n"
    for how, result in (("cold", cold), ("preloaded", preloaded)):
        expect_equal(result.stdout.text(), wanted, f"what the script says, {how}")
        expect_equal(result.exit_code, 3, f"its exit code, {how}")


async def long_output_keeps_head_and_tail_and_the_whole_is_in_a_file(backend: Backend) -> None:
    async with backend(SPEC) as sandbox:
        result = await sandbox.exec(["bash", "-c", "seq 1 100000"], timeout_s=60)
        text, spool = result.stdout.text(), result.stdout.spool or ""
        expect(text.startswith("1\n2\n"), "the beginning of a long output")
        expect(text.endswith("99999\n100000\n"), "the end of a long output")
        expect(spool and spool in text, "the text to name a file with the whole output")
        inside = spool.startswith(f"{sandbox.info.workdir}/")
        expect(not inside, f"{spool} to lie outside the workspace")
        middle = await bash(sandbox, f"sed -n 50000p {spool}")
        expect_equal(middle, "50000\n", f"line 50000 of {spool}")


async def a_flood_of_output_is_counted_and_cut(backend: Backend) -> None:
    async with backend(SPEC) as sandbox:
        result = await sandbox.exec(["head", "-c", str(FLOOD), "/dev/zero"], timeout_s=120)
    carried = len(result.stdout.head) + len(result.stdout.tail)
    expect_equal(result.stdout.total, FLOOD, "the bytes counted")
    expect(carried <= OUTPUT_LIMIT, f"at most {OUTPUT_LIMIT} bytes in the result, not {carried}")


async def binary_output_and_a_line_without_an_end_become_text(backend: Backend) -> None:
    command = "printf '\\377\\376x'; head -c 1000000 /dev/zero | tr '\\0' a"
    async with backend(SPEC) as sandbox:
        result = await sandbox.exec(["bash", "-c", command], timeout_s=60)
    expect_equal(result.stdout.text()[:6], "\ufffd\ufffdxaaa", "the beginning, as text")
    expect_equal(result.stdout.total, 1_000_003, "the bytes counted")
