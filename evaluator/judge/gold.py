"""Work that people have judged: what a judge is held against.

A line of a gold file is one `GoldItem` in JSON. The bundled ones stand in ``gold/``.
"""

import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from proctor.evaluator.judge.material import REPORT
from proctor.evaluator.judge.prompt import labels_of
from proctor.schemas.base import Value
from proctor.schemas.errors import TaskError
from proctor.schemas.rubric import Criterion
from proctor.schemas.task import FileTree, Task


class GoldItem(Value):
    """One hand-in with the verdicts that it deserves."""

    id: str
    task: str
    """The task's id."""
    kind: Literal["good", "bad", "injection"]
    """``injection``: it tries to talk the judge over. The others are honest."""
    answer: str = ""
    report: Any = None
    """What ``response/report.json`` holds: JSON, or a text as it stands; None for no report."""
    files: Mapping[str, str] = Field(default_factory=dict[str, str])
    """Other files that are laid over the task's workspace."""
    labels: Mapping[str, str] = Field(min_length=1)
    """The right verdict by the criterion's id, such as ``met`` or ``not met``."""

    def tree(self) -> FileTree:
        """The files handed in."""
        tree = {path: text.encode() for path, text in self.files.items()}
        if self.report is not None:
            text = self.report if isinstance(self.report, str) else _json(self.report)
            tree[REPORT] = text.encode()
        return tree

    def criteria(self, task: Task) -> tuple[Criterion, ...]:
        """The criteria that the labels are of, in the rubric's order.

        Raises:
            TaskError: The task has no such criterion for a judge, or it allows no such verdict.
        """
        known = {c.id: c for c in task.rubric.criteria if c.grader == "judge"}
        for id_, label in self.labels.items():
            if id_ not in known:
                raise TaskError(f"{self.id}: {task.id} has no criterion {id_!r} for a judge")
            if label not in labels_of(known[id_]):
                offered = ", ".join(map(repr, labels_of(known[id_])))
                raise TaskError(f"{self.id}: {id_} allows {offered}, not {label!r}")
        return tuple(criterion for id_, criterion in known.items() if id_ in self.labels)


def read_gold(path: Path) -> tuple[GoldItem, ...]:
    """Read a gold file.

    Raises:
        TaskError: It cannot be read, or a line is not such an item; the message names it.
    """
    try:
        return tuple(_items(path.read_text("utf-8"), str(path)))
    except (OSError, UnicodeDecodeError) as error:
        raise TaskError(f"{path}: cannot be read: {error}") from error


def bundled_gold() -> tuple[GoldItem, ...]:
    """The gold set for the bundled tasks."""
    folder = files("proctor.evaluator.judge").joinpath("gold")
    found = sorted(folder.iterdir(), key=lambda each: each.name)
    return tuple(item for f in found for item in _items(f.read_text("utf-8"), f.name))


def _items(text: str, where: str) -> Iterator[GoldItem]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            yield GoldItem.model_validate_json(line)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"])) or "the line"
            raise TaskError(f"{where}, line {number}: {key}: {first['msg']}") from error


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)
