"""Run the agent's code on inputs it has not seen, and have the task's verdict code judge it.

Two kinds of sandbox, which never meet: the *verdict sandbox* holds ``grading/`` and never agent
code; each case gets a *driver sandbox* of its own, restored from the submission, with the driver
and that case's inputs and nothing else. Between them pass plain data files, through this module,
which bounds their number, names and sizes. Nothing that agent code prints or returns is a verdict.
"""

import json
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import PurePosixPath

import anyio
from pydantic import Field, TypeAdapter, ValidationError

from proctor.evaluator.work import Work
from proctor.sandbox_backends.archive import pack
from proctor.sandbox_backends.base import Sandbox
from proctor.sandbox_backends.concurrency import task_group
from proctor.schemas.base import Value
from proctor.schemas.errors import GradingError, SandboxError, SandboxLostError, SubmissionError
from proctor.schemas.sandbox import ExecResult, SandboxSpec
from proctor.schemas.task import FileTree

CASES_AT_ONCE = 2
VERDICT_WITHIN_S = 300.0
MAX_OUTPUT_FILES = 32
MAX_OUTPUT_BYTES = 16 << 20
OUTPUT_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}\.(npy|npz|json|csv|txt)")
STEADY = {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
"""The environment in which equal code gives equal numbers."""


class Verdict(Value):
    """What one check found."""

    credit: float = Field(ge=0.0, le=1.0)
    evidence: str


class Left(Value):
    """What the driver left of one case."""

    outputs: FileTree
    failure: str
    """How it ended, where it did not end well; empty otherwise."""


async def run_probe(work: Work, probe: str, driver: str, timeout_s: float) -> Mapping[str, Verdict]:
    """Draw a probe's cases, run the agent's code on each, and judge what it left.

    Args:
        work: The submission.
        probe: The verdict code, below ``grading/``.
        driver: What runs the agent's code, below ``grading/``.
        timeout_s: For the driver on one case.

    Returns:
        The verdicts, by the name of the check.

    Raises:
        GradingError: The verdict code failed.
        SandboxError: A sandbox failed.
        SubmissionError: What was handed in cannot be restored.
    """
    without = _offline(work.task.sandbox).model_copy(update={"gpus": 0, "never_gpus": True})
    async with work.backend(without) as sandbox:
        verdicts = _VerdictSandbox(sandbox, work, probe)
        cases = await verdicts.draw_cases()
        left: dict[str, Left] = {}
        limit = anyio.CapacityLimiter(CASES_AT_ONCE)

        async def run(name: str) -> None:
            async with limit:
                left[name] = await _run_driver(work, driver, cases[name], timeout_s)

        async with task_group() as tasks:
            for name in cases:
                tasks.start_soon(run, name)
        return await verdicts.judge(left)


class _VerdictSandbox:
    """Where the task's verdict code runs: it sees ``grading/``, inputs and outputs."""

    def __init__(self, sandbox: Sandbox, work: Work, probe: str) -> None:
        self._sandbox = sandbox
        self._work = work
        self._probe = probe

    async def draw_cases(self) -> Mapping[str, FileTree]:
        """Every case's inputs, by the case's name."""
        kit = files("proctor.evaluator").joinpath("probe_kit.py").read_bytes()
        await self._sandbox.restore(pack({**self._work.task.grading, "probe_kit.py": kit}))
        await self._kit("cases", "made/cases")
        entries, _ = await self._sandbox.list("made/cases")
        if not entries:
            raise GradingError(f"{self._probe} draws no cases")
        return {e.name: await _fetch_all(self._sandbox, f"made/cases/{e.name}") for e in entries}

    async def judge(self, left: Mapping[str, Left]) -> Mapping[str, Verdict]:
        """The verdicts on what the driver left of each case."""
        failures = {name: each.failure for name, each in left.items() if each.failure}
        tree = {"made/failures.json": json.dumps(failures).encode()}
        for name, each in left.items():
            tree |= {f"made/outputs/{name}/{file}": each.outputs[file] for file in each.outputs}
        await self._sandbox.restore(pack(tree))
        await self._kit("judge", "made/outputs", "made/failures.json", "made/verdicts.json")
        data = await self._sandbox.fetch("made/verdicts.json", max_bytes=MAX_OUTPUT_BYTES)
        try:
            return TypeAdapter(dict[str, Verdict]).validate_json(data)
        except ValidationError as error:
            raise GradingError(f"{self._probe} gave no usable verdict: {error}") from error

    async def _kit(self, action: str, *arguments: str) -> None:
        python = self._sandbox.info.python
        seed = str(self._work.seed)
        result = await self._sandbox.exec(
            [python, "probe_kit.py", action, self._probe, seed, *arguments],
            timeout_s=VERDICT_WITHIN_S,
            env=STEADY,
        )
        if result.exit_code != 0:
            raise GradingError(f"grading/{self._probe} failed to {action}: {_ending(result)}")


async def _run_driver(work: Work, driver: str, inputs: FileTree, timeout_s: float) -> Left:
    """Run one case. Code that takes its sandbox down twice has failed; once may be bad luck."""
    for attempt in ("first", "second"):
        try:
            return await _run_driver_once(work, driver, inputs, timeout_s)
        except SandboxLostError:
            if attempt == "second":
                break
    return Left(outputs={}, failure="the code brought its sandbox down, twice")


async def _run_driver_once(work: Work, driver: str, inputs: FileTree, timeout_s: float) -> Left:
    async with work.backend(_offline(work.task.sandbox)) as sandbox:
        with work.snapshot.open("rb") as snapshot:
            try:
                await sandbox.restore(snapshot)
            except (OSError, ValueError) as error:
                raise SubmissionError(f"what was handed in cannot be unpacked: {error}") from error
        exam = f"{sandbox.info.scratch}/exam"
        given = {f"in/{name}": data for name, data in inputs.items()}
        name = PurePosixPath(driver).name
        tree = {**given, name: work.task.grading[driver], "out/.keep": b""}
        await sandbox.restore(pack(tree), root=exam)
        result = await sandbox.exec(
            [sandbox.info.python, f"{exam}/{name}", f"{exam}/in", f"{exam}/out"],
            timeout_s=timeout_s,
            env=STEADY,
        )
        failure = "" if result.exit_code == 0 else _ending(result)
        try:
            await sandbox.kill_all()
        except SandboxLostError:
            raise
        except SandboxError as error:  # what is left could still change the outputs
            return Left(outputs={}, failure=str(error))
        try:
            return Left(outputs=await _fetch_outputs(sandbox, f"{exam}/out"), failure=failure)
        except OSError as error:  # the agent's code replaced or filled its output directory
            return Left(outputs={}, failure=failure or f"its outputs cannot be read: {error}")


def _offline(spec: SandboxSpec) -> SandboxSpec:
    """The machine to grade on: code that can ask elsewhere for answers cannot be measured."""
    return spec.model_copy(update={"network": "none"})


async def _fetch_outputs(sandbox: Sandbox, root: str) -> FileTree:
    entries, _ = await sandbox.list("", root=root, max_entries=1000)
    files = [e for e in entries if e.kind == "file" and OUTPUT_NAME.fullmatch(e.name)]
    if len(files) > MAX_OUTPUT_FILES or sum(e.size for e in files) > MAX_OUTPUT_BYTES:
        raise OSError(f"more than {MAX_OUTPUT_FILES} files or {MAX_OUTPUT_BYTES >> 20} MiB")
    return {
        e.name: await sandbox.fetch(e.name, root=root, max_bytes=MAX_OUTPUT_BYTES) for e in files
    }


async def _fetch_all(sandbox: Sandbox, path: str) -> FileTree:
    entries, _ = await sandbox.list(path)
    return {
        e.name: await sandbox.fetch(f"{path}/{e.name}", max_bytes=MAX_OUTPUT_BYTES)
        for e in entries
        if e.kind == "file"
    }


def _ending(result: ExecResult) -> str:
    if result.timed_out:
        return f"it was stopped after {result.duration_s:.0f} s"
    said = result.stderr.text().strip()[-600:]
    return f"it ended with exit code {result.exit_code}: {said}"
