"""A task's proof: what an author must show before anybody believes its grades.

The solution earns every point, with any seed, and the same when graded twice; doing nothing earns
none, nor does a decoy what it must fail, nor any trick; and nothing of the answer is to be seen
beforehand.
"""

import hashlib
from collections.abc import AsyncIterator, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from proctor.evaluator.grade import grade, measure
from proctor.evaluator.graders import behaviour, options_of
from proctor.evaluator.probes import ProbeRun, run_probe
from proctor.evaluator.work import Work
from proctor.sandbox_backends.archive import pack
from proctor.sandbox_backends.base import Backend
from proctor.schemas.base import Value
from proctor.schemas.errors import TaskError
from proctor.schemas.grade import Grade, Score
from proctor.schemas.task import Decoy, FileTree, Solution, Task
from proctor.tasks.exploits import behaviour_of, honest_failure, with_trick
from proctor.tasks.leaks import leaks
from proctor.tasks.scaffold import blanks

SEEDS = 3
"""With so many seeds the solution must do the same."""


class Finding(Value):
    """One thing that was checked."""

    task_id: str
    check: str
    ok: bool
    detail: str


async def check_task(
    task: Task, backend: Backend, tricks: Sequence[str] = ()
) -> AsyncIterator[Finding]:
    """Check one task, finding by finding.

    Args:
        task: The task.
        backend: What opens sandboxes.
        tricks: Which of `proctor.tasks.exploits` are tried.
    """
    for check, problems in (
        ("lint", _lint(task)),
        ("blanks", blanks(task)),
        ("leaks", leaks(task)),
    ):
        for problem in problems:
            yield Finding(task_id=task.id, check=check, ok=False, detail=problem)
    if task.solution is not None:
        result = await _grade(task, task.solution, backend)
        yield _finding(task, "solution", _not_full(result), result)
        async for finding in _check_steadiness(task, task.solution, result, backend):
            yield finding
    result = await _grade(task, Solution(), backend)
    yield _finding(task, "untouched", _earned_for_nothing(task, result), result)
    for decoy in task.decoys:
        yield await _check_decoy(task, decoy, backend)
    if tricks and behaviour_of(task).criteria:
        yield await _check_tricks(task, tricks, backend)


async def _check_steadiness(
    task: Task, solution: Solution, first: Grade, backend: Backend
) -> AsyncIterator[Finding]:
    """Whether the solution's grade depends on anything but the solution."""
    again = await _grade(task, solution, backend)
    problems = [] if again == first else _differences(first, again) or ["other evidence"]
    yield _finding(task, "graded twice", problems, again)
    problems = list[str]()
    for number in range(1, SEEDS):
        other = await _grade(task, solution, backend, number)
        problems += [f"with another seed, {each}" for each in _differences(first, other)]
    yield _finding(task, f"{SEEDS} seeds", problems, first)


def _differences(one: Grade, other: Grade) -> list[str]:
    return [
        f"{a.id} earned {b.earned:g} instead of {a.earned:g}: {b.reasoning}"
        for a, b in zip(one.results, other.results, strict=True)
        if (a.state, a.earned) != (b.state, b.earned)
    ]


async def _check_decoy(task: Task, decoy: Decoy, backend: Backend) -> Finding:
    """Whether a decoy fails where it should; nothing else of it is measured."""
    with _handed_in(task, decoy.solution, backend) as work:
        scores = await measure(work, task.rubric.only(decoy.fails))
    failed = {id_: scores[id_] for id_ in decoy.fails}
    wrong = [
        f"{id_} should fail: {score.state}, {score.evidence}"
        for id_, score in failed.items()
        if score.state == "ungraded" or score.credit >= 1.0
    ]
    told = wrong or [f"{id_} fails: {score.evidence}" for id_, score in failed.items()]
    check = f"decoy {decoy.name}"
    return Finding(task_id=task.id, check=check, ok=not wrong, detail="; ".join(told))


async def _check_tricks(task: Task, names: Sequence[str], backend: Backend) -> Finding:
    """Whether an honest failure gains anything by tricks."""
    rubric, honest = behaviour_of(task), honest_failure(task)

    async def scores_with(files: FileTree) -> dict[str, Score]:
        with _handed_in(task, Solution(files=files), backend) as work:
            return await measure(replace(work, seed=0), rubric)

    expected = await scores_with(honest)
    gained: list[str] = []
    for name in names:
        for id_, score in (await scores_with(with_trick(task, honest, name))).items():
            if score.broken or score.credit > expected[id_].credit:
                gained.append(f"{name}: {id_} is {score.state}, {score.credit:g}: {score.evidence}")
    told = "; ".join(gained) or f"{len(names)} tried, none gained: {', '.join(names)}"
    return Finding(task_id=task.id, check="tricks", ok=not gained, detail=told)


