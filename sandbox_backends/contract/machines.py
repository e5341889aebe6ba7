"""What a sandbox says of itself, and what its spec asked for."""

import io

from proctor.sandbox_backends.archive import regular_files
from proctor.sandbox_backends.base import Backend
from proctor.sandbox_backends.contract.checking import SPEC, NotApplicableError, bash
from proctor.schemas.errors import SandboxStartError


async def what_a_sandbox_says_of_itself_is_true(backend: Backend) -> None:
    """What a sandbox says of itself is true."""
    async with backend(SPEC) as sandbox:
        info = sandbox.info
        assert await bash(sandbox, "pwd; ls -A") == f"{info.workdir}\n"
        assert await bash(sandbox, f"echo 1 > {info.scratch}/in-scratch; echo 2 > here") == ""
        assert not info.scratch.startswith(f"{info.workdir}/")
        kept = io.BytesIO()
        await sandbox.snapshot(kept, max_bytes=1 << 20)
        kept.seek(0)
        assert [name for name, _, _ in regular_files(kept)] == ["here"]
        said = await sandbox.exec([info.python, "-c", "print(1)"], timeout_s=60)
        assert said.stdout.text() == "1\n"


async def the_workspace_lies_where_the_task_wants_it(backend: Backend) -> None:
    """The workspace lies where the task wants it."""
    async with backend(SPEC.model_copy(update={"workdir": "/app"})) as sandbox:
        if sandbox.info.isolation == "none":
            raise NotApplicableError("without isolation, the workspace is a temporary directory")
        assert await bash(sandbox, "pwd") == "/app\n"


async def a_task_that_needs_isolation_gets_it_or_nothing(backend: Backend) -> None:
    """A task that needs isolation gets it or nothing."""
    try:
        async with backend(SPEC.model_copy(update={"isolation_required": True})) as sandbox:
            assert sandbox.info.isolation != "none"
    except SandboxStartError:
        async with backend(SPEC) as sandbox:
            assert sandbox.info.isolation == "none"


async def no_sandbox_finds_anything_of_an_earlier_one(backend: Backend) -> None:
    """No sandbox finds anything of an earlier one."""
    for _ in range(3):
        async with backend(SPEC) as sandbox:
            place = sandbox.info.scratch
            assert await bash(sandbox, f"ls -A; ls {place}/mine 2>/dev/null") == ""
            await bash(sandbox, f"touch mine {place}/mine")


CHECKS = (
    what_a_sandbox_says_of_itself_is_true,
    the_workspace_lies_where_the_task_wants_it,
    a_task_that_needs_isolation_gets_it_or_nothing,
    no_sandbox_finds_anything_of_an_earlier_one,
)
