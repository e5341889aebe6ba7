"""Agents as processes of this machine: behind walls where there are any, else as they are."""

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import anyio
from anyio.abc import ByteReceiveStream, Process

from proctor.clients.agents.command import Errand, Hear
from proctor.clients.agents.log import Stream
from proctor.sandbox_backends.agent_walls import HOME, View, walled
from proctor.sandbox_backends.concurrency import task_group
from proctor.sandbox_backends.warden import watched
from proctor.schemas.errors import AgentError
from proctor.schemas.result import Confinement

PASSED_ON = ("PATH", "LANG")
START_WITHIN_S = 20.0
STOP_WITHIN_S = 8.0
"""More than a warden takes to kill a tree."""
DRAIN_WITHIN_S = 2.0
"""For what a process wrote last, once it has ended."""


@dataclass(frozen=True)
class Plain:
    """Runs an agent as an ordinary process, which can read whatever its user can."""

    confinement: Confinement = "unconfined"

    async def run(self, errand: Errand, hear: Hear) -> int:
        """As `Launcher.run` has it."""
        env = {**_inherited(), "HOME": str(Path.home()), **errand.env}
        return await _run(errand.argv, errand, env, hear)


@dataclass(frozen=True)
class Walled:
    """Runs an agent in bubblewrap, with a home of its own."""

    view: View
    home_files: Sequence[str] = ()
    """What it gets a copy of: files of the user's home, if they are there."""
    confinement: Confinement = field(default="sandboxed")

    async def run(self, errand: Errand, hear: Hear) -> int:
        """As `Launcher.run` has it."""
        env = {**_inherited(), **errand.env, "HOME": str(HOME)}
        files = {path: path.read_bytes() for path in (errand.prompt, errand.mcp_config)}
        files |= _copies(self.home_files)
        with walled(errand.argv, self.view, errand.directory, files) as (argv, inherit):
            return await _run(argv, errand, env, hear, inherit)


def walls_problem(view: View) -> str | None:
    """Why there are no walls with this view, found out by standing behind them."""
    with (
        tempfile.TemporaryDirectory(prefix="proctor-agent-") as place,
        walled(["true"], view, Path(place).resolve(), {}) as (argv, inherit),
    ):
        trial = subprocess.run(  # noqa: S603 - our own command line
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            pass_fds=inherit,
            timeout=START_WITHIN_S,
            check=False,
        )
    said = trial.stderr.decode("utf-8", "replace").strip().splitlines()
    return (said or ["bubblewrap fails without a word"])[-1] if trial.returncode else None


def _inherited() -> dict[str, str]:
    return {name: os.environ[name] for name in PASSED_ON if name in os.environ}


def _copies(names: Sequence[str]) -> dict[Path, bytes]:
    copies: dict[Path, bytes] = {}
    for name in names:
        with suppress(FileNotFoundError):
            copies[HOME / name] = (Path.home() / name).read_bytes()
    return copies


async def _run(
    argv: Sequence[str],
    errand: Errand,
    env: Mapping[str, str],
    hear: Hear,
    inherit: Sequence[int] = (),
) -> int:
    """Run a command under a warden.

    With bubblewrap, too: it asks to die with its parent a moment after its start, and until then
    would outlive it.
    """
    with errand.prompt.open("rb") as prompt:
        try:
            process = await anyio.open_process(
                watched(argv),
                stdin=prompt,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=env,
                cwd=errand.work,
                pass_fds=inherit,
                start_new_session=True,
            )
        except OSError as error:
            raise AgentError(f"the agent cannot be started: {error}") from error
    try:
        await _listen(process, hear)
        return process.returncode or 0
    finally:
        with anyio.CancelScope(shield=True):
            await _stop(process)


async def _listen(process: Process, hear: Hear) -> None:
    """Pass on what a process writes, until it has ended."""

    async def listen(name: Stream, stream: ByteReceiveStream) -> None:
        with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
            async for data in stream:
                hear(name, data)

    async with task_group() as tasks:
        tasks.start_soon(listen, "stdout", cast("ByteReceiveStream", process.stdout))
        tasks.start_soon(listen, "stderr", cast("ByteReceiveStream", process.stderr))
        await process.wait()
        tasks.cancel_scope.deadline = anyio.current_time() + DRAIN_WITHIN_S


async def _stop(process: Process) -> None:
    """Have a warden that has not ended kill what it watches over, and end."""
    with suppress(ProcessLookupError):
        process.terminate()
    with anyio.move_on_after(STOP_WITHIN_S):
        await process.wait()
    if process.returncode is None:
        process.kill()
    await process.aclose()
