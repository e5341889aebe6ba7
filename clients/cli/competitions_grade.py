"""``proctor competitions grade``: what a submission earns, or a list of them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from proctor.clients.cli.options import (
    CompatOption,
    DataOption,
    JsonOption,
    TasksOption,
    competitions_in,
    complain,
    made_directory,
    usage_error,
)

if TYPE_CHECKING:
    from proctor.schemas.competition import Compat, CompetitionReport, GradingReport
    from proctor.tasks.competitions.grading import Asked
    from proctor.tasks.competitions.library import Competitions

LISTS = (".jsonl", ".ndjson")


def grade_submission(
    submission: Annotated[
        Path,
        typer.Argument(
            metavar="SUBMISSION",
            help="A CSV file; or without ID a JSONL file with a competition_id and a "
            "submission_path on each line, relative to the file's folder.",
        ),
    ],
    name: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="The competition's id.")
    ] = None,
    *,
    compat: CompatOption = "strict",
    leaderboard: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A CSV file with all scores, the best one first, for rank and percentile. Medals "
            "stay those of the competition's own thresholds.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "--output-dir",
            metavar="DIR",
            help="With a list: where <time>_grading_report.json goes; here by default.",
        ),
    ] = None,
    tasks: TasksOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Grade a submission to a competition, or a list of submissions.

    Exit code 1 where the submission is invalid, or a line of the list could not be graded.
    """
    library = competitions_in(data, tasks)
    if name is None:
        if submission.suffix not in LISTS:
            usage_error(f"name the competition that {submission} is for, or give a JSONL file")
        if leaderboard:
            usage_error("--leaderboard goes with one submission and the ID of its competition")
        _grade_list(library, submission, compat, (out or Path()).absolute(), as_json=as_json)
        return
    if out:
        usage_error("--out goes with a JSONL file")
    found = _graded(library, name, submission.absolute(), compat, leaderboard)
    if as_json:
        print(found.model_dump_json(indent=2))
    else:
        _print_report(found)
    raise typer.Exit(0 if found.valid_submission else 1)


def _graded(
    library: "Competitions",
    name: str,
    submission: Path,
    compat: "Compat",
    leaderboard: Path | None,
) -> "CompetitionReport":
    import anyio

    from proctor.schemas.errors import ProctorError
    from proctor.tasks.competitions.grading import grade_one, ready
    from proctor.tasks.competitions.leaderboards import read_scores

    try:
        lower = library.definition(name).competition.lower_is_better
        scores = read_scores(leaderboard, lower_is_better=lower) if leaderboard else None
        if scores and len(scores) == 1:
            complain(f"proctor: {leaderboard} has one team: a percentile means little")
        return anyio.run(grade_one, ready(library, name), submission, compat, scores)
    except ProctorError as error:
        usage_error(str(error))


def _grade_list(
    library: "Competitions", path: Path, compat: "Compat", out: Path, *, as_json: bool
) -> None:
    from datetime import UTC, datetime

    import anyio

    from proctor.schemas.errors import TaskError
    from proctor.tasks.competitions.grading import grade_list, read_list

    try:
        asked = list(read_list(path))
    except TaskError as error:
        usage_error(str(error))
    if not asked:
        usage_error(f"{path} asks for nothing: it has no line that is not blank or a comment")
    made_directory(out, "--out")

    async def grade_all() -> "GradingReport":
        return await grade_list(library, asked, compat)

    found = anyio.run(grade_all)
    file = out / f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%S-GMT}_grading_report.json"
    text = found.model_dump_json(indent=2) + "\n"
    try:
        file.write_text(text, "utf-8")
    except OSError as error:
        usage_error(f"cannot write {file}: {error.strerror}; choose another --out")
    if as_json:
        typer.echo(text, nl=False)
    else:
        _print_list(found, asked, file)
    raise typer.Exit(1 if found.ungraded else 0)


def _print_report(found: "CompetitionReport") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from proctor.clients.reports.tables import visible

    table = Table(box=None, show_header=False)
    for key, value in found.model_dump(mode="json").items():
        if value is not None:
            said = f"{value:.1f}" if key == "percentile" else visible(str(value))
            table.add_row(key, Text(said))  # a reason repeats an agent's cells
    Console().print(table)


def _print_list(found: "GradingReport", asked: "list[Asked]", file: Path) -> None:
    from proctor.clients.reports.tables import visible

    for each in found.ungraded:
        named = f" ({visible(each.competition_id)})" if each.competition_id else ""
        complain(f"proctor: line {each.line}{named} is not graded: {visible(each.error)}")
    print(
        f"{len(asked)} lines: {found.total_runs} graded, {found.total_ungraded} not; "
        f"{found.total_runs_with_submissions} with a submission, "
        f"{found.total_valid_submissions} valid, {found.total_above_median} above the median, "
        f"{found.total_medals} medals ({found.total_gold_medals} gold, "
        f"{found.total_silver_medals} silver, {found.total_bronze_medals} bronze)"
    )
    print(f"written to {file}")
