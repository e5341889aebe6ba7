"""``judge``: prose, which only a model can read; ungraded where no judge is configured.

All of a task's criteria for the judge are judged together, when the first of them is measured.
"""

from anyio.to_thread import run_sync

from proctor.evaluator.judge.material import Material
from proctor.evaluator.judge.panel import Judge, Judgement
from proctor.evaluator.work import Work
from proctor.schemas.base import Value
from proctor.schemas.grade import JudgeRecord, Score
from proctor.schemas.rubric import Criterion


class Options(Value):
    """A judge needs nothing but the criterion itself."""


async def measure(work: Work, criterion: Criterion) -> Score:
    """What the judge makes of a criterion."""
    if work.judge is None:
        return Score(state="ungraded", evidence="needs a judge, and none is configured")
    judge = work.judge
    judgement = await work.once(__name__, lambda: _judgement(work, judge))
    return judgement.scores[criterion.id]


def record_of(work: Work) -> JudgeRecord | None:
    """How the judge came to its scores; None where it was not asked."""
    judgement: Judgement | None = work.made(__name__)
    return judgement.record if judgement else None


async def _judgement(work: Work, judge: Judge) -> Judgement:
    criteria = [c for c in work.task.rubric.criteria if c.grader == "judge"]
    material = await run_sync(Material.of_snapshot, work.task, work.answer, work.snapshot)
    return await judge.judge(criteria, material)
