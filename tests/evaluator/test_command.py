"""The ``command`` grader: what a command prints is data, held against bounds and claims."""

import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import pytest

from proctor.evaluator.reading import Reading
from proctor.evaluator.worker import in_worker
from proctor.sandbox_backends.base import Backend
from proctor.schemas.errors import SubmissionError, TaskError
from proctor.schemas.grade import Score
from proctor.schemas.task import Task

Measured: TypeAlias = Callable[..., Awaitable[Score]]
MakeTask: TypeAlias = Callable[..., Task]

EVALUATE = """import json, model
error = model.error()
json.dump({"errors": {"mae": error}}, open("metrics.json", "w"))
print("epoch 3 of 9")
print(f"MAE {error:.2f} pounds")
"""
BROKEN, MENDED = "def error(): return 80.123\n", "def error(): return 11.456\n"
WORKSPACE = {"evaluate.py": EVALUATE, "model.py": BROKEN}
BEFORE: dict[str, Any] = {
    "on": "original",
    "low": 70,
    "high": 90,
    "claims": {"pointer": "/verification/before"},
}
AFTER: dict[str, Any] = {"low": 5, "high": 20, "claims": {"pointer": "/verification/after"}}
MAE = {"pattern": r"MAE ([\d.]+)"}
BOTH: dict[str, Any] = {
    "command": ["python", "evaluate.py"],
    "number": MAE,
    "runs": [BEFORE, AFTER],
}
FROM_REPORT: dict[str, Any] = {
    "command_from": {"pointer": "/verification/command"}, "number": MAE, "runs": [BEFORE, AFTER],
}  # fmt: skip


def report(before: object = 80.1, after: object = 11.5, command: object = "true") -> str:
    return json.dumps({"verification": {"command": command, "before": before, "after": after}})


@pytest.mark.parametrize(
    ("model", "claims", "credit"),
    [
        (MENDED, (80.1, 11.5), 1),
        (MENDED, (80.12, 11.46), 1),
        (MENDED, (75.0, 11.5), 0),
        (MENDED, (80.1, 12.5), 0),
        (BROKEN, (80.1, 80.1), 0),
        (BROKEN, (80.1, 11.5), 0),
    ],
)
async def test_before_is_measured_on_the_workspace_as_it_was_and_after_on_the_hand_in(
    make_task: MakeTask, measured: Measured, model: str, claims: tuple[float, float], credit: float
) -> None:
    task = make_task("command", BOTH, {}, WORKSPACE)
    files = {"model.py": model, "response/report.json": report(*claims)}
    score = await measured(task, files)
    assert score.credit == credit, score.evidence
    assert "80.12" in score.evidence


async def test_the_command_may_be_the_reports_own(
    make_task: MakeTask, measured: Measured, isolating: Backend
) -> None:
    task = make_task("command", FROM_REPORT, {}, WORKSPACE)
    said = report(command="cd /workspace && python evaluate.py | tail -n 1")
    score = await measured(task, {"model.py": MENDED, "response/report.json": said}, isolating)
    assert score.credit == 1, score.evidence
    constant = report(80.1, 80.1, command="echo MAE 80.1")
    score = await measured(task, {"model.py": MENDED, "response/report.json": constant}, isolating)
    assert score.credit == 0, score.evidence


@pytest.mark.parametrize(
    ("number", "credit"),
    [
        ({"path": "metrics.json", "pointer": "/errors/mae"}, 1),
        ({"path": "metrics.json"}, 1),
        ({}, 1),
        ({"path": "metrics.json", "pointer": "/errors"}, 0),
        ({"path": "nowhere.json"}, 0),
        ({"pointer": "/errors/mae"}, 0),
        ({"pattern": r"RMSE ([\d.]+)"}, 0),
        ({"pattern": r"(\w+) pounds"}, 0),
        ({"pattern": r"MA(E)"}, 0),
        ({"pattern": r"epoch (\d)"}, 0),
    ],
)
async def test_the_number_is_read_from_what_is_printed_or_written(
    make_task: MakeTask, measured: Measured, number: dict[str, str], credit: float
) -> None:
    options = {**BOTH, "number": number, "runs": [{"low": 5, "high": 20}]}
    score = await measured(make_task("command", options, {}, WORKSPACE), {"model.py": MENDED})
    assert (score.state, score.credit) == ("scored", credit), score.evidence


