"""What a sandbox says of itself, and what it is made of."""

import io
import os
import secrets
from collections.abc import Generator, Mapping
from contextlib import contextmanager

from proctor.sandbox_backends.archive import regular_files
from proctor.sandbox_backends.base import Backend
from proctor.sandbox_backends.contract.kit import (
    SPEC,
    NotApplicableError,
    bash,
    expect,
    expect_equal,
    expect_raises,
    python,
    snapshot_of,
)
from proctor.schemas.errors import SandboxLostError, SandboxStartError
from proctor.schemas.sandbox import MEBIBYTE, SandboxSpec

OWN_WORKDIR = "/exam/room"
MEMORY_BOMB = "x = []\nwhile True: x.append(bytearray(10_000_000))"


async def the_workspace_exists_is_empty_and_can_be_written_to(backend: Backend) -> None:
    async with backend(SPEC) as sandbox:
        place = sandbox.info.workdir
        listing = await bash(sandbox, f"cd {place} && ls -A && touch f && ls")
        expect_equal(listing, "f\n", f"what a new workspace holds at {place}, after 'touch f'")
        entries, _ = await sandbox.list("")
        expect_equal([entry.name for entry in entries], ["f"], "what list('') shows of it")


async def the_scratch_place_is_writable_and_in_no_snapshot(backend: Backend) -> None:
    async with backend(SPEC) as sandbox:
        place, workdir = sandbox.info.scratch, sandbox.info.workdir
        expect(not f"{place}/".startswith(f"{workdir}/"), f"{place} to lie outside {workdir}")
        said = await bash(sandbox, f"echo 1 > {place}/kept-out; cat {place}/kept-out")
        expect_equal(said, "1\n", f"a file written below {place}")
        kept = [name for name, _, _ in regular_files(io.BytesIO(await snapshot_of(sandbox)))]
        expect_equal(kept, [], "the files of an empty workspace's snapshot")


async def the_workspace_lies_where_the_spec_says(backend: Backend) -> None:
    async with backend(SandboxSpec(workdir=OWN_WORKDIR)) as sandbox:
        if sandbox.info.isolation == "none":
            raise NotApplicableError("without isolation a workspace may lie anywhere")
        expect_equal(sandbox.info.workdir, OWN_WORKDIR, "info.workdir")
        expect_equal(await bash(sandbox, "pwd"), f"{OWN_WORKDIR}\n", "where commands start")


async def what_the_spec_says_of_scripts_and_jobs_is_in_the_info(backend: Backend) -> None:
    async with backend(SandboxSpec(script_cwd="script", foreground_s=7)) as sandbox:
        expect_equal(sandbox.info.script_cwd, "script", "info.script_cwd")
        expect_equal(sandbox.info.foreground_s, 7, "info.foreground_s")


async def a_spec_that_needs_isolation_gets_it_or_is_refused(backend: Backend) -> None:
    try:
        async with backend(SandboxSpec(isolation_required=True)) as sandbox:
            expect(sandbox.info.isolation != "none", "isolation, or a SandboxStartError")
    except SandboxStartError:
        return


async def the_interpreter_has_the_ml_stack(backend: Backend) -> None:
    async with backend(SPEC) as sandbox:
        said = await python(sandbox, "import numpy, pandas, scipy, sklearn; print('ok')")
    expect_equal(said, "ok\n", "what info.python says after importing the ML stack")


async def the_environment_is_an_allow_list(backend: Backend) -> None:
    canary = f"canary-{secrets.token_hex(8)}"
    names = ("OPENAI_API_KEY", "PROCTOR_TOKEN", "AN_ORDINARY_NAME")
    with _in_our_environment(dict.fromkeys(names, canary)):
        async with backend(SPEC) as sandbox:
            seen = await bash(sandbox, "env; tr '\\0' '\\n' < /proc/self/environ")
    expect("PATH=" in seen, "a PATH in the sandbox's environment")
    found = [line for line in seen.splitlines() if canary in line]
    expect_equal(found, [], "what a command sees of the server's own environment")


async def sandboxes_share_no_workspace_and_no_jobs(backend: Backend) -> None:
    async with backend(SPEC) as one, backend(SPEC) as other:
        await bash(one, "echo mine > f")
        started = await one.exec(["sleep", "300"], timeout_s=300, foreground_s=0)
        expect(started.job is not None, "a command with foreground_s=0 to be a job")
        expect_equal(await other.list(""), ((), 0), "the other sandbox's workspace")
        expect_equal(await other.jobs(), (), "the other sandbox's jobs")


async def no_sandbox_finds_anything_of_an_earlier_one(backend: Backend) -> None:
    for _ in range(3):
        async with backend(SPEC) as sandbox:
            place = sandbox.info.scratch
            left = await bash(sandbox, f"ls -A; ls {place}/mine 2>/dev/null")
            expect_equal(left, "", "what an earlier sandbox left in workspace and scratch place")
            await bash(sandbox, f"touch mine {place}/mine")


async def a_sandbox_that_was_closed_is_lost(backend: Backend) -> None:
    async with backend(SPEC) as sandbox:
        pass
    with expect_raises(SandboxLostError):
        await sandbox.exec(["true"], timeout_s=30)
    with expect_raises(SandboxLostError):
        await sandbox.list("")


async def running_out_of_memory_is_said(backend: Backend) -> None:
    async with backend(SandboxSpec(memory_bytes=256 * MEBIBYTE)) as sandbox:
        if sandbox.info.limits != "full":
            raise NotApplicableError("nothing limits this sandbox's memory as a whole")
        result = await sandbox.exec([sandbox.info.python, "-c", MEMORY_BOMB], timeout_s=120)
        expect(result.oom_killed, "oom_killed where a command took all memory")
        failing = await sandbox.exec(["bash", "-c", "exit 3"], timeout_s=60)
        expect(not failing.oom_killed, "no oom_killed where a later command merely fails")


@contextmanager
def _in_our_environment(variables: Mapping[str, str]) -> Generator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
