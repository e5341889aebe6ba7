"""Run something of the agent's in a fresh sandbox, and fetch the plain data that it leaves.

Every errand gets a sandbox of its own, restored from the submission, without network, and in it
what the errand needs and nothing else: no labels, no rubric, no verdict code. What comes back is
bounded in number, names and sizes, and is data: nothing that agent code could have written is a
verdict.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

import anyio

from proctor.evaluator.verdicts import MAX_FILE_BYTES, STEADY, ending
from proctor.evaluator.work import Work
from proctor.sandbox_backends.archive import pack
from proctor.sandbox_backends.base import Sandbox
from proctor.sandbox_backends.concurrency import task_group
from proctor.schemas.base import Value
from proctor.schemas.errors import SandboxError, SandboxLostError, SubmissionError
from proctor.schemas.task import FileTree

CASES_AT_ONCE = 2
MAX_OUTPUT_FILES = 32
MAX_ALL_BYTES = 256 << 20
"""Of the outputs of all errands together: the server holds them, and so does a verdict sandbox."""
OUTPUT_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}\.(npy|npz|json|csv|txt)")


class Places(NamedTuple):
    """Where things are in the sandbox that runs an errand."""

    python: str
    exam: str
    """The directory with the errand's files, outside the workspace; results go to ``out/``."""


@dataclass(frozen=True)
class Errand:
    """One command to run in the workspace, with what it needs."""

    argv: Callable[[Places], Sequence[str]]
    timeout_s: float
    beside: FileTree = field(default_factory=dict[str, bytes])
    """What is laid into the exam directory: a driver, inputs."""
    over: FileTree = field(default_factory=dict[str, bytes])
    """What is laid over the workspace."""
    workspace: Literal["submission", "original"] = "submission"
    """What was handed in, or the task's own workspace as the agent found it."""
    fetch: tuple[str, ...] | None = None
    """Files of the workspace to come back; None stands for the exam's ``out/``."""
    max_bytes: int = MAX_FILE_BYTES
    """How much may come back."""


class Left(Value):
    """What an errand left: data, and never a verdict."""

    outputs: FileTree
    stdout: bytes = b""
    """Its head and tail, where it was long."""
    failure: str
    """How it ended, where it did not end well; empty otherwise."""


async def run_errands(work: Work, errands: Mapping[str, Errand]) -> Mapping[str, Left]:
    """Run errands, some at a time.

    Raises:
        SandboxError: A sandbox failed.
        SubmissionError: What was handed in cannot be restored.
    """
    left: dict[str, Left] = {}
    most = min(MAX_FILE_BYTES, MAX_ALL_BYTES // max(1, len(errands)))
    limit = await work.once("agent side", _limit)

    async def run(name: str) -> None:
        async with limit:
            left[name] = await _run(work, replace(errands[name], max_bytes=most))

    async with task_group() as tasks:
        for name in errands:
            tasks.start_soon(run, name)
    return {name: left[name] for name in errands}


async def _limit() -> anyio.CapacityLimiter:
    return anyio.CapacityLimiter(CASES_AT_ONCE)


async def _run(work: Work, errand: Errand) -> Left:
    """Run one errand. Code that takes its sandbox down twice has failed; once may be bad luck."""
    for attempt in ("first", "second"):
        try:
            return await _run_once(work, errand)
        except SandboxLostError:
            if attempt == "second":
                break
    return Left(outputs={}, failure="the code brought its sandbox down, twice")


async def _run_once(work: Work, errand: Errand) -> Left:
    spec = work.task.sandbox.model_copy(update={"network": "none"})
    async with work.backend(spec) as sandbox:
        await _restore(sandbox, work, errand)
        places = Places(sandbox.info.python, f"{sandbox.info.scratch}/exam")
        await sandbox.restore(pack({**errand.beside, "out/.keep": b""}), root=places.exam)
        result = await sandbox.exec(errand.argv(places), timeout_s=errand.timeout_s, env=STEADY)
        failure = "" if result.exit_code == 0 else ending(result)
        stdout = result.stdout.text().encode()
        try:
            await sandbox.kill_all()
        except SandboxLostError:
            raise
        except SandboxError as error:  # what is left could still change the outputs
            return Left(outputs={}, failure=str(error))
        try:
            outputs = await _fetch(sandbox, places, errand)
        except OSError as error:  # the agent's code replaced or filled its output directory
            failure = failure or f"its outputs cannot be read: {error}"
            return Left(outputs={}, stdout=stdout, failure=failure)
        return Left(outputs=outputs, stdout=stdout, failure=failure)


async def _restore(sandbox: Sandbox, work: Work, errand: Errand) -> None:
    if errand.workspace == "original":
        await sandbox.restore(pack({**work.task.workspace, **errand.over}))
        return
    try:
        with work.snapshot.open("rb") as snapshot:
            await sandbox.restore(snapshot)
        if errand.over:
            await sandbox.restore(pack(errand.over))
    except (OSError, ValueError) as error:
        raise SubmissionError(f"what was handed in cannot be unpacked: {error}") from error


async def _fetch(sandbox: Sandbox, places: Places, errand: Errand) -> FileTree:
    """The errand's outputs.

    Raises:
        OSError: They are too many or too large, or not where they should be.
    """
    most = errand.max_bytes
    if errand.fetch is not None:
        return {path: await sandbox.fetch(path, max_bytes=most) for path in errand.fetch}
    root = f"{places.exam}/out"
    entries, _ = await sandbox.list("", root=root, max_entries=1000)
    files = [e for e in entries if e.kind == "file" and OUTPUT_NAME.fullmatch(e.name)]
    if len(files) > MAX_OUTPUT_FILES or sum(e.size for e in files) > most:
        raise OSError(f"more than {MAX_OUTPUT_FILES} files or {most >> 20} MiB")
    return {e.name: await sandbox.fetch(e.name, root=root, max_bytes=most) for e in files}
