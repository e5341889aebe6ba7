"""A new task to start from: it works, and says where its author's words are missing."""

import re
from collections.abc import Iterator
from pathlib import Path

from proctor.schemas.errors import TaskError
from proctor.schemas.task import TASK_ID_PATTERN, Task

TEMPLATES = Path(__file__).parent / "templates"
BLANK = "FILL:"


def kinds() -> tuple[str, ...]:
    """The kinds of task that there is a template for."""
    return tuple(sorted(path.name for path in TEMPLATES.iterdir() if path.is_dir()))


def scaffold(kind: str, target: Path) -> list[Path]:
    """Write the template of a kind of task to a new directory, whose name becomes the task's id.

    Returns:
        The files that have blanks to fill.

    Raises:
        TaskError: The directory exists and is not empty, or its name is no id.
    """
    if not re.fullmatch(TASK_ID_PATTERN, target.name):
        raise TaskError(f"{target.name!r} is no id; use letters, digits, '.', '_' and '-'")
    refuse_taken(target)
    written: list[Path] = []
    for source in sorted((TEMPLATES / kind).rglob("*")):
        if source.is_file() and "__pycache__" not in source.parts:
            path = target / source.relative_to(TEMPLATES / kind)
            path.parent.mkdir(parents=True, exist_ok=True)
            text = source.read_text("utf-8")
            path.write_text(text.replace('id = "{id}"', f'id = "{target.name}"'), "utf-8")
            written += [path] if BLANK in text else []
    return written


def refuse_taken(target: Path) -> None:
    """Leave a directory alone that holds something.

    Raises:
        TaskError: It does, or it is no directory.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise TaskError(f"{target} exists; choose another directory")


def blanks(task: Task) -> Iterator[str]:
    """Where a task still has the template's words."""
    texts = {
        "the title": task.title,
        "the description": task.description,
        "instruction.md": task.instructions,
        **{f"criterion {c.id}": c.text + c.justification for c in task.rubric.criteria},
        **{f"decoy {d.name}": d.description for d in task.decoys},
    }
    if task.solution:
        texts["solution/answer.md"] = task.solution.answer
        for path, data in task.solution.files.items():
            texts[f"solution/workspace/{path}"] = data.decode("utf-8", "replace")
    for place, text in texts.items():
        if BLANK in text:
            yield f"{place}: a blank of the template is left to fill"
