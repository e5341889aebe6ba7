"""What a hand-in leaves to bring its verdict down: that pays no better than an honest failure."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

import pytest

from proctor.evaluator.agent_side import MAX_ALL_BYTES, Errand, run_errands
from proctor.evaluator.probe_kit import PROCESSOR_S
from proctor.evaluator.verdicts import BusyError, verdict_on
from proctor.evaluator.work import Work
from proctor.schemas.errors import GradingError
from proctor.schemas.grade import Score
from proctor.schemas.task import Task

Measured: TypeAlias = Callable[..., Awaitable[Score]]
MakeTask: TypeAlias = Callable[..., Task]

OWN = """
import os

def one(files):
    found = files.json("out.json")
    if found == "die":  # as where memory runs out
        os._exit(137)
    return found if isinstance(found, float) else 0.0, f"it is {found}"
"""
HIDDEN = """
import os

def case_it(workspace):
    from code_of_agent import answer
    return answer()

def test_it(result):
    if result == "die":
        os._exit(137)
    assert result == "right", f"it is {result}"
"""
PROBE = """
import os
from probe_kit import Case

def cases(rng):
    return [Case("one", {"x": 1})]

def it(cases, outputs):
    found = outputs["one"].value("y")
    if found == "die":
        os._exit(137)
    return found if isinstance(found, float) else 0.0, f"it is {found}"

CHECKS = {"it": it}
"""
DRIVER = """
import json, os, sys
sys.path.insert(0, os.getcwd())
from code_of_agent import answer
json.dump(answer(), open(f"{sys.argv[2]}/y.json", "w"))
"""
GRADERS: Mapping[str, tuple[str, dict[str, object], dict[str, str]]] = {
    "custom": ("own.py:one", {"files": ["out.json"]}, {"own.py": OWN}),
    "tests": ("tests", {}, {"tests/test_it.py": HIDDEN}),
    "behaviour": (
        "behaviour",
        {"checks": ["it"]},
        {"probe.py": PROBE, "driver.py": DRIVER},
    ),
}
EACH = pytest.mark.parametrize("grader", GRADERS)


def leaving(json: str) -> dict[str, str]:
    """A hand-in that leaves a JSON value, as a file and from its code."""
    code = f"import json\ndef answer():\n    return json.loads({json!r})\n"
    return {"out.json": json, "code_of_agent.py": code}


@EACH
async def test_half_a_character_is_evidence_like_any_other(
    make_task: MakeTask, measured: Measured, grader: str
) -> None:
    score = await measured(make_task(*GRADERS[grader]), leaving('"\\ud800"'))
    assert (score.state, score.credit) == ("scored", 0), score.evidence
    assert "it is \\ud800" in score.evidence


@EACH
async def test_a_hand_in_that_kills_the_verdict_code_is_invalid(
    make_task: MakeTask, measured: Measured, grader: str
) -> None:
    score = await measured(make_task(*GRADERS[grader]), leaving('"die"'))
    assert (score.state, score.credit) == ("invalid", 0), score.evidence
    assert "brought its verdict down, twice" in score.evidence


@pytest.mark.parametrize("grader", ["custom", "behaviour"])
async def test_a_hand_in_that_leads_to_a_credit_that_is_none_is_invalid(
    make_task: MakeTask, measured: Measured, grader: str
) -> None:
    score = await measured(make_task(*GRADERS[grader]), leaving("-3.5"))
    assert (score.state, score.credit) == ("invalid", 0), score.evidence


async def test_verdict_code_has_a_bound_on_processor_time(
    make_task: MakeTask, measured: Measured
) -> None:
    own = "import resource\ndef one(files):\n"
    own += "    return 1.0, f'{resource.getrlimit(resource.RLIMIT_CPU)[0]} s'\n"
    score = await measured(make_task("own.py:one", {}, {"own.py": own}), {})
    assert score.evidence == f"{PROCESSOR_S} s"


async def test_a_busy_machine_is_not_blamed_on_the_hand_in() -> None:
    judged: list[str] = []

    async def judge(given: str) -> None:
        judged.append(given)
        raise BusyError("it was stopped")

    with pytest.raises(GradingError, match="stopped"):
        await verdict_on("given", "nothing", judge)
    assert judged == ["given"]


async def test_evidence_that_repeats_megabytes_is_cut(
    make_task: MakeTask, measured: Measured
) -> None:
    score = await measured(make_task(*GRADERS["behaviour"]), leaving(f'"{"x" * 2_000_000}"'))
    assert (score.state, score.credit) == ("scored", 0)
    assert len(score.evidence) < 10_000


async def test_half_a_character_in_a_report_does_not_keep_the_grade_off_the_disk(
    make_task: MakeTask, measured: Measured
) -> None:
    schema = {"type": "object", "additionalProperties": {"type": "number"}}
    task = make_task("report_field", {"path": "out.json", "schema": schema}, {})
    score = await measured(task, {"out.json": '{"\\ud800": "x"}'})
    assert (score.state, score.credit) == ("scored", 0)
    assert "ud800" in score.model_dump_json()


async def test_outputs_that_fill_the_verdict_sandbox_are_invalid(
    make_task: MakeTask, measured: Measured
) -> None:
    name, options, grading = GRADERS["behaviour"]
    task = make_task(name, options, grading)
    spec = task.sandbox.model_copy(update={"workspace_bytes": 4 << 20})
    files = leaving("0.0")
    files["code_of_agent.py"] = (
        "import sys\ndef answer():\n"
        "    open(f'{sys.argv[2]}/z.txt', 'w').write('x' * (6 << 20))\n    return 0.0\n"
    )
    score = await measured(task.model_copy(update={"sandbox": spec}), files)
    assert (score.state, score.credit) == ("invalid", 0), score.evidence


async def test_all_errands_together_leave_no_more_than_the_server_can_hold(
    make_task: MakeTask, work_of: Callable[..., Work]
) -> None:
    work = work_of(make_task(*GRADERS["tests"]), {})
    write = "import sys; open(sys.argv[1] + '/x.txt', 'wb').truncate(int(sys.argv[2]))"
    many = 17
    size = MAX_ALL_BYTES // many + 1
    large = Errand(lambda p: (p.python, "-c", write, f"{p.exam}/out", str(size)), 20)
    small = Errand(lambda _: ("true",), 20)
    alone = await run_errands(work, {"large": large})
    assert len(alone["large"].outputs["x.txt"]) == size
    errands = {"large": large, **{str(number): small for number in range(1, many)}}
    assert "more than" in (await run_errands(work, errands))["large"].failure
