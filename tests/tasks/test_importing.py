"""AfterQuery's JSON as a directory: nothing is lost, and checks are proposed, not guessed later."""

import json
from pathlib import Path
from typing import Any

import pytest

from proctor.schemas.errors import TaskError
from proctor.tasks.catalog import read_task
from proctor.tasks.importing import proposals, write_directory

RUBRIC = """
+5|NO_FILE|report.json exists at `../tasking/response/report.json`
+9|IDENTIFY_ISSUE_TYPE|The report says that the issue type is "DATA_LEAKAGE".|It is.
+2|IDENTIFY_ISSUE_TYPE|It is one of DATA_LEAKAGE and OUTLIER.
+3|FORMAT|response/report.json is valid JSON with all required fields.
+4|EXPLAIN|The explanation exists and names the fit on all rows.
-3|PENALTY|The report blames an OUTLIER.
"""
DOCUMENT: dict[str, Any] = {
    "task_id": "leak-7",
    "prompt": [{"type": "text", "content": 'Find it.\n"""It\'s" \\ there.'}],
    "rubric_text": RUBRIC,
    "task_files": {"src/code.py": "x = 1\n", "data/é.csv": "a,é\n"},
    "task_dir": "/app",
    "use_docker": True,
    "max_turns": 30,
    "penalty_when": "unmet",
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "task.json"
    path.write_text(json.dumps(DOCUMENT))
    return path


def test_a_directory_holds_all_that_the_json_held(source: Path, tmp_path: Path) -> None:
    task = read_task(source)
    write_directory(task, proposals(task), tmp_path / "out")
    again = read_task(tmp_path / "out")
    for name in ("id", "title", "prompt", "workspace", "sandbox", "limits"):
        assert getattr(again, name) == getattr(task, name)
    assert again.rubric.penalty_when == "unmet"
    kept = {"id", "name", "points", "text", "justification", "outcomes"}
    assert [c.model_dump(include=kept) for c in again.rubric.criteria] == [
        c.model_dump(include=kept) for c in task.rubric.criteria
    ]


def test_what_can_be_checked_is_and_prose_stays_with_a_judge(source: Path) -> None:
    found = {each.criterion.id: each for each in proposals(read_task(source))}
    assert {id_: each.criterion.grader for id_, each in found.items()} == {
        "NO_FILE": "file_exists",
        "IDENTIFY_ISSUE_TYPE": "report_field",
        "IDENTIFY_ISSUE_TYPE-2": "judge",
        "FORMAT": "report_field",
        "EXPLAIN": "judge",
        "PENALTY": "judge",
    }
    named = found["IDENTIFY_ISSUE_TYPE"]
    assert named.criterion.options == {"pointer": "/issue_type", "equals": "DATA_LEAKAGE"}
    assert all(each.reason for each in found.values())


def test_a_directory_that_holds_something_is_left_alone(source: Path, tmp_path: Path) -> None:
    task = read_task(source)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    with pytest.raises(TaskError, match="choose another directory"):
        write_directory(task, proposals(task), tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]