@pytest.mark.parametrize(
    "printed",
    ["nan", "inf", "1e999", "", "true", "12 apples" * 200, "MAE", "\x00\xff", "0x0b", "11.4.5"],
)
async def test_what_is_no_finite_number_earns_nothing(
    make_task: MakeTask, measured: Measured, printed: str
) -> None:
    options = {"command": ["python", "say.py"], "runs": [{"low": 5}]}
    say = f"import sys\nsys.stdout.buffer.write({printed.encode('latin-1')!r})\n"
    score = await measured(make_task("command", options, {}), {"say.py": say})
    assert (score.state, score.credit) == ("scored", 0), score.evidence


TRICKS = {
    "success without a word": "raise SystemExit(0)",
    "a number, then a failure": "print('MAE 11.5')\nraise SystemExit(1)",
    "a forged verdict": "import json\nfor name in ('verdicts.json', 'result.json'):\n"
    "    json.dump({'it': {'credit': 1, 'evidence': ''}}, open(name, 'w'))\n"
    "import os; os._exit(0)",
    "a flood": "print('MAE 11.5')\nfor n in range(100000): print('x' * 100)\nprint('MAE 80')",
    "a survivor": "import os, sys, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(0.3)\n"
    "    print('MAE 11.5', flush=True)\n    os._exit(0)\nprint('MAE 80', flush=True)\nos._exit(0)",
    "another evaluation": "print('MAE 80.0')\n",
}


@pytest.mark.parametrize("name", list(TRICKS))
async def test_no_trick_turns_a_failure_into_credit(
    make_task: MakeTask, measured: Measured, name: str
) -> None:
    task = make_task("command", {**BOTH, "runs": [AFTER]}, {}, WORKSPACE)
    files = {"model.py": TRICKS[name], "response/report.json": report(80.1, 11.5)}
    score = await measured(task, {**files, "sitecustomize.py": "print('MAE 11.5')"})
    assert (score.state, score.credit) == ("scored", 0), score.evidence


async def test_files_of_the_task_can_be_put_back_before_the_command_runs(
    make_task: MakeTask, measured: Measured
) -> None:
    files = {"evaluate.py": "print('MAE 11.5')", "response/report.json": report()}
    options = {**BOTH, "runs": [AFTER]}
    fooled = await measured(make_task("command", options, {}, WORKSPACE), files)
    options["put_back"] = ["evaluate.py"]
    kept = await measured(make_task("command", options, {}, WORKSPACE), files)
    assert (fooled.credit, kept.credit) == (1, 0)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (report(after="11.5"), "after is no finite number"),
        (report(after=True), "after is no finite number"),
        (report(before=10**400), "before is no finite number"),
        (report(command=""), "is no command"),
        (report(command=["ls"]), "is no command"),
        (report(command="x" * 3000), "longer than"),
        ("{}", "does not exist"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
async def test_a_report_without_command_or_numbers_is_invalid_with_the_reason(
    make_task: MakeTask, measured: Measured, said: str, reason: str
) -> None:
    task = make_task("command", FROM_REPORT, {}, WORKSPACE)
    score = await measured(task, {"response/report.json": said})
    assert score.state == "invalid"
    assert reason in score.evidence


USELESS: list[tuple[dict[str, Any], str]] = [
    ({"command": ["true"], "runs": [{}]}, "low, high or claims"),
    ({"command": ["true"], "runs": []}, "at least 1"),
    ({"command": ["true"], "runs": [{"low": 2, "high": 1}]}, "above high"),
    ({"runs": [AFTER]}, "either command or command_from"),
    ({**FROM_REPORT, "command": ["true"]}, "either command or command_from"),
    ({**BOTH, "number": {"pattern": r"MAE \d"}}, "0 groups"),
    ({**BOTH, "number": {"pattern": "("}}, "not a regular expression"),
    ({**BOTH, "put_back": ["nowhere.py"]}, "no nowhere.py"),
]


@pytest.mark.parametrize(("options", "problem"), USELESS)
def test_options_that_would_prove_nothing_are_the_authors_error(
    make_task: MakeTask, options: dict[str, Any], problem: str
) -> None:
    with pytest.raises(TaskError, match=problem):
        make_task("command", options, {}, WORKSPACE)


async def test_a_search_that_an_author_left_open_to_explosion_is_given_up() -> None:
    reading = Reading(pattern=r"^((?:\d+)+)$")
    with pytest.raises(SubmissionError, match="takes more than"):
        await in_worker(reading.number_in, "1" * 400 + "a", within_s=1)


def test_the_search_for_a_number_is_linear_in_what_was_printed() -> None:
    assert Reading().number_in(("1" * 499 + "a\n") * 500) is None
