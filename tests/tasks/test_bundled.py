"""The bundled tasks. ``proctor tasks check`` proves them in full; this holds what is quick."""

import re
from pathlib import Path

import pytest

from proctor.evaluator.graders import options_of
from proctor.evaluator.graders.report_field import Options as ReportField
from proctor.schemas.report import ErrorCode
from proctor.schemas.task import Task
from proctor.tasks.catalog import BUNDLED, Catalog

CATALOG = Catalog()
TASKS = list(CATALOG)
EACH = pytest.mark.parametrize("task", TASKS, ids=[task.id for task in TASKS])
POINTS = {
    "issue_type": 15, "location": 20, "explanation": 5, "proposed_fix": 12, "verification": 8,
    "report_file": 3, "report_format": 7,
}  # fmt: skip
GIVEAWAYS = re.compile(
    r"data.?leak|outlier|scaling.?error|encoding.?error|imbalanc|overfit|underfit", re.IGNORECASE
)


def code_of(task: Task) -> str:
    (criterion,) = [c for c in task.rubric.criteria if c.id == "issue_type"]
    options = options_of(criterion)
    assert isinstance(options, ReportField)
    return str(options.equals)


def test_every_error_code_has_one_task() -> None:
    assert not CATALOG.problems
    assert sorted(code_of(task) for task in TASKS) == sorted(ErrorCode)


@EACH
def test_a_task_is_a_small_realistic_project(task: Task) -> None:
    code = [p for p in task.workspace if p.endswith((".py", ".md", ".toml", ".json"))]
    lines = sum(task.workspace[path].count(b"\n") for path in code)
    assert len(code) >= 4
    assert 200 <= lines <= 700
    assert "README.md" in task.workspace
    assert sum(map(len, task.workspace.values())) < 400_000


@EACH
def test_the_rubric_spreads_90_points_as_afterquerys_does(task: Task) -> None:
    points = {criterion.id: criterion.points for criterion in task.rubric.criteria}
    assert sum(points.values()) == 90
    assert POINTS.items() <= points.items()
    assert points["fix_property"] + points["fix_works"] == 20


@EACH
def test_form_earns_nothing_without_the_right_diagnosis(task: Task) -> None:
    for criterion in task.rubric.criteria:
        if criterion.id in ("report_file", "report_format", "verification", "location"):
            assert "issue_type" in criterion.requires


@EACH
def test_nothing_that_an_agent_sees_singles_out_the_answer(task: Task) -> None:
    card = f"{task.id} {task.title} {task.description}"
    assert not GIVEAWAYS.search(card)
    for path, data in task.workspace.items():
        assert not GIVEAWAYS.search(path)
        words = {found.lower() for found in GIVEAWAYS.findall(data.decode("utf-8", "replace"))}
        assert not words, f"{path} says {words}"


@EACH
def test_the_instructions_ask_for_the_report_and_name_every_code_alike(task: Task) -> None:
    for code in ErrorCode:
        assert task.instructions.count(code.value) == 1
    assert "response/report.json" in task.instructions
    assert "submit" in task.instructions


@EACH
def test_there_are_decoys_for_the_usual_ways_to_be_wrong(task: Task) -> None:
    assert len(task.decoys) >= 4
    assert any("location" in decoy.fails for decoy in task.decoys)
    assert any("issue_type" in decoy.fails for decoy in task.decoys)
    assert sum(1 for decoy in task.decoys if "fix_property" in decoy.fails) >= 2


def test_no_derived_files_are_bundled() -> None:
    assert not list(Path(BUNDLED).rglob("*.pyc"))
