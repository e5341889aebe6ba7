"""From AfterQuery's JSON to a directory, with explicit checks proposed in place of a judge.

AfterQuery's evaluator guesses from words such as "exists" what to look for; here the guess is
made once, by the importer, shown to the author, and written down as a criterion's grader.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from proctor.schemas.report import ErrorCode
from proctor.schemas.rubric import Criterion
from proctor.schemas.task import Task
from proctor.tasks.formats.directory import FILE
from proctor.tasks.scaffold import refuse_taken

CODE = re.compile(rf"\b({'|'.join(code.value for code in ErrorCode if code.value != 'NONE')})\b")
NO_ERROR = re.compile(r"['\"`]NONE['\"`]")
REPORT = re.compile(r"[\w./-]*report\.json")
FIELDS = re.compile(
    r"\b(?:all|every|required) (?:the )?(?:required )?fields?\b|\bvalid JSON\b", re.IGNORECASE
)


@dataclass(frozen=True)
class Proposal:
    """What measures a criterion, and why the importer thinks so."""

    criterion: Criterion
    reason: str


def proposals(task: Task) -> list[Proposal]:
    """A proposal for every criterion; those that need reading stay with a judge."""
    return [_proposed(criterion) for criterion in task.rubric.criteria]


def _proposed(criterion: Criterion) -> Proposal:
    if criterion.grader != "judge":
        return Proposal(criterion, f"asks for the file {criterion.options.get('path')}")
    named = {*CODE.findall(criterion.text)}
    if NO_ERROR.search(criterion.text):
        named.add(ErrorCode.NONE.value)
    if len(named) == 1 and "IDENTIFY" in criterion.category.upper():
        code = named.pop()
        return _with(
            criterion,
            "report_field",
            {"pointer": "/issue_type", "equals": code},
            f"names one error code, {code}; the instructions must ask for it in the report",
        )
    found = REPORT.search(criterion.text)
    if criterion.points > 0 and found and FIELDS.search(criterion.text):
        return _with(
            criterion,
            "report_field",
            {"pointer": "", "schema": "error_analysis_report"},
            "asks for every field of the report",
        )
    return Proposal(criterion, "is prose, which only a judge can read")


def _with(criterion: Criterion, grader: str, options: Mapping[str, Any], reason: str) -> Proposal:
    changed = criterion.model_copy(update={"grader": grader, "options": dict(options)})
    return Proposal(changed, reason)


def write_directory(task: Task, chosen: list[Proposal], target: Path) -> None:
    """Write a task as a directory.

    Raises:
        TaskError: The directory exists and is not empty.
    """
    refuse_taken(target)
    files = {
        FILE: tomli_w.dumps(_document(task, chosen), multiline_strings=True).encode(),
        "instruction.md": task.instructions.encode(),
        **{f"workspace/{path}": data for path, data in task.workspace.items()},
    }
    for name, data in files.items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _document(task: Task, chosen: list[Proposal]) -> dict[str, Any]:
    spec = task.sandbox
    return {
        "id": task.id,
        "title": task.title,
        "kind": task.kind,
        "penalty_when": task.rubric.penalty_when,
        "limits": task.limits.model_dump(mode="json", exclude_defaults=True),
        "sandbox": json.loads(spec.model_dump_json(exclude_defaults=True, exclude_none=True)),
        "criteria": [
            json.loads(each.criterion.model_dump_json(exclude_defaults=True, exclude_none=True))
            for each in chosen
        ],
    }
