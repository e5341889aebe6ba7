"""Submissions to competitions, graded one by one or as a list: MLE-bench's JSONL.

A list has one object on each line, ``{"competition_id": …, "submission_path": …}``; other keys are
passed over, and so are blank lines and those that begin with ``#`` or ``//``. A path that is null
is a submission that was not made. What is wrong with one line stays with that line.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from anyio.to_thread import run_sync
from pydantic import Field, ValidationError

from proctor import __version__
from proctor.evaluator.earned import Measured, report
from proctor.evaluator.worker import in_worker
from proctor.sandbox_backends.concurrency import task_group
from proctor.schemas.base import Value
from proctor.schemas.competition import (
    Compat,
    CompetitionReport,
    GradingReport,
    UngradedLine,
)
from proctor.schemas.errors import GradingError, SubmissionError, TaskError
from proctor.tasks.competitions.definition import Definition
from proctor.tasks.competitions.library import Competitions
from proctor.tasks.competitions.prepared import ANSWERS, PRIVATE

COMMENTS = ("#", "//")
LONGEST = 1 << 20
"""Characters of a line."""
LONGEST_ID = 200
NONE_MADE = "no submission was made"


class Asked(NamedTuple):
    """A line that asks for something, or says why it does not."""

    line: int
    competition_id: str | None
    submission: Path | None
    problem: str | None = None


class _Line(Value):
    competition_id: str = Field(min_length=1, max_length=LONGEST_ID)
    submission_path: str | None


class Ready(NamedTuple):
    """A competition whose answers are there."""

    definition: Definition
    answers: Path


def ready(library: Competitions, name: str) -> Ready:
    """A competition, prepared if it was not.

    Raises:
        TaskError: There is no such, or it cannot be prepared.
    """
    definition = library.definition(name)
    return Ready(definition, library.prepare(name) / PRIVATE / ANSWERS)


async def grade_one(
    competition: Ready,
    submission: Path | None,
    compat: Compat,
    leaderboard: Sequence[float] | None = None,
) -> CompetitionReport:
    """Grade one submission in a worker process.

    Args:
        competition: What it is for.
        submission: The file; None where none was made.
        compat: By which rule.
        leaderboard: Scores to rank it by, best first; None takes the competition's own.

    Raises:
        TaskError: The answers cannot be read.
        GradingError: The machine is too busy.
    """
    from proctor.evaluator.competitions import measure  # noqa: PLC0415 - slow to import

    definition, answers = competition
    competed = definition.competition
    if submission is None:
        measured = Measured(None, NONE_MADE, exists=False)
    else:
        try:
            measured = await in_worker(measure, competed, submission, answers, compat)
        except SubmissionError as error:
            measured = Measured(None, str(error))
    board = definition.leaderboard if leaderboard is None else leaderboard
    return report(
        competed,
        submission,
        measured,
        datetime.now(UTC),
        compat=compat,
        leaderboard=board,
    )


def read_list(path: Path) -> Iterator[Asked]:
    """What the lines of a list ask for; paths are relative to its folder.

    Raises:
        TaskError: The file cannot be read.
    """
    for number, data in enumerate(_data(path).split(b"\n"), 1):
        try:
            line = data.decode("utf-8-sig" if number == 1 else "utf-8").strip()
        except UnicodeDecodeError as error:
            yield Asked(number, None, None, f"byte {error.start} of it is not UTF-8")
            continue
        if line and not line.startswith(COMMENTS):
            yield _asked(number, line, path.absolute().parent)


async def grade_list(
    library: Competitions, asked: Sequence[Asked], compat: Compat
) -> GradingReport:
    """Grade what a list asks for, several in worker processes at once, and add it up.

    Args:
        library: Where the competitions are.
        asked: The lines.
        compat: By which rule.
    """
    competitions = await run_sync(_all_ready, library, asked)
    found: dict[int, CompetitionReport | UngradedLine] = {}

    async def see_to(each: Asked) -> None:
        found[each.line] = await _graded(each, competitions, compat)

    async with task_group() as tasks:
        for each in asked:
            tasks.start_soon(see_to, each)
    outcomes = [found[line] for line in sorted(found)]
    return added_up(
        [each for each in outcomes if isinstance(each, CompetitionReport)],
        [each for each in outcomes if isinstance(each, UngradedLine)],
        compat,
    )


def added_up(
    reports: Sequence[CompetitionReport], ungraded: Sequence[UngradedLine], compat: Compat
) -> GradingReport:
    """The report on reports, with MLE-bench's totals."""
    counts = Counter[str]()
    for each in reports:
        counts.update(name for name in _TOTALLED if getattr(each, name))
    return GradingReport(
        total_runs=len(reports),
        total_runs_with_submissions=counts["submission_exists"],
        total_valid_submissions=counts["valid_submission"],
        total_medals=counts["any_medal"],
        total_gold_medals=counts["gold_medal"],
        total_silver_medals=counts["silver_medal"],
        total_bronze_medals=counts["bronze_medal"],
        total_above_median=counts["above_median"],
        total_ungraded=len(ungraded),
        competition_reports=tuple(reports),
        ungraded=tuple(ungraded),
        compat=compat,
        proctor_version=__version__,
    )


_TOTALLED = (
    "submission_exists",
    "valid_submission",
    "any_medal",
    "gold_medal",
    "silver_medal",
    "bronze_medal",
    "above_median",
)


def _data(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TaskError(f"{path} cannot be read: {error.strerror}") from error


def _asked(number: int, line: str, folder: Path) -> Asked:
    if len(line) > LONGEST:
        return Asked(number, None, None, f"longer than {LONGEST} characters")
    try:
        said: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        return Asked(number, None, None, f"not JSON: {error}")
    if not isinstance(said, dict):
        return Asked(number, None, None, "not a JSON object")
    known: dict[str, Any] = {key: said[key] for key in _Line.model_fields if key in said}
    try:
        found = _Line.model_validate(known, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        return Asked(number, None, None, f"{'.'.join(map(str, first['loc']))}: {first['msg']}")
    path = found.submission_path
    return Asked(number, found.competition_id, None if path is None else folder / path)


def _all_ready(library: Competitions, asked: Sequence[Asked]) -> dict[str, Ready | TaskError]:
    """Every competition that is asked for, or why it cannot be had."""
    found: dict[str, Ready | TaskError] = {}
    for name in dict.fromkeys(each.competition_id for each in asked if each.competition_id):
        try:
            found[name] = ready(library, name)
        except TaskError as error:
            found[name] = error
    return found


async def _graded(
    asked: Asked, competitions: dict[str, Ready | TaskError], compat: Compat
) -> CompetitionReport | UngradedLine:
    name = asked.competition_id
    if name is None:
        return UngradedLine(line=asked.line, competition_id=None, error=asked.problem or "")
    competition = competitions[name]
    if isinstance(competition, TaskError):
        return UngradedLine(line=asked.line, competition_id=name, error=str(competition))
    try:
        return await grade_one(competition, asked.submission, compat)
    except (TaskError, GradingError) as error:
        return UngradedLine(line=asked.line, competition_id=name, error=str(error))