async def watch_probe(
    task: Task, criterion_id: str, name: str, backend: Backend
) -> tuple[Score, ProbeRun]:
    """Measure one criterion of behaviour, and show all that its probe did.

    Args:
        task: The task.
        criterion_id: Of a criterion that runs a probe.
        name: What is handed in: ``solution``, ``untouched``, or a decoy's name.
        backend: What opens sandboxes.

    Raises:
        TaskError: There is no such criterion, or nothing of that name to hand in.
        ProctorError: The probe could not be run.
    """
    criterion = next((c for c in task.rubric.criteria if c.id == criterion_id), None)
    options = options_of(criterion) if criterion else None
    if criterion is None or not isinstance(options, behaviour.Options):
        known = [c.id for c in task.rubric.criteria if c.grader == "behaviour"]
        raise TaskError(f"no criterion {criterion_id!r} runs a probe; these do: {', '.join(known)}")
    solutions = {"untouched": Solution(), **{decoy.name: decoy.solution for decoy in task.decoys}}
    if task.solution:
        solutions["solution"] = task.solution
    if name not in solutions:
        raise TaskError(f"nothing is called {name!r}; hand in one of {', '.join(solutions)}")
    with _handed_in(task, solutions[name], backend) as work:
        found = await run_probe(work, options.probe, options.driver, options.timeout_s)
    return behaviour.scored(found, options), found


def _lint(task: Task) -> Iterator[str]:
    if not task.instructions.strip():
        yield "the instructions are empty: tell the agent what to do"
    if not task.rubric.points_possible:
        yield "the rubric has no positive points: nothing can be earned"
    automatic = [c for c in task.rubric.criteria if c.grader != "judge"]
    if automatic and task.solution is None:
        yield "there is no reference solution: add solution/, or nobody knows that it can be solved"
    if any(c.grader == "behaviour" for c in automatic) and not task.decoys:
        yield "there is no decoy: add plausible wrong solutions, or the probes prove little"


def _not_full(result: Grade) -> list[str]:
    """What the reference solution misses, among what can be graded."""
    return (
        _broken(result)
        + [
            f"{r.id} earned {r.earned:g} of {r.points:g}: {r.reasoning}"
            for r in result.results
            if r.points > 0 and r.state != "ungraded" and r.earned < r.points
        ]
        + [
            f"{r.id} is a penalty and applied: {r.reasoning}"
            for r in result.results
            if r.earned < 0
        ]
    )


def _earned_for_nothing(task: Task, result: Grade) -> list[str]:
    free = {criterion.id for criterion in task.rubric.criteria if criterion.free}
    return _broken(result) + [
        f"{r.id} earned {r.earned:g} without any work: {r.reasoning}"
        for r in result.results
        if r.earned > 0 and r.id not in free
    ]


def _broken(result: Grade) -> list[str]:
    """What could not be measured although it should be."""
    return [f"{r.id}: {r.reasoning}" for r in result.results if r.broken]


def _finding(task: Task, check: str, problems: list[str], result: Grade) -> Finding:
    points = f"{result.score:g} of {result.points_graded:g} points graded"
    return Finding(
        task_id=task.id, check=check, ok=not problems, detail="; ".join(problems) or points
    )


async def _grade(task: Task, solution: Solution, backend: Backend, number: int = 0) -> Grade:
    """Grade a solution with the seed of that number."""
    with _handed_in(task, solution, backend) as work:
        return await grade(replace(work, seed=work.seed + number))


@contextmanager
def _handed_in(task: Task, solution: Solution, backend: Backend) -> Generator[Work]:
    """What an agent would have handed in that did just this."""
    tree = solution.laid_over(task.workspace)
    with TemporaryDirectory(prefix="proctor-check-") as place:
        snapshot = Path(place, "snapshot.tar")
        archive = pack(tree).getvalue()
        snapshot.write_bytes(archive)
        seal = hashlib.sha256(archive)
        yield Work(
            task=task,
            answer=solution.answer,
            snapshot=snapshot,
            snapshot_sha256=seal.hexdigest(),
            seed=int.from_bytes(seal.digest()[:4], "big"),
            backend=backend,
        )
