"""Grade again what was handed in, without running an agent.

The new grade is written beside the old ones, ``grades/0001.json`` and on; nothing is replaced.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from anyio.to_thread import run_sync

from proctor.evaluator.grade import grade
from proctor.evaluator.judge.panel import Judge
from proctor.evaluator.signing import Signer
from proctor.sandbox_backends.base import Backend
from proctor.schemas.base import Value
from proctor.schemas.competition import Compat
from proctor.schemas.errors import SessionError
from proctor.schemas.grade import CriterionResult, Grade, Signature
from proctor.schemas.task import Task
from proctor.server.record import write_atomically
from proctor.server.stored import StoredSession

GRADES = "grades"


class Regrade(Value):
    """A later grade of a session: of equal origins, equal to the byte."""

    session_id: str
    task_id: str
    grade: Grade
    signature: Signature | None = None


@dataclass(frozen=True)
class Change:
    """What a later grade came to."""

    directory: Path
    """The session's."""
    path: Path
    """Of the later grade."""
    before: Grade | None
    after: Grade

    @property
    def what(self) -> tuple[str, ...]:
        """The criteria that are graded otherwise than before."""
        return tuple(_changed_criteria(self.before, self.after))

    @property
    def why(self) -> tuple[str, ...]:
        """What is different about the two gradings."""
        return tuple(_changed_origins(self.before, self.after))


async def regrade(
    stored: StoredSession,
    task: Task,
    backend: Backend,
    judge: Judge | None = None,
    signer: Signer | None = None,
    *,
    compat: Compat | None = None,
) -> Change:
    """Grade a stored session again.

    Args:
        stored: The session.
        task: What it is held against now.
        backend: What opens sandboxes.
        judge: What reads prose; without one it stays ungraded.
        signer: Signs the grade, if there is one.
        compat: By which rule a competition's submission is graded; None takes that of before.

    Raises:
        SessionError: There is nothing to grade.
    """
    before = latest_grade(stored)
    by = compat or (before.compat if before else "strict")
    after = await grade(await run_sync(stored.work, task, backend, judge, by))
    record = stored.record
    made = Regrade(session_id=record.session_id, task_id=record.task_id, grade=after)
    made = signer.seal(made) if signer else made
    path = await run_sync(_write, stored.directory / GRADES, made)
    return Change(stored.directory, path, before, after)


def latest_grade(stored: StoredSession) -> Grade | None:
    """The last grade that a session was given, if any.

    Raises:
        SessionError: A file beside the record holds no grade.
    """
    later = sorted((stored.directory / GRADES).glob("*.json"))
    if not later:
        return stored.record.grade
    try:
        return Regrade.model_validate_json(later[-1].read_bytes()).grade
    except ValueError as error:
        raise SessionError(f"{later[-1]} holds no grade: {error}") from error


def _write(directory: Path, made: Regrade) -> Path:
    directory.mkdir(exist_ok=True)
    path = next(p for n in count(1) if not (p := directory / f"{n:04}.json").exists())
    text = json.dumps(made.model_dump(mode="json"), indent=2) + "\n"
    write_atomically(path, text.encode())
    return path


def _changed_criteria(before: Grade | None, after: Grade) -> Iterator[str]:
    known = {result.id: result for result in before.results} if before else {}
    for result in after.results:
        old = known.pop(result.id, None)
        if old is None:
            yield f"{result.id}: new, {_said(result)}"
        elif (old.state, old.earned, old.points) != (result.state, result.earned, result.points):
            yield f"{result.id}: {_said(old)}, now {_said(result)}: {result.reasoning}"
    for old in known.values():
        yield f"{old.id}: {_said(old)}, now no criterion any more"


def _said(result: CriterionResult) -> str:
    if result.state == "ungraded":
        return f"ungraded of {result.points:g}"
    return f"{result.earned:g} of {result.points:g}"


def _changed_origins(before: Grade | None, after: Grade) -> Iterator[str]:
    if before is None:
        yield "it had no grade"
        return
    if before.task_digest != after.task_digest:
        digests = f"{before.task_digest[:12]}, now {after.task_digest[:12]}"
        yield f"another version of the task: {digests}"
    for name in sorted({*before.graders, *after.graders}):
        if before.graders.get(name) != after.graders.get(name):
            yield f"another version of the grader {name}"
    if before.grader_version != after.grader_version:
        yield f"Proctor {before.grader_version}, now {after.grader_version}"
    if before.machines != after.machines:
        yield f"other sandboxes: {_machines(before)}, now {_machines(after)}"
    if before.judge != after.judge:
        yield f"another judge: {_judge(before)}, now {_judge(after)}"
    if before.compat != after.compat:
        yield f"--compat {before.compat}, now {after.compat}"
    if broken := [result.id for result in (*before.results, *after.results) if result.broken]:
        yield f"an instrument failed: {', '.join(dict.fromkeys(broken))}"


def _judge(grade: Grade) -> str:
    return f"{grade.judge.model}, {grade.judge.calls} calls" if grade.judge else "none"


def _machines(grade: Grade) -> str:
    return ", ".join(each.image or each.backend for each in grade.machines) or "none"
