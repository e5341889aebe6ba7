"""``proctor report``: what the results of runs come to."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from proctor.clients.cli.competitions_report import splits_of_competitions
from proctor.clients.cli.options import made_directory, usage_error
from proctor.clients.cli.report_options import (
    EXTRA,
    Form,
    FormOption,
    OutputOption,
    found_in,
    write,
)

if TYPE_CHECKING:
    from proctor.clients.reports.found import Found
    from proctor.clients.reports.groups import Settings


class ByName(StrEnum):
    """What sessions are grouped by."""

    MODEL = "model"
    KIND = "kind"
    CATEGORY = "category"
    TASK = "task"


def report(
    directories: Annotated[list[Path], typer.Argument(metavar="DIR", help="Directories of runs.")],
    *,
    by: Annotated[
        list[ByName] | None,
        typer.Option(help="A table of its own for each; all four by default. Repeatable."),
    ] = None,
    form: FormOption = Form.TERMINAL,
    output: OutputOption = None,
    sessions: Annotated[
        bool, typer.Option("--sessions", help="Every session as a row, without statistics.")
    ] = False,
    k: Annotated[
        str | None,
        typer.Option(
            "--k", metavar="N,N", help="For pass@k and pass^k; by default what the epochs allow."
        ),
    ] = None,
    pass_at: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="The score from which on a session passes.")
    ] = 1.0,
    plots: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write plots there, as PNG and SVG.")
    ] = None,
) -> None:
    """Show means with intervals, pass@k, tokens, cost and time of the sessions in directories."""
    from proctor.clients.reports.groups import EVERY_BY, Settings
    from proctor.clients.reports.report import report_of
    from proctor.clients.reports.sessions import sessions_of

    settings = Settings(
        by=tuple(each.value for each in dict.fromkeys(by)) if by else EVERY_BY,
        k=_counts(k) if k is not None else None,
        pass_at=pass_at,
    )
    found = found_in(directories)
    if plots is not None:
        _plot(found, settings, made_directory(plots, "--plots"))
    any_competition = any(row.kind == "competition" for row in found.rows)
    splits = splits_of_competitions() if any_competition else {}
    write(sessions_of(found) if sessions else report_of(found, settings, splits), form, output)
    if found.refused:
        raise typer.Exit(1)


def _counts(text: str) -> tuple[int, ...]:
    try:
        counts = tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        counts = ()
    if not counts or counts[0] < 1:
        usage_error(f"--k {text!r} is not a list of counts such as 1,2,4")
    return counts


def _plot(found: "Found", settings: "Settings", directory: Path) -> None:
    from dataclasses import replace

    from proctor.clients.cli.options import complain
    from proctor.clients.reports.groups import groups_of
    from proctor.clients.reports.plots import write_plots

    by = tuple(dict.fromkeys(("model", *settings.by)))
    try:
        files = write_plots(groups_of(found.rows, replace(settings, by=by)), directory)
    except ImportError:
        usage_error(f"--plots needs matplotlib: {EXTRA}")
    except OSError as error:
        usage_error(f"cannot write to {directory}: {error.strerror}; choose another --plots")
    for file in files:
        complain(f"proctor: wrote {file}")
