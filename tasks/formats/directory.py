"""The directory form, for authors: ``task.toml``, ``instruction.md`` and four folders.

task.toml       the task's settings and rubric
instruction.md  what the agent is told
workspace/      what the agent gets
grading/        hidden: probes, drivers, labels
solution/       the reference solution: workspace/ laid over the workspace, answer.md
decoys/NAME/    plausible wrong solutions: decoy.toml, workspace/, answer.md

Any other folder may be mounted: ``[[sandbox.mounts]]``, for data too large to copy.
"""

import tomllib
from pathlib import Path

from pydantic import Field

from proctor.schemas.base import Value
from proctor.schemas.errors import TaskError
from proctor.schemas.feedback import Feedback
from proctor.schemas.rubric import Criterion, Message, PenaltyWhen, Rubric
from proctor.schemas.sandbox import Mount, SandboxSpec
from proctor.schemas.task import TASK_ID_PATTERN, Decoy, Limits, Solution, Task, TaskKind
from proctor.tasks.formats.reading import (
    digest_of_tree,
    read_text,
    read_tree,
    relative_path,
    validated,
)

FILE = "task.toml"
FOLDERS = ("workspace", "grading", "solution", "decoys")


class TaskFile(Value):
    """What ``task.toml`` holds."""

    id: str = Field(pattern=TASK_ID_PATTERN)
    """Tells the story, never the answer: agents see it."""
    title: str = Field(min_length=1)
    kind: TaskKind = "error_analysis"
    description: str = ""
    """One line for the catalog, which agents see."""
    category: str = ""
    """What reports group by: the error code. Agents do not see it."""
    splits: tuple[str, ...] = ()
    """Named selections that it belongs to."""
    limits: Limits = Limits()
    feedback: Feedback | None = None
    sandbox: SandboxSpec = SandboxSpec()
    penalty_when: PenaltyWhen = "met"
    criteria: tuple[Criterion, ...] = Field(min_length=1)


class DecoyFile(Value):
    """What ``decoy.toml`` holds."""

    description: str = Field(min_length=1)
    base: str = Field(default="workspace", pattern="^(workspace|solution)$")
    """What the decoy's files are laid over."""
    fails: tuple[str, ...] = Field(min_length=1)
    """Ids of the criteria that it must not earn in full."""
    delete: tuple[str, ...] = ()
    """Files of the workspace that it removes."""


def read_directory(root: Path) -> Task:
    """Read a task from its directory.

    Raises:
        TaskError: Something in it is wrong; the message names file, key and remedy.
    """
    source = root / FILE
    file = validated(TaskFile, _toml(source), source)
    solution = _solution(root / "solution")
    rubric = {"criteria": file.criteria, "penalty_when": file.penalty_when}
    return Task(
        id=file.id,
        title=file.title,
        kind=file.kind,
        description=file.description,
        category=file.category,
        splits=file.splits,
        prompt=(Message(content=read_text(root / "instruction.md")),),
        workspace=read_tree(root / "workspace"),
        sandbox=_with_mounts_found(file.sandbox, root),
        limits=file.limits,
        feedback=file.feedback,
        rubric=validated(Rubric, rubric, source),
        grading=read_tree(root / "grading"),
        solution=solution,
        decoys=tuple(_decoys(root / "decoys", solution, file)),
    )


def _toml(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise TaskError(f"{path}: not TOML: {error}") from error
    except RecursionError:
        raise TaskError(f"{path}: nested too deeply") from None


def _with_mounts_found(spec: SandboxSpec, root: Path) -> SandboxSpec:
    mounts = tuple(_found(mount, root.resolve()) for mount in spec.mounts)
    return spec.model_copy(update={"mounts": mounts})


def _found(mount: Mount, root: Path) -> Mount:
    """`mount` with the real place of its data, and what that holds.

    Raises:
        TaskError: It is no directory of the task's own, or one that agents must not see.
    """
    source = (root / mount.source).resolve()
    below = source.relative_to(root).parts if source.is_relative_to(root) else ()
    if not below or below[0] in FOLDERS or not source.is_dir():
        raise TaskError(
            f"{root / FILE}: sandbox.mounts: {mount.source!r} cannot be mounted; name a directory "
            f"below the task's own, other than {', '.join(FOLDERS)}"
        )
    return mount.model_copy(update={"source": str(source), "digest": digest_of_tree(source)})


def _solution(root: Path) -> Solution | None:
    if not root.is_dir():
        return None
    return Solution(files=read_tree(root / "workspace"), answer=_answer(root))


def _answer(root: Path) -> str:
    path = root / "answer.md"
    return read_text(path) if path.exists() else ""


def _decoys(root: Path, solution: Solution | None, file: TaskFile) -> list[Decoy]:
    known = {criterion.id for criterion in file.criteria}
    decoys: list[Decoy] = []
    for place in sorted(path for path in root.glob("*") if path.is_dir()):
        source = place / "decoy.toml"
        decoy = validated(DecoyFile, _toml(source), source)
        if unknown := [name for name in decoy.fails if name not in known]:
            raise TaskError(f"{source}: fails: there is no criterion {unknown[0]!r}")
        files = dict(read_tree(place / "workspace"))
        answer = _answer(place)
        if decoy.base == "solution":
            if solution is None:
                raise TaskError(f"{source}: base: there is no solution to lay the decoy over")
            files = {**solution.files, **files}
            answer = answer or solution.answer
        delete = tuple(relative_path(path, source, "delete") for path in decoy.delete)
        decoys.append(
            Decoy(
                name=place.name,
                description=decoy.description,
                solution=Solution(files=files, delete=delete, answer=answer),
                fails=decoy.fails,
            )
        )
    return decoys
