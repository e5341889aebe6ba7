"""``behaviour``: the agent's code, run on inputs it has not seen, has the property it should."""

from pydantic import Field

from proctor.evaluator.probes import ProbeRun, run_probe
from proctor.evaluator.work import Work
from proctor.schemas.base import Value
from proctor.schemas.errors import GradingError, TaskError
from proctor.schemas.grade import Score
from proctor.schemas.task import Task


class Options(Value):
    """Which probe, and which of its checks must hold."""

    checks: tuple[str, ...] = Field(min_length=1)
    """The criterion's credit is the least of theirs."""
    probe: str = "probe.py"
    """The verdict code, below the task's ``grading/``."""
    driver: str = "driver.py"
    """What runs the agent's code, below the task's ``grading/``."""
    timeout_s: float = Field(default=120.0, gt=0, le=3600)
    """For the driver on one case."""


def check(task: Task, options: Options) -> None:
    """Check that the files which the options name are there.

    Raises:
        TaskError: One is not.
    """
    for path in (options.probe, options.driver):
        if path not in task.grading:
            raise TaskError(f"there is no grading/{path}")


async def measure(work: Work, options: Options) -> Score:
    """The least credit among the checks."""
    key = (options.probe, options.driver, options.timeout_s)
    return scored(await work.once(key, lambda: run_probe(work, *key)), options)


def scored(run: ProbeRun, options: Options) -> Score:
    """The least credit among the checks, as a probe found them.

    Raises:
        GradingError: It has not all of them.
    """
    verdicts = run.verdicts
    if missing := [name for name in options.checks if name not in verdicts]:
        raise GradingError(f"{options.probe} has no check {missing[0]!r}")
    found = [verdicts[name] for name in options.checks]
    evidence = "; ".join(f"{'ok' if v.credit >= 1 else 'FAILED'}: {v.evidence}" for v in found)
    return Score(state="scored", credit=min(v.credit for v in found), evidence=evidence)
