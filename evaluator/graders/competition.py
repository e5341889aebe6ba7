"""``competition``: what a submission is worth on a leaderboard, in steps from valid to gold."""

from math import isfinite
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from anyio.to_thread import run_sync
from pydantic import TypeAdapter, ValidationError

from proctor.evaluator.earned import Measured, earned
from proctor.evaluator.work import Work
from proctor.evaluator.worker import in_worker
from proctor.schemas.base import Value
from proctor.schemas.competition import Compat, Competition, Earned
from proctor.schemas.errors import SubmissionError, TaskError
from proctor.schemas.grade import Score
from proctor.schemas.task import Task

MAX_BYTES = 1 << 30
MEDALS = ("gold", "silver", "bronze")
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
    """All scores, the best one first; none where they are not known."""


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
    """Full credit where the step is taken.

    The evidence says no more than points do: agents may be told it, and a rank tells of labels.
    """
    found = await work.once(_key(work, options), lambda: _earned(work, options))
    if not found.valid_submission:
        raise SubmissionError(found.reason or "it has no score")
    competition, _ = _declared(work.task, options)
    return Score(
        state="scored",
        credit=float(options.step in steps_of(found)),
        evidence=f"{competition.metric.name}: {said(found)}",
        value=found.score if found.score is not None and isfinite(found.score) else None,
    )


def earned_of(work: Work) -> Earned | None:
    """What a competition's submission earned; None where none was looked at."""
    for criterion in work.task.rubric.criteria:
        if criterion.grader == "competition":
            found: Earned | None = work.made(_key(work, Options.model_validate(criterion.options)))
            return found
    return None


async def validate(work: Work, options: Options) -> None:
    """Check columns, ids and types, by the sample that agents have.

    Raises:
        SubmissionError: The submission has not the form asked for.
    """
    key = (__name__, "form", options.path, options.sample)  # once for all steps
    await work.once(key, lambda: _checked(work, options))


async def _checked(work: Work, options: Options) -> None:
    competition, _ = _declared(work.task, options)
    sample = work.task.grading[options.sample]
    async with work.file(options.path, max_bytes=MAX_BYTES) as file:
        await in_worker(_check_file, competition, sample, file)


async def _earned(work: Work, options: Options) -> Earned:
    competition, leaderboard = _declared(work.task, options)
    answers, exists = work.task.grading[options.answers], False
    try:
        async with work.file(options.path, max_bytes=MAX_BYTES) as file:
            exists = True
            with TemporaryDirectory(prefix="proctor-answers-") as place:  # a worker may be killed
                truth = Path(place, "answers.csv")
                await run_sync(truth.write_bytes, answers)
                measured = await in_worker(_measure_file, competition, file, truth, work.compat)
    except SubmissionError as error:
        measured = Measured(None, str(error), exists)
    return earned(competition, measured, compat=work.compat, leaderboard=leaderboard)


def steps_of(found: Earned) -> frozenset[str]:
    """The steps that are taken; a better medal takes the lesser ones', too."""
    steps = {
        "valid": found.valid_submission,
        "above_median": found.above_median,
        "bronze": found.any_medal,
        "silver": found.gold_medal or found.silver_medal,
        "gold": found.gold_medal,
    }
    return frozenset(step for step, taken in steps.items() if taken)


def said(found: Earned) -> str:
    """What was earned, in words."""
    medal = next((each for each in MEDALS if getattr(found, f"{each}_medal")), "no")
    beats = "beats the median" if found.above_median else "does not beat the median"
    return f"{beats}, {medal} medal"


def _key(work: Work, options: Options) -> tuple[str, str, str, str]:
    return __name__, options.path, options.answers, work.compat


def _declared(task: Task, options: Options) -> tuple[Competition, tuple[float, ...]]:
    try:
        competition = Competition.model_validate_json(task.grading[options.competition])
        leaderboard = SCORES.validate_json(task.grading[options.leaderboard])
    except KeyError as error:
        raise TaskError(f"there is no grading/{error.args[0]}") from error
    except ValidationError as error:
        raise TaskError(f"no competition and leaderboard: {error}") from error
    return competition, leaderboard


def _measure_file(competition: Competition, file: Path, answers: Path, compat: Compat) -> Measured:
    from proctor.evaluator.competitions import measure  # noqa: PLC0415 - slow to import

    return measure(competition, file, answers, compat)


def _check_file(competition: Competition, sample: bytes, file: Path) -> None:
    from proctor.evaluator.competitions import check_form  # noqa: PLC0415 - slow to import

    check_form(competition, file, sample)
