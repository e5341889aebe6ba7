"""AfterQuery's JSON form, read and written unchanged.

The rubric stands in ``rubrics``, in ``rubric_text`` (lines ``+5|NAME|criterion|justification``),
or in both, which must then agree. Names are categories and repeat. A ``NO_FILE`` criterion that
names a path is checked by looking for the file; every other one is prose for a judge.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain, count, zip_longest
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import Field

from proctor.schemas.base import Value
from proctor.schemas.errors import TaskError
from proctor.schemas.rubric import Criterion, Message, Outcome, PenaltyWhen, Points, Rubric
from proctor.schemas.task import Limits, Task
from proctor.tasks.formats.reading import read_text, relative_path, validated

RUBRIC_LINE = re.compile(r"^[+-][^|]*\|")
POINTS = re.compile(r"^[+-]\s*(\d+(?:\.\d+)?)$")
PATH_IN_TEXT = re.compile(r"`([^`\s]*[/.][^`\s]*)`|\bat\s+([^\s`]*[/.][^\s`]*[^\s`.,;])")
UNSIGNED_LINE = re.compile(r"^\d[^|]*\|[^|]*\|")
FOREIGN_PREFIXES = ("../tasking/", "../grading/", "./")
"""How AfterQuery's criteria spell the workspace."""


class ScoreForm(Value):
    """How a criterion is scored."""

    type: str = "discrete"
    outcomes: tuple[Outcome, ...] = ()


class RubricItem(Value):
    """One entry of ``rubrics``."""

    name: str = Field(min_length=1)
    weight: Points
    score: ScoreForm = ScoreForm()
    messages: tuple[Message, ...] = Field(min_length=1)


class Document(Value):
    """A task as its JSON file says it."""

    task_id: str
    prompt: tuple[Message, ...] = Field(min_length=1)
    rubrics: tuple[RubricItem, ...] | None = None
    rubric_text: str | None = None
    task_files: dict[str, str] = Field(default_factory=dict[str, str])
    task_dir: str = "/app"
    use_docker: bool = False
    max_turns: int = Field(default=50, gt=0)
    penalty_when: PenaltyWhen = "met"

    def dump(self) -> dict[str, Any]:
        """The JSON that this document was read from."""
        return self.model_dump(mode="json", exclude_unset=True)


def read_document(path: Path) -> Document:
    """Read a JSON file.

    Raises:
        TaskError: It is not such a document; the message names file, key and remedy.
    """
    try:
        data = json.loads(read_text(path), object_pairs_hook=_no_repetition)
    except RecursionError:
        raise TaskError(f"{path}: nested too deeply") from None
    except ValueError as error:
        raise TaskError(f"{path}: not JSON: {error}") from error
    return validated(Document, data, path)


def read_afterquery(path: Path) -> Task:
    """Read a task from a JSON file.

    Raises:
        TaskError: Something in it is wrong; the message names file, key and remedy.
    """
    document = read_document(path)
    files = _files(document, path)
    task = {
        "id": document.task_id,
        "title": document.task_id,
        "prompt": document.prompt,
        "workspace": files,
        "sandbox": {
            "workdir": document.task_dir.rstrip("/"),
            "isolation_required": document.use_docker,
            "script_cwd": "script",
        },
        "limits": Limits(turns=document.max_turns),
        "rubric": Rubric(criteria=_criteria(document, path), penalty_when=document.penalty_when),
    }
    return validated(Task, task, path)


def _files(document: Document, path: Path) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for name, text in document.task_files.items():
        key = f"task_files.{name}"
        relative = relative_path(name, path, key)
        above = [str(parent) for parent in PurePosixPath(relative).parents]
        if relative in files or any(parent in files for parent in above):
            raise TaskError(f"{path}: {key}: another file is in its place; rename one of the two")
        files[relative] = _encode(text, path, name)
    return files


def to_document(task: Task) -> Document:
    """The AfterQuery form of a task, its rubric in both notations.

    What that form has no word for is left out: hidden files, graders' options, `requires`.

    Raises:
        TaskError: A file of the workspace is not text.
    """
    try:
        files = {path: data.decode() for path, data in task.workspace.items()}
    except UnicodeDecodeError as error:
        raise TaskError(f"{task.id}: its workspace holds a file that is not text") from error
    criteria = task.rubric.criteria
    return Document(
        task_id=task.id,
        prompt=task.prompt,
        rubrics=tuple(
            RubricItem(
                name=criterion.category,
                weight=criterion.points,
                score=ScoreForm(outcomes=criterion.outcomes),
                messages=(Message(content=criterion.text),),
            )
            for criterion in criteria
        ),
        rubric_text="\n".join(_line(criterion) for criterion in criteria),
        task_files=files,
        task_dir=task.sandbox.workdir,
        use_docker=task.sandbox.isolation_required,
        max_turns=task.limits.turns,
        penalty_when=task.rubric.penalty_when,
    )


def _line(criterion: Criterion) -> str:
    parts = [f"{criterion.points:+g}", criterion.category, criterion.text, criterion.justification]
    return "|".join(parts if criterion.justification else parts[:3])


