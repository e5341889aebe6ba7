"""``proctor competitions report``: reports and runs, as MLE-bench's leaderboard has them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from proctor.clients.cli.options import JsonOption, competitions_in, usage_error
from proctor.clients.cli.report_options import Form, FormOption, OutputOption, found_in, write
from proctor.schemas.names import remedy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proctor.clients.reports.competitions import Reported, Who


def report_competitions(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="REPORT|DIR", help="Grading reports, or directories of runs."),
    ],
    *,
    split: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Only this split, such as lite, low, medium or all."),
    ] = None,
    pad_missing: Annotated[
        bool,
        typer.Option(
            "--pad-missing",
            help="Count seeds that lack reports, and what they lack as failures.",
        ),
    ] = False,
    form: FormOption = Form.TERMINAL,
    output: OutputOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show shares of medals with their standard error over seeds, for each split.

    The i-th report of each competition forms seed i: of files in the order of their names, of a run
    by its epochs.
    """
    from proctor.clients.reports.competitions import document_of, of_files, of_rows, split_results

    splits = splits_of_competitions()
    if split is not None and split not in splits:
        do = remedy(split, splits, f"there are: {', '.join(splits)}")
        usage_error(f"there is no split {split!r}; {do}")
    directories = [path for path in paths if path.is_dir()]
    reports: dict[Who, Sequence[Reported]] = {}
    reports.update(of_files(_read(sorted({*paths} - {*directories}))))
    found = found_in(directories) if directories else None
    if found:
        reports.update(of_rows(found.rows))
    if not reports:
        usage_error(f"no competition's report in {', '.join(map(str, paths))}")
    made = document_of(split_results(reports, splits, pad=pad_missing, only=split), pad=pad_missing)
    write(made, Form.JSON if as_json else form, output)
    if found and found.refused:
        raise typer.Exit(1)


def splits_of_competitions() -> dict[str, tuple[str, ...]]:
    """The ids of each split's competitions; those that are not well declared are in none."""
    from proctor.schemas.errors import TaskError

    library = competitions_in(None)
    found: dict[str, list[str]] = {}
    for task_id in library.ids:
        try:
            definition = library.definition(task_id)
        except TaskError:
            continue
        for split in definition.splits:
            found.setdefault(split, []).append(definition.file.id)
    return {split: tuple(found[split]) for split in sorted(found)}


def _read(files: "Sequence[Path]") -> "list[Reported]":
    from proctor.clients.reports.competitions import read_reports

    try:
        return [each for file in files for each in read_reports(file)]
    except ValueError as error:
        usage_error(str(error))
