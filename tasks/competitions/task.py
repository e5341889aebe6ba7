"""A prepared competition as a task: what an agent is told and sees, and what stays hidden."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from proctor.schemas.errors import TaskError
from proctor.schemas.rubric import Criterion, Message, Rubric
from proctor.schemas.sandbox import Mount, SandboxSpec
from proctor.schemas.task import Solution, Task
from proctor.tasks.competitions.definition import Definition
from proctor.tasks.competitions.prepared import (
    ANSWERS,
    PRIVATE,
    PUBLIC,
    REFERENCE,
    SAMPLE,
    Manifest,
    manifest_of,
)

DATA = "/data"
"""Where the files lie in a sandbox."""
SUBMISSION = "submission.csv"
COMPETITION, LEADERBOARD = "competition.json", "leaderboard.json"
"""What the grader reads, beside answers and sample."""
LINES, LINE_BYTES = 3, 4096
"""Of the sample submission, in the instructions."""
STEPS = {
    "valid": (10, "Every row of the test has one prediction, in the form asked for."),
    "above_median": (20, "The score beats half of the leaderboard."),
    "bronze": (20, "The score is worth a bronze medal, or better."),
    "silver": (20, "The score is worth a silver medal, or better."),
    "gold": (30, "The score is worth a gold medal."),
}
"""The criteria with their points; nothing is required for another, so that a hand-in which cannot
be scored is invalid throughout."""
POINTS = float(sum(points for points, _ in STEPS.values()))


def task_of(definition: Definition, place: Path) -> Task:
    """The task of a competition whose files lie in `place`.

    Raises:
        TaskError: A file cannot be read.
    """
    file, public, private = definition.file, place / PUBLIC, place / PRIVATE
    definition.check_supported()
    manifest = manifest_of(place)
    sample = _bytes_of(public / manifest.sample)
    mount = Mount(source=str(public), target=DATA, digest=manifest.digest(PUBLIC))
    return Task(
        id=definition.task_id,
        title=file.title,
        kind="competition",
        description=file.summary,
        category=file.category,
        splits=file.splits,
        prompt=(Message(content=_instructions(definition, manifest, sample)),),
        sandbox=SandboxSpec(
            mounts=(mount,),
            memory_bytes=file.memory_bytes,
            workspace_bytes=file.workspace_bytes,
            cpus=file.cpus,
            gpus=file.gpus,
        ),
        limits=file.limits,
        rubric=Rubric(criteria=tuple(_criteria())),
        grading={
            ANSWERS: _bytes_of(private / ANSWERS),
            SAMPLE: sample,
            COMPETITION: definition.competition.model_dump_json().encode(),
            LEADERBOARD: json.dumps(definition.leaderboard).encode(),
        },
        solution=Solution(
            files={SUBMISSION: _bytes_of(private / REFERENCE)}, answer="These are the answers."
        ),
    )


def _criteria() -> Iterator[Criterion]:
    for step, (points, text) in STEPS.items():
        yield Criterion(
            id=step,
            points=points,
            text=text,
            grader="competition",
            options={"step": step, "path": SUBMISSION},
        )


def _bytes_of(path: Path) -> bytes:
    """A file that preparing made: of any size, as grading needs it whole."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise TaskError(f"{path}: cannot be read: {error.strerror}; prepare it again") from error


def _instructions(definition: Definition, manifest: Manifest, sample: bytes) -> str:
    file = definition.file
    head = "\n".join(f"    {line}" for line in _first_lines(sample, LINES))
    files = "\n".join(_shown(manifest))
    asked = ", ".join(f"`{each}`" for each in (*file.form.ids, *file.form.targets))
    return f"""# {file.title}

{file.summary}

{definition.description.strip()}

## Files

{files}

They can be read only. What has the test's rows does not say what is to be predicted.

## What to hand in

`{SUBMISSION}` in your workspace, a CSV file with the columns {asked}, as `{manifest.sample}`
shows:

{head}
    ...

One row for each `{"/".join(file.form.ids)}` of `{manifest.sample}`, in any order. What is
asked for is {file.asked}. Then call `submit`.

## How it is scored

By {file.measures}. {_compared(definition)}
Only the file counts; your code is not run.
"""


def _compared(definition: Definition) -> str:
    board = "a leaderboard" if definition.leaderboard else "the leaderboard on Kaggle"
    return (
        f"The score is then compared with {board}:\n"
        "there are points for beating half of it, and for what earns a bronze, a silver or a gold "
        "medal."
    )


def _first_lines(table: bytes, count: int) -> list[str]:
    """The first lines of a file that may be large."""
    return table[: count * LINE_BYTES].decode(errors="ignore").splitlines()[:count]


def _shown(manifest: Manifest) -> list[str]:
    """A line for each file in the public folder, and for each folder in it."""
    inside = sorted(path.split("/", 1)[1] for path in manifest.written if path.startswith(PUBLIC))
    files = {name: f"- `{DATA}/{name}`" for name in (*inside, *manifest.moved) if "/" not in name}
    counts = Counter[str]()
    for path, folder in manifest.folders.items():
        if path.startswith(f"{PUBLIC}/"):
            counts[path.split("/")[1]] += folder.files
    for name, count in counts.items():
        example = next((each for each in inside if each.startswith(f"{name}/")), "")
        such = f", such as `{example.rpartition('/')[2]}`" * bool(example)
        files[f"{name}/"] = f"- `{DATA}/{name}/`, with {count} files{such}"
    return [files[name] for name in sorted(files)]
