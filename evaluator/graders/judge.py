"""``judge``: prose, which only a model can read; ungraded where no judge is configured.

All of a task's criteria for the judge are judged together, when the first of them is measured.
"""

from dataclasses import dataclass, field

import anyio
from anyio.to_thread import run_sync

from proctor.evaluator.judge.material import Material
from proctor.evaluator.judge.panel import Judge, Judgement
from proctor.evaluator.work import Work
from proctor.schemas.base import Value
from proctor.schemas.grade import JudgeRecord, Score
from proctor.schemas.rubric import Criterion


class Options(Value):
    """A judge needs nothing but the criterion itself."""


@dataclass
class _Shared:
    """What the criteria of one grading share."""

    lock: anyio.Lock = field(default_factory=anyio.Lock)
    judgement: Judgement | None = None


async def measure(work: Work, criterion: Criterion) -> Score:
    """What the judge makes of a criterion."""
    if work.judge is None:
        return Score(state="ungraded", evidence="needs a judge, and none is configured")
    return (await _judgement(work, work.judge)).scores[criterion.id]


def record_of(work: Work) -> JudgeRecord | None:
    """How the judge came to its scores; None where it was not asked."""
    shared: _Shared | None = work.memo.get(__name__)
    return shared.judgement.record if shared and shared.judgement else None


async def _judgement(work: Work, judge: Judge) -> Judgement:
    shared: _Shared = work.memo.setdefault(__name__, _Shared())
    async with shared.lock:
        if shared.judgement is None:
            criteria = [c for c in work.task.rubric.criteria if c.grader == "judge"]
            material = await run_sync(Material.of_snapshot, work.task, work.answer, work.snapshot)
            shared.judgement = await judge.judge(criteria, material)
        return shared.judgement
