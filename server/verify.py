"""Check a result on disk: its signature, and everything that can be computed again."""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from anyio.to_thread import run_sync
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import ValidationError

from proctor.evaluator.grade import digest_of_answer, grade
from proctor.evaluator.provenance import code_digest
from proctor.evaluator.scoring import result_of, totals
from proctor.evaluator.signing import signature_problem
from proctor.sandbox_backends.base import Backend
from proctor.schemas.competition import Earned
from proctor.schemas.errors import ProctorError, SessionError, TaskError
from proctor.schemas.grade import CriterionResult, Grade, Score
from proctor.schemas.rubric import Criterion, PenaltyWhen
from proctor.schemas.task import Task
from proctor.server.regrade import GRADES
from proctor.server.stored import StoredSession
from proctor.tasks.catalog import Catalog

Verdict: TypeAlias = Literal["ok", "DIFFERS", "unknown"]


@dataclass(frozen=True)
class Check:
    """One thing that was checked; ``unknown`` where it cannot be."""

    name: str
    verdict: Verdict
    detail: str


class ResultFile:
    """A ``result.json``, ``session.json`` or ``grades/N.json``."""

    def __init__(self, path: Path) -> None:
        """Read it.

        Raises:
            SessionError: It holds no grade.
        """
        try:
            self.document: dict[str, Any] = json.loads(
                path.read_bytes(), object_pairs_hook=_each_once
            )
            graded = self.document.get("evaluation") or self.document.get("grade")
            self.grade = Grade.model_validate(graded)
            self.task_id = str(self.document["task_id"])
        except IsADirectoryError as error:
            raise SessionError(f"{path} is a directory; name a result.json in it") from error
        except OSError as error:
            raise SessionError(f"{path} cannot be read: {error.strerror}") from error
        except ValidationError as error:
            raise SessionError(f"{path} holds no grade") from error
        except (ValueError, LookupError, AttributeError, RecursionError) as error:
            raise SessionError(f"{path} is no result: {error}") from error
        parent = path.absolute().parent
        self.directory = parent.parent if parent.name == GRADES else parent


async def verify(
    result: ResultFile, catalog: Catalog, backend: Backend | None, key: Ed25519PublicKey | None
) -> AsyncIterator[Check]:
    """Check a result, item by item.

    Args:
        result: What is checked.
        catalog: Where its task is looked for.
        backend: What grading again runs in; None does not grade again.
        key: The public key of whoever should have signed; None leaves the signature unchecked.
    """
    if key is not None:
        problem = signature_problem(result.document, key)
        yield Check("signature", "DIFFERS" if problem else "ok", problem or "by this key")
    task, about_task = _task(result, catalog)
    yield _sums(result.grade, task)
    stored, check = await run_sync(_hand_in, result)
    yield check
    yield about_task
    for check in _graders(result.grade):
        yield check
    if stored and task and backend:
        yield await _again(result.grade, stored, task, backend)


def _sums(stated: Grade, task: Task | None) -> Check:
    """Whether the points add up: by the rubric, where the task is known."""
    again = totals(stated.results)
    said = (stated.score, stated.total_possible, stated.points_graded, stated.percentage)
    if task is None:
        same = all(map(_adds_up, stated.results))
    else:
        criteria = task.rubric.criteria
        same = len(stated.results) == len(criteria) and all(
            _as_the_rubric_has_it(result, criterion, task.rubric.penalty_when)
            for result, criterion in zip(stated.results, criteria, strict=True)
        )
    same = same and said == again
    return Check("sums", "ok" if same else "DIFFERS", f"{again[0]:g} of {again[1]:g} points")


def _adds_up(result: CriterionResult) -> bool:
    within = 0 if result.state == "ungraded" else abs(result.points)
    return abs(result.earned) <= within


def _as_the_rubric_has_it(
    result: CriterionResult, criterion: Criterion, penalty_when: PenaltyWhen
) -> bool:
    try:
        score = Score(state=result.state, credit=result.credit, evidence=result.reasoning)
    except ValidationError:  # more credit than there is
        return False
    due = result_of(criterion, score, penalty_when)
    return (result.id, result.points, result.earned) == (due.id, due.points, due.earned)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; other readers may take the other of two values of one key."""
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a key stands twice in an object")
    return made


def _hand_in(result: ResultFile) -> tuple[StoredSession | None, Check]:
    """What was handed in, if it is there and is what was graded."""
    try:
        stored = StoredSession.at(result.directory)
        submission = stored.submission
        problem = stored.snapshot_problem()
    except SessionError as error:
        return None, Check("hand-in", "unknown", str(error))
    graded = (result.grade.snapshot_sha256, result.grade.answer_sha256, result.grade.seed)
    kept = (submission.snapshot_sha256, digest_of_answer(submission.answer), submission.seed)
    if not problem and graded != kept:
        problem = "the grade is of another hand-in than the one beside it"
    if problem:
        return None, Check("hand-in", "DIFFERS", problem)
    return stored, Check("hand-in", "ok", f"workspace {kept[0]}"[:22] + "…, answer and seed")


def _task(result: ResultFile, catalog: Catalog) -> tuple[Task | None, Check]:
    try:
        task = catalog[result.task_id]
    except TaskError:
        return None, Check("task", "unknown", f"the catalog has no task {result.task_id!r}")
    if task.digest() != result.grade.task_digest:
        return None, Check("task", "DIFFERS", "another version than the one in the catalog")
    return task, Check("task", "ok", task.digest()[:12])


def _graders(stated: Grade) -> Iterator[Check]:
    for name, digest in stated.graders.items():
        installed = code_digest(name)
        if installed is None:
            yield Check(f"grader {name}", "unknown", "not in this version of Proctor")
        else:
            same = installed == digest
            detail = digest[:12] if same else "another version than the one installed"
            yield Check(f"grader {name}", "ok" if same else "DIFFERS", detail)


async def _again(stated: Grade, stored: StoredSession, task: Task, backend: Backend) -> Check:
    """Grade again; what a judge said is not repeatable, and is left out."""
    name = "graded again"
    try:
        again = await grade(await run_sync(stored.work, task, backend, None, stated.compat))
    except ProctorError as error:
        return Check(name, "unknown", str(error))
    judged = {criterion.id for criterion in task.rubric.criteria if criterion.grader == "judge"}
    found = {result.id: result for result in again.results if result.id not in judged}
    said = {result.id: result for result in stated.results if result.id not in judged}
    if broken := [result.id for result in found.values() if result.broken]:
        return Check(name, "unknown", f"an instrument failed: {', '.join(broken)}")
    other = [
        f"{id_}: {said[id_].earned:g} is {found[id_].earned:g}"
        for id_ in found
        if id_ in said
        and (said[id_].state, said[id_].earned) != (found[id_].state, found[id_].earned)
    ]
    if stated.competition != again.competition:
        other += _otherwise_earned(stated.competition, again.competition)
    if other or set(found) != set(said):
        return Check(name, "DIFFERS", "; ".join(other) or "other criteria")
    return Check(
        name,
        "ok",
        f"{len(found)} criteria" + (f", {len(judged)} left to a judge" if judged else ""),
    )


def _otherwise_earned(stated: Earned | None, again: Earned | None) -> list[str]:
    """What a competition's submission earned other than was said, field by field."""
    if stated is None or again is None:
        return [f"competition: {'nothing' if again is None else 'something'} was earned"]
    said, found = stated.model_dump(mode="json"), again.model_dump(mode="json")
    return [f"competition.{k}: {said[k]} is {found[k]}" for k in found if said[k] != found[k]]