def _criteria(document: Document, path: Path) -> tuple[Criterion, ...]:
    stated = None if document.rubrics is None else [_from_item(i) for i in document.rubrics]
    lines = None if document.rubric_text is None else _from_text(document.rubric_text, path)
    if stated is None and lines is None:
        raise TaskError(f"{path}: rubrics: missing, and rubric_text too; add one of them")
    if stated is not None and lines is not None:
        stated = _agreeing(stated, lines, path)
    chosen = stated if stated is not None else [entry for _, entry in lines or ()]
    if not chosen:
        raise TaskError(f"{path}: no criterion; write lines such as '+5|NAME|criterion'")
    return tuple(_numbered(chosen, path, document.task_dir))


def _from_item(item: RubricItem) -> dict[str, Any]:
    text = "\n".join(message.content for message in item.messages)
    return {
        "name": item.name.strip("` "),
        "points": item.weight,
        "text": text,
        "outcomes": item.score.outcomes,
    }


def _from_text(text: str, path: Path) -> list[tuple[int, dict[str, Any]]]:
    """The criteria of ``rubric_text`` with their line numbers; other lines are remarks."""
    found: list[tuple[int, dict[str, Any]]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if UNSIGNED_LINE.match(line.strip()):
            raise TaskError(
                f"{path}: rubric_text, line {number}: no sign before the points; write '+5' or '-3'"
            )
        if not RUBRIC_LINE.match(line.strip()):
            continue
        points, name, *rest = (part.strip() for part in line.strip().split("|", 3))
        if not POINTS.match(points):
            raise TaskError(
                f"{path}: rubric_text, line {number}: {points!r} is not a number of points; "
                "write '+5' or '-3'"
            )
        if not rest or not rest[0]:
            raise TaskError(
                f"{path}: rubric_text, line {number}: no criterion; "
                "write '+5|NAME|criterion|justification'"
            )
        value = float(points.replace(" ", ""))
        entry = {
            "name": name.strip("` "),
            "points": int(value) if value.is_integer() else value,
            "text": rest[0],
            "justification": rest[1] if len(rest) > 1 else "",
        }
        found.append((number, entry))
    return found


def _agreeing(
    stated: Sequence[dict[str, Any]], lines: Sequence[tuple[int, dict[str, Any]]], path: Path
) -> list[dict[str, Any]]:
    """The entries of ``rubrics`` with the justifications of ``rubric_text``."""
    merged: list[dict[str, Any]] = []
    for index, (item, numbered) in enumerate(zip_longest(stated, lines)):
        number, line = numbered or (None, None)
        where = f"{path}: rubric_text, line {number}" if number else f"{path}: rubrics.{index}"
        if item is None or line is None:
            other = "rubrics" if number else "rubric_text"
            raise TaskError(f"{where}: has no counterpart in {other}; mend one of the two")
        for key in ("points", "name", "text"):
            if _plain(item[key]) != _plain(line[key]):
                raise TaskError(
                    f"{where}: {key} is {line[key]!r:.80}, but rubrics.{index} says "
                    f"{item[key]!r:.80}; mend one of the two"
                )
        merged.append({**item, "justification": line["justification"]})
    return merged


def _plain(value: object) -> object:
    return " ".join(value.split()) if isinstance(value, str) else value


def _numbered(entries: Sequence[Mapping[str, Any]], path: Path, task_dir: str) -> list[Criterion]:
    """Criteria with ids made from their names, and the grader that each can have."""
    taken: set[str] = set()
    texts: set[tuple[str, str]] = set()
    criteria: list[Criterion] = []
    for entry in entries:
        key = (entry["name"], entry["text"])
        if key in texts:
            raise TaskError(
                f"{path}: duplicate criterion {entry['name']}: {entry['text']!r:.80}; remove one"
            )
        texts.add(key)
        stem = re.sub(r"[^A-Za-z0-9_.-]+", "-", entry["name"]).strip("-.") or "criterion"
        names = chain([stem], (f"{stem}-{number}" for number in count(2)))
        id_ = next(name for name in names if name not in taken)
        taken.add(id_)
        raw = {"id": id_, **entry, **_grader(entry, task_dir)}
        criteria.append(validated(Criterion, raw, path))
    return criteria


def _grader(entry: Mapping[str, Any], task_dir: str) -> dict[str, Any]:
    """``file_exists`` for what plainly asks for a file; a judge for everything else."""
    is_check = entry["name"] == "NO_FILE" and entry["points"] > 0
    found = PATH_IN_TEXT.search(entry["text"]) if is_check else None
    if found is None:
        return {"grader": "judge"}
    wanted: str = found.group(1) or found.group(2)
    for prefix in (f"{task_dir.rstrip('/')}/", *FOREIGN_PREFIXES):
        wanted = wanted.removeprefix(prefix)
    if wanted.startswith(("/", "../")):
        return {"grader": "judge"}
    return {"grader": "file_exists", "options": {"path": wanted}}


def _no_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    counts = Counter(key for key, _ in pairs)
    if repeated := [key for key, count in counts.items() if count > 1]:
        raise ValueError(f"the key {repeated[0]!r} stands twice")
    return dict(pairs)


def _encode(text: str, path: Path, name: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise TaskError(f"{path}: task_files.{name}: not valid Unicode text") from error
