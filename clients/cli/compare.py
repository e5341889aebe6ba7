"""``proctor compare``: two runs, by pairs of the same task and epoch."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from proctor.clients.cli.options import complain, usage_error
from proctor.clients.cli.report_options import Form, FormOption, OutputOption, found_in, write

if TYPE_CHECKING:
    from proctor.clients.reports.compare import Side
    from proctor.clients.reports.found import Found


def compare(
    a: Annotated[Path, typer.Argument(metavar="A", help="A directory with one model's sessions.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="Another's, or another run's.")],
    *,
    form: FormOption = Form.TERMINAL,
    output: OutputOption = None,
) -> None:
    """Show by how much B differs from A, with interval and test."""
    from proctor.clients.reports.compare import compare as compared
    from proctor.clients.reports.comparison import document_of

    found = [found_in([directory]) for directory in (a, b)]
    sides = [_side(each, place) for each, place in zip(found, (a, b), strict=True)]
    write(document_of(compared(*sides)), form, output)
    if any(each.refused for each in found):
        raise typer.Exit(1)


def _side(found: "Found", directory: Path) -> "Side":
    from proctor.clients.reports.compare import Side
    from proctor.clients.reports.tables import visible

    for place in found.unfinished:
        complain(f"proctor: without a result: {visible(str(place))}")
    try:
        return Side.of(found.rows)
    except ValueError as error:
        usage_error(f"{directory} {visible(str(error))}")
