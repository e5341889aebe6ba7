"""``tests``: hidden tests of the agent's code, their asserts out of its reach.

A module below ``grading/tests/`` holds pairs of functions::

    def case_median(workspace):            # runs beside the agent's code, in a sandbox of its own
        from stats import centre
        return centre([3, 1, 2])

    def test_median(result):               # runs elsewhere, on plain data
        assert result == 2

The credit is the share of the tests that pass. A result that is no plain data, or holds NaN or
infinity, fails every test that asks for it.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from importlib.resources import files
from typing import Literal

from pydantic import Field, TypeAdapter

from proctor.evaluator.agent_side import Errand, Left, Places, run_errands
from proctor.evaluator.hidden_tests import HiddenTests, modules_of
from proctor.evaluator.probes import as_tree
from proctor.evaluator.verdicts import verdict_on
from proctor.evaluator.work import Work
from proctor.schemas.base import Value
from proctor.schemas.errors import GradingError, TaskError
from proctor.schemas.grade import Score
from proctor.schemas.task import Task

DRIVER = "case_driver.py"
SHOWN_FAILURES = 5


class Options(Value):
    """Which tests, and how they count."""

    files: tuple[str, ...] = ()
    """Modules below ``grading/``; none stands for every ``tests/test_*.py``."""
    only: tuple[str, ...] = ()
    """Names of the test functions that count here; none stands for all."""
    credit: Literal["share", "all"] = "share"
    """The share of the tests that pass, or nothing unless all do."""
    timeout_s: float = Field(default=60.0, gt=0, le=3600)
    """For each case."""


class Outcome(Value):
    """How one test ended."""

    passed: bool
    why: str = ""
    """Why not."""


REPORT = TypeAdapter(dict[str, Outcome])


def check(task: Task, options: Options) -> None:
    """Check that the modules can be split, and that the tests which count are there.

    Raises:
        TaskError: One cannot, or is not.
    """
    known = {name for module in modules_of(task.grading, options.files) for name in module.tests}
    if unknown := sorted(set(options.only) - known):
        raise TaskError(f"there is no test function {unknown[0]!r}")


async def measure(work: Work, options: Options) -> Score:
    """The share of the tests that pass."""
    key = ("tests", options.files, options.timeout_s)
    report = await work.once(key, lambda: _run(work, options))
    counted = {
        name: outcome
        for name, outcome in report.items()
        if not options.only or _function(name) in options.only
    }
    if not counted or {*options.only} - {_function(name) for name in counted}:
        raise GradingError("no test was run of those that count")
    passed = sum(outcome.passed for outcome in counted.values())
    share = passed / len(counted)
    failed = [f"{_function(n)}: {outcome.why}" for n, outcome in counted.items() if outcome.why]
    return Score(
        state="scored",
        credit=share if options.credit == "share" else float(share == 1),
        evidence="; ".join([f"{passed} of {len(counted)} tests passed", *failed[:SHOWN_FAILURES]]),
    )


async def _run(work: Work, options: Options) -> Mapping[str, Outcome]:
    """Every test's outcome, by its pytest id."""
    modules = modules_of(work.task.grading, options.files)
    driver = files("proctor.evaluator").joinpath(DRIVER).read_bytes()
    errands = {
        f"{module.stem}/{case}": _errand(source, case, driver, options.timeout_s)
        for module in modules
        for case, source in module.cases.items()
    }
    left = await run_errands(work, errands)
    nothing = {name: Left(outputs={}, failure="nothing of it is left") for name in left}
    return await verdict_on(left, nothing, lambda given: _judge(work, modules, given))


async def _judge(
    work: Work, modules: Sequence[HiddenTests], left: Mapping[str, Left]
) -> Mapping[str, Outcome]:
    """How the tests end on what the cases left."""
    async with work.verdict_sandbox() as sandbox:
        place = sandbox.place()
        results, failures, report = (
            f"{place}/{each}" for each in ("results", "failures.json", "report.json")
        )
        await sandbox.put(as_tree(left, results, failures))
        paths = [module.path for module in modules]
        about = "the hidden tests cannot be run"
        await sandbox.run_kit("tests_kit.py", about, results, failures, report, *paths)
        return await sandbox.fetch_as(REPORT, report)


def _errand(source: str, case: str, driver: bytes, timeout_s: float) -> Errand:
    beside = {DRIVER: driver, "case.py": source.encode()}
    return Errand(argv=partial(_command, case), timeout_s=timeout_s, beside=beside)


def _command(case: str, places: Places) -> tuple[str, ...]:
    exam = places.exam
    return (places.python, f"{exam}/{DRIVER}", f"{exam}/case.py", f"case_{case}", f"{exam}/out")


def _function(name: str) -> str:
    """The test function of a pytest id."""
    return name.rpartition("::")[2].partition("[")[0]
