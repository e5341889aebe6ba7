"""``competition``: what a submission is worth on a leaderboard, in steps from valid to gold."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, NamedTuple

from pydantic import TypeAdapter, ValidationError

from proctor.evaluator.medals import award, standing
from proctor.evaluator.work import Work
from proctor.evaluator.worker import in_worker
from proctor.schemas.base import Value
from proctor.schemas.competition import Competition
from proctor.schemas.errors import SubmissionError, TaskError
from proctor.schemas.grade import Score
from proctor.schemas.task import Task

MAX_BYTES = 1 << 30
SCORES: TypeAdapter[tuple[float, ...]] = TypeAdapter(tuple[float, ...])


class Options(Value):
    """Which step is asked for, and the files; all but `path` lie below ``grading/``."""

    step: Literal["valid", "above_median", "bronze", "silver", "gold"]
    """A better medal takes the steps before it, too."""
    path: str = "submission.csv"
    """The agent's table."""
    competition: str = "competition.json"
    """A `Competition`."""
    answers: str = "answers.csv"
    sample: str = "sample_submission.csv"
    """A submission that agents are shown; the form is judged by it, not by the answers."""
    leaderboard: str = "leaderboard.json"
    """All scores, the best one first; none where only the medals' thresholds are known."""


class Placed(NamedTuple):
    """A score, which steps it takes, and where it stands, in words."""

    score: float
    steps: frozenset[str]
    said: str


def check(task: Task, options: Options) -> None:
    """Check that the files are there, and what they are; the answers' rows are not looked at.

    Raises:
        TaskError: They are not.
    """
    for name in (options.answers, options.sample):
        if name not in task.grading:
            raise TaskError(f"there is no grading/{name}")
    _declared(task, options)


async def measure(work: Work, options: Options) -> Score:
    """Full credit where the step is taken."""
    placed = await work.once(
        (__name__, options.path, options.answers), lambda: _placed(work, options)
    )
    credit = float(options.step in placed.steps)
    return Score(state="scored", credit=credit, evidence=placed.said, value=placed.score)


async def validate(work: Work, options: Options) -> None:
    """Check columns, ids and types, by the sample that agents have.

    Raises:
        SubmissionError: The submission has not the form asked for.
    """
    competition, _ = _declared(work.task, options)
    sample = work.task.grading[options.sample]
    async with work.file(options.path, max_bytes=MAX_BYTES) as file:
        await in_worker(_check_file, competition, sample, file)


async def _placed(work: Work, options: Options) -> Placed:
    competition, leaderboard = _declared(work.task, options)
    answers = work.task.grading[options.answers]
    async with work.file(options.path, max_bytes=MAX_BYTES) as file:
        score = await in_worker(_score_file, competition, answers, file)
    return place(competition, leaderboard, score)


def place(competition: Competition, leaderboard: Sequence[float], score: float) -> Placed:
    """Where a rounded score stands."""
    lower = competition.lower_is_better
    won = award(score, competition.medals, lower_is_better=lower)
    steps = {
        "valid": True,
        "above_median": won.above_median,
        "bronze": won.any,
        "silver": won.gold or won.silver,
        "gold": won.gold,
    }
    medal = next((each for each in ("gold", "silver", "bronze") if getattr(won, each)), "no")
    beats = "beats the median" if won.above_median else "does not beat the median"
    return Placed(
        score,
        frozenset(step for step, taken in steps.items() if taken),
        f"{competition.metric.name}: {_stands(score, leaderboard, competition)}{beats}, "
        f"{medal} medal",
    )


def _stands(score: float, leaderboard: Sequence[float], competition: Competition) -> str:
    if not leaderboard:
        return ""
    stands = standing(score, leaderboard, lower_is_better=competition.lower_is_better)
    return (
        f"rank {stands.rank} beside {len(leaderboard)} teams, percentile {stands.percentile:.4g}, "
    )


def _declared(task: Task, options: Options) -> tuple[Competition, tuple[float, ...]]:
    try:
        competition = Competition.model_validate_json(task.grading[options.competition])
        leaderboard = SCORES.validate_json(task.grading[options.leaderboard])
    except KeyError as error:
        raise TaskError(f"there is no grading/{error.args[0]}") from error
    except ValidationError as error:
        raise TaskError(f"no competition and leaderboard: {error}") from error
    return competition, leaderboard


def _score_file(competition: Competition, answers: bytes, file: Path) -> float:
    from proctor.evaluator.competitions import measure  # noqa: PLC0415 - slow to import

    with TemporaryDirectory(prefix="proctor-answers-") as root:
        truth = Path(root, "answers.csv")
        truth.write_bytes(answers)
        measured = measure(competition, file, truth)
    if measured.score is None:
        raise SubmissionError(measured.reason or "it has no score")
    return measured.score


def _check_file(competition: Competition, sample: bytes, file: Path) -> None:
    from proctor.evaluator.competitions import check_form  # noqa: PLC0415 - slow to import

    check_form(competition, file, sample)
