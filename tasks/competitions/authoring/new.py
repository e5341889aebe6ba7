"""From a table to a competition's directory, which appears whole or not at all."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from proctor.evaluator.metrics import METRICS
from proctor.schemas.base import Value
from proctor.schemas.errors import TaskError
from proctor.tasks.competitions.authoring.problems import (
    check_split_column,
    check_target,
    told_of_leaks,
    told_of_parts,
    usable_ids,
)
from proctor.tasks.competitions.authoring.request import Request, check_request
from proctor.tasks.competitions.authoring.scoring import Scoring, measured_by, scoring_of
from proctor.tasks.competitions.authoring.teams import (
    Ran,
    Told,
    baselines,
    told_of_leaderboard,
)
from proctor.tasks.competitions.authoring.texts import declaration, description
from proctor.tasks.competitions.definition import (
    DESCRIPTION,
    FILE,
    LEADERBOARD,
    CompetitionFile,
    Definition,
    Source,
    read_definition,
)
from proctor.tasks.competitions.leaderboards import Entry, in_order, written
from proctor.tasks.competitions.prepared import PRIVATE, PUBLIC, REFERENCE, SAMPLE
from proctor.tasks.competitions.preparing.making import made_files, write_files
from proctor.tasks.competitions.preparing.proof import won_by, write_sums
from proctor.tasks.competitions.sources.splits import Parts, split_rows
from proctor.tasks.competitions.sources.table import as_ones, read_table
from proctor.tasks.formats.reading import read_bytes

NEW_IDS = ("id", "row_id", "case_id", "row_number")


class Drafted(Value):
    """A competition on paper, before anybody hands in."""

    request: Request
    file: CompetitionFile
    description: str
    data: bytes
    choices: Mapping[str, str]
    """What was chosen, and why."""
    odd: tuple[str, ...]
    """What its author should know."""


def draft(request: Request) -> Drafted:
    """Read the table, and choose what is not asked for.

    Raises:
        TaskError: Something is wrong with the table or with what is asked for.
    """
    check_request(request)
    table = read_table(request.data, request.drop, request.used)
    check_target(table[request.target])
    check_split_column(table, request)
    ids, odd = usable_ids(table, request)
    named = ids or next(each for each in (*NEW_IDS, "proctor_id") if each not in table.columns)
    scoring = scoring_of(table[request.target], request, named)
    parts = _parts(table, request)
    odd += told_of_leaks(table, request)
    reads = METRICS[scoring.metric.name].reads
    both = reads in ("scores", "probabilities")
    odd += told_of_parts(table, parts, request, classes=both or reads == "labels", both=both)
    if scoring.positive:
        table = table.with_columns(as_ones(table[request.target], scoring.positive))
    data = read_bytes(request.data)
    file = _file(request, scoring, ids, data, table.width)
    return Drafted(
        request=request,
        file=file,
        description=description(file, request.split, scoring.positive, table[parts.train]),
        data=data,
        choices={
            "metric": f"{scoring.metric.name}: {scoring.why}",
            "ids": ids or f"new ones, {named}",
            "split": f"{len(parts.train)} rows to train on, {len(parts.test)} for the test",
            "seed": str(request.seed),
        },
        odd=tuple(odd),
    )


def write(
    drafted: Drafted,
    into: Path,
    told: Told,
    *,
    run: bool = True,
    scores: Sequence[Entry] = (),
    force: bool = False,
) -> tuple[Definition, list[str]]:
    """Make the directory of a competition below `into`.

    Args:
        drafted: The competition.
        into: Where the directory is made.
        told: What hears of the teams' progress.
        run: Whether the baselines are on the leaderboard.
        scores: Further ones that are on it.
        force: Whether it may replace a competition.

    Returns:
        What was made, and what is odd about it.

    Raises:
        TaskError: It cannot be made, or something is there already.
        OSError: It cannot be written.
    """
    final = into / drafted.file.id
    refuse_taken(final, force=force)
    into.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{final.name}-", dir=into) as root:
        place = Path(root, final.name)
        _write_author_files(drafted, place)
        files = made_files(read_definition(place, ranked=False))
        ran = _ran(place, files, Path(root, "made"), told) if run else Ran([], [])
        entries = in_order([*scores, *ran.entries], lower_is_better=drafted.file.lower_is_better)
        (place / LEADERBOARD).write_text(written(entries), "utf-8")
        write_sums(place, files)
        odd = [
            *ran.odd,
            *told_of_leaderboard(entries),
            *_told_of_proof(read_definition(place), files),
        ]
        _move(place, final, Path(root, "before"))
    return read_definition(final), odd


def refuse_taken(final: Path, *, force: bool) -> None:
    """Leave alone what is there, but for a competition that is to be replaced.

    Raises:
        TaskError: Something is there.
    """
    if final.exists() and not force:
        raise TaskError(
            f"{final} exists; choose another --id or --into, or replace it with --force"
        )
    if final.exists() and not (final / FILE).is_file():
        raise TaskError(f"{final} is no competition, and stays; choose another --id or --into")


def _parts(table: pl.DataFrame, request: Request) -> Parts:
    try:
        return split_rows(request.split, table)
    except TaskError as error:
        of = {"rows": "rows", "group": "groups", "time": "points in time"}[request.by]
        count = table[request.column].n_unique() if request.column else table.height
        raise TaskError(f"--test {request.test:g} of {count} {of} leaves a part empty") from error


def _file(
    request: Request, scoring: Scoring, ids: str, data: bytes, columns: int
) -> CompetitionFile:
    settings = {
        "file": _data_name(request),
        "sha256": hashlib.sha256(data).hexdigest(),
        "target": request.target,
        **({"positive": scoring.positive} if scoring.positive else {}),
        **({"ids": ids} if ids else {}),
        **({"drop": list(request.drop)} if request.drop else {}),
    }
    features = columns - 1 - bool(ids)
    said = {
        "id": request.id,
        "title": request.title or request.id.replace("-", " ").capitalize(),
        "summary": request.summary or f"Predict `{request.target}` from {features} other columns.",
        "category": "low",
        "form": scoring.form,
        "asked": scoring.asked,
        "metric": scoring.metric,
        "measures": measured_by(scoring.metric.name),
        "lower_is_better": not METRICS[scoring.metric.name].higher_is_better,
        "source": Source(kind="table", settings=settings),
        "split": request.split,
    }
    return CompetitionFile.model_validate(said)  # with what is usual


def _data_name(request: Request) -> str:
    return f"data{request.data.suffix.lower()}"


def _write_author_files(drafted: Drafted, place: Path) -> None:
    place.mkdir()
    (place / FILE).write_text(declaration(drafted.file, drafted.request.split), "utf-8")
    (place / DESCRIPTION).write_text(drafted.description, "utf-8")
    (place / _data_name(drafted.request)).write_bytes(drafted.data)


def _ran(place: Path, files: Mapping[str, bytes], root: Path, told: Told) -> Ran:
    write_files(root, files)
    return baselines(read_definition(place, ranked=False), root, told)


def _told_of_proof(definition: Definition, files: Mapping[str, bytes]) -> list[str]:
    """Check that the answers win gold; tell where the sample wins a medal.

    Raises:
        TaskError: They do not: scores on the leaderboard are beyond what is possible.
    """
    competition = definition.competition
    measured, won = won_by(competition, files, f"{PRIVATE}/{REFERENCE}")
    if not won.gold:
        said = measured.reason or f"they score {measured.score:g}"
        raise TaskError(
            f"the answers themselves win no gold: {said} in {competition.metric.name}, and gold "
            f"begins at {competition.medals.gold:g}; are the leaderboard's scores of this metric?"
        )
    measured, won = won_by(competition, files, f"{PUBLIC}/{SAMPLE}")
    if measured.score is None:
        raise TaskError(f"{PUBLIC}/{SAMPLE}: {measured.reason}; choose another --metric")
    if won.any:
        return [
            f"the sample submission, which says the same of every row, scores {measured.score:g}, "
            "worth a medal: the leaderboard has too few good scores, or the columns say nothing"
        ]
    return []


def _move(place: Path, final: Path, before: Path) -> None:
    """Put a directory in place, and what was there aside."""
    if final.exists():
        final.rename(before)
    try:
        place.rename(final)
    except OSError:
        if before.exists():
            before.rename(final)
        raise
