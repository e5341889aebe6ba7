"""A prepared competition as a task: what an agent is told and sees, and what stays hidden."""

import json
from collections.abc import Iterator
from pathlib import Path

from proctor.schemas.errors import TaskError
from proctor.schemas.rubric import Criterion, Message, Rubric
from proctor.schemas.sandbox import MEBIBYTE, Mount, SandboxSpec
from proctor.schemas.task import Solution, Task
from proctor.tasks.competitions.definition import Definition
from proctor.tasks.competitions.prepared import ANSWERS, PRIVATE, PUBLIC, REFERENCE, SAMPLE
from proctor.tasks.formats.reading import digest_of_tree, read_bytes

DATA = "/data"
"""Where the files lie in a sandbox."""
SUBMISSION = "submission.csv"
COMPETITION, LEADERBOARD = "competition.json", "leaderboard.json"
"""What the grader reads, beside answers and sample."""
LINES = 3
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


def task_of(definition: Definition, place: Path) -> Task:
    """The task of a competition whose files lie in `place`.

    Raises:
        TaskError: A file cannot be read.
    """
    file, public, private = definition.file, place / PUBLIC, place / PRIVATE
    sample = read_bytes(public / SAMPLE)
    mount = Mount(source=str(public), target=DATA, digest=digest_of_tree(public))
    return Task(
        id=definition.task_id,
        title=file.title,
        kind="competition",
        description=file.summary,
        category=file.category,
        splits=file.splits,
        prompt=(Message(content=_instructions(definition, public, sample)),),
        sandbox=SandboxSpec(
            mounts=(mount,), memory_bytes=file.memory_bytes, workspace_bytes=512 * MEBIBYTE
        ),
        limits=file.limits,
        rubric=Rubric(criteria=tuple(_criteria())),
        grading={
            ANSWERS: read_bytes(private / ANSWERS),
            SAMPLE: sample,
            COMPETITION: definition.competition.model_dump_json().encode(),
            LEADERBOARD: json.dumps(definition.leaderboard).encode(),
        },
        solution=Solution(
            files={SUBMISSION: read_bytes(private / REFERENCE)}, answer="These are the answers."
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


def _listed(path: Path) -> str:
    """A line for a file, or for a directory's files."""
    if path.is_file():
        return f"- `{DATA}/{path.name}`"
    names = sorted(each.name for each in path.iterdir())
    return f"- `{DATA}/{path.name}/`, with {len(names)} files such as `{names[0]}`"


def _instructions(definition: Definition, public: Path, sample: bytes) -> str:
    file = definition.file
    try:
        head = "\n".join(f"    {line}" for line in sample.decode().splitlines()[:LINES])
        files = "\n".join(_listed(path) for path in sorted(public.iterdir()))
    except OSError as error:
        raise TaskError(f"{public}: cannot be read: {error.strerror}") from error
    asked = ", ".join(f"`{each}`" for each in (*file.form.ids, *file.form.targets))
    return f"""# {file.title}

{file.summary}

{definition.description.strip()}

## Files

{files}

They can be read only. `train.csv` has what is to be predicted; `test.csv` has not.

## What to hand in

`{SUBMISSION}` in your workspace, a CSV file with the columns {asked}, as `{SAMPLE}`
shows:

{head}
    ...

One row for each `{"/".join(file.form.ids)}` of `test.csv`, in any order. What is asked for is
{file.asked}. Then call `submit`.

## How it is scored

By {file.measures}. The score is then compared with a leaderboard:
there are points for beating half of it, and for what earns a bronze, a silver or a gold medal.
Only the file counts; your code is not run.
"""
