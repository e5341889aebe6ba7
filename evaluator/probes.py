"""Run the agent's code on inputs it has not seen, and have the task's verdict code judge it.

The verdict code draws cases in the verdict sandbox; the driver runs the agent's code on each in a
sandbox of its own, which holds that case's inputs alone; and the verdict code judges the plain
data that came back.
"""

import json
from collections.abc import Mapping
from functools import partial
from pathlib import PurePosixPath

from pydantic import Field, TypeAdapter

from proctor.evaluator.agent_side import Errand, Left, Places, run_errands
from proctor.evaluator.verdicts import VerdictSandbox, verdict_on
from proctor.evaluator.work import Work
from proctor.schemas.base import Value
from proctor.schemas.errors import GradingError
from proctor.schemas.task import FileTree


class Verdict(Value):
    """What one check found."""

    credit: float = Field(ge=0.0, le=1.0)
    evidence: str


class ProbeRun(Value):
    """All that a probe did, by the name of the case or check."""

    cases: Mapping[str, FileTree]
    """The inputs that were drawn."""
    left: Mapping[str, Left]
    """What the agent's code made of them."""
    verdicts: Mapping[str, Verdict]


VERDICTS = TypeAdapter(dict[str, Verdict])


async def run_probe(work: Work, probe: str, driver: str, timeout_s: float) -> ProbeRun:
    """Draw a probe's cases, run the agent's code on each, and judge what it left.

    Args:
        work: The submission.
        probe: The verdict code, below ``grading/``.
        driver: What runs the agent's code, below ``grading/``.
        timeout_s: For the driver on one case.

    Raises:
        GradingError: The verdict code failed.
        SandboxError: A sandbox failed.
        SubmissionError: What was handed in cannot be restored, or broke the verdict code.
    """
    async with work.verdict_sandbox() as sandbox:
        cases = await _draw_cases(sandbox, sandbox.place(), probe, work.seed)
    errands = {
        name: _errand(work.task.grading[driver], driver, inputs, timeout_s)
        for name, inputs in cases.items()
    }
    left = await run_errands(work, errands)
    nothing = {name: Left(outputs={}, failure="nothing of it is left") for name in left}
    verdicts = await verdict_on(left, nothing, lambda given: _judge(work, probe, given))
    return ProbeRun(cases=cases, left=left, verdicts=verdicts)


async def _draw_cases(
    sandbox: VerdictSandbox, place: str, probe: str, seed: int
) -> Mapping[str, FileTree]:
    """Every case's inputs, by the case's name."""
    about = f"grading/{probe} failed to draw cases"
    await sandbox.run_kit("probe_kit.py", about, "cases", probe, str(seed), f"{place}/cases")
    names = await sandbox.names(f"{place}/cases")
    if not names:
        raise GradingError(f"{probe} draws no cases")
    return {name: await sandbox.fetch_tree(f"{place}/cases/{name}") for name in names}


def _errand(code: bytes, driver: str, inputs: FileTree, timeout_s: float) -> Errand:
    name = PurePosixPath(driver).name
    beside = {name: code, **{f"in/{file}": data for file, data in inputs.items()}}
    return Errand(argv=partial(_command, name), timeout_s=timeout_s, beside=beside)


def _command(driver: str, places: Places) -> tuple[str, ...]:
    exam = places.exam
    return (places.python, f"{exam}/{driver}", f"{exam}/in", f"{exam}/out")


async def _judge(work: Work, probe: str, left: Mapping[str, Left]) -> Mapping[str, Verdict]:
    """The verdicts on what the driver left of each case."""
    async with work.verdict_sandbox() as sandbox:
        place = sandbox.place()
        outputs, failures, found = (
            f"{place}/{each}" for each in ("outputs", "failures.json", "verdicts.json")
        )
        await sandbox.put(as_tree(left, outputs, failures))
        about, seed = f"grading/{probe} failed to judge", str(work.seed)
        await sandbox.run_kit("probe_kit.py", about, "judge", probe, seed, outputs, failures, found)
        return await sandbox.fetch_as(VERDICTS, found)


def as_tree(left: Mapping[str, Left], outputs: str, failures: str) -> FileTree:
    """What errands left, as files for verdict code.

    Args:
        left: By the errand's name.
        outputs: The directory that gets a directory per errand.
        failures: The JSON file with how each errand failed that did.
    """
    said = {name: each.failure for name, each in left.items() if each.failure}
    tree = {failures: json.dumps(said).encode()}
    for name, each in left.items():
        tree |= {f"{outputs}/{name}/{file}": data for file, data in each.outputs.items()}
    return tree
