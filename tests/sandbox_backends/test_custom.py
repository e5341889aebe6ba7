"""Backends of users' own, and that the contract notices where one breaks it."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from proctor.sandbox_backends.base import Backend, Sandbox
from proctor.sandbox_backends.contract import CHECKS, Check, NotApplicableError
from proctor.sandbox_backends.custom import load_backend
from proctor.sandbox_backends.local import open_plain
from proctor.schemas.sandbox import SandboxSpec

OWN = Path(__file__).parent / "own_backend.py"
SOME = [check for check in CHECKS if "workspace" in check.__name__ or "streams" in check.__name__]


@pytest.mark.parametrize("check", SOME, ids=lambda check: check.__name__)
async def test_a_backend_from_a_file_keeps_the_contract(check: Check) -> None:
    try:
        await check(load_backend(f"{OWN}:open_sandbox"))
    except NotApplicableError as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("no/such.py:f", "no file 'no/such.py'"),
        (f"{OWN}:nothing", "no function 'nothing'"),
        (f"{OWN}:NOT_A_FUNCTION", "no function 'NOT_A_FUNCTION'"),
        ("auto:", "no file 'auto'"),
    ],
)
def test_a_backend_that_is_not_there_is_named(place: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_backend(place)


async def test_a_run_uses_the_backend_of_a_file(
    mini_task: Path, tmp_path: Path, proctor_command: list[str]
) -> None:
    run = ["run", "--tasks", str(mini_task.parent), "--backend", f"{OWN}:open_sandbox"]
    ended = await anyio.run_process([*proctor_command, *run, "--out", str(tmp_path / "out")])
    assert b"no isolation" not in ended.stderr
    assert b"mini" in ended.stdout


def broken(**methods: Any) -> Backend:
    """The plain backend with methods that do what they must not."""

    @asynccontextmanager
    async def opened(spec: SandboxSpec) -> AsyncGenerator[Sandbox]:
        async with open_plain(spec) as sandbox:
            for name, method in methods.items():
                setattr(sandbox, name, method(sandbox, getattr(sandbox, name)))
            yield sandbox

    return opened


def says_all_is_well(_: Sandbox, execute: Callable[..., Any]) -> Any:
    async def run(*args: Any, **how: Any) -> Any:
        return (await execute(*args, **how)).model_copy(update={"exit_code": 0})

    return run


def hides_timeouts(_: Sandbox, execute: Callable[..., Any]) -> Any:
    async def run(*args: Any, **how: Any) -> Any:
        return (await execute(*args, **how)).model_copy(update={"timed_out": False})

    return run


def kills_nothing(_: Sandbox, __: Callable[..., Any]) -> Any:
    async def kill_all() -> None:
        return None

    return kill_all


def forgets_modes(_: Sandbox, write: Callable[..., Any]) -> Any:
    async def always_the_same(path: str, source: Any, **how: Any) -> None:
        await write(path, source, **{**how, "mode": 0o644})

    return always_the_same


def wraps_errors(_: Sandbox, fetch: Callable[..., Any]) -> Any:
    async def in_a_wrapping(*args: Any, **how: Any) -> Any:
        try:
            return await fetch(*args, **how)
        except OSError as error:
            raise RuntimeError(str(error)) from error

    return in_a_wrapping


@pytest.mark.parametrize(
    ("method", "fault", "caught_by"),
    [
        ("exec", says_all_is_well, "a_command_reports_its_streams_and_exit_code"),
        ("exec", hides_timeouts, "a_timeout_kills_the_whole_process_tree_and_nothing_else"),
        ("kill_all", kills_nothing, "a_background_process_survives_its_command_but_not_kill_all"),
        ("write", forgets_modes, "a_file_written_is_read_back_and_keeps_its_mode"),
        ("fetch", wraps_errors, "reading_what_cannot_be_read_raises_the_builtin_that_says_so"),
    ],
)
async def test_the_contract_notices_a_backend_that_breaks_it(
    method: str, fault: Any, caught_by: str
) -> None:
    (check,) = (each for each in CHECKS if each.__name__ == caught_by)
    with pytest.raises((AssertionError, RuntimeError)):
        await check(broken(**{method: fault}))
