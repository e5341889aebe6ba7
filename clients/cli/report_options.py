"""What `proctor report` and `proctor compare` share: forms of output, and reading directories."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from proctor.clients.cli.options import complain, usage_error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proctor.clients.reports.found import Found
    from proctor.clients.reports.tables import Document

EXTRA = "pip install 'mle-proctor[report]'"


class Form(StrEnum):
    """The forms in which tables are written."""

    TERMINAL = "terminal"
    MARKDOWN = "markdown"
    CSV = "csv"
    PARQUET = "parquet"
    JSON = "json"


FormOption: TypeAlias = Annotated[
    Form, typer.Option("--format", help="parquet needs -o, and the extra 'report'.")
]
OutputOption: TypeAlias = Annotated[
    Path | None,
    typer.Option("-o", "--output", metavar="FILE", help="Write there instead of printing."),
]


def found_in(directories: "Sequence[Path]") -> "Found":
    """The results below directories; files that are none are complained of."""
    from proctor.clients.reports.found import find
    from proctor.clients.reports.tables import visible

    for directory in directories:
        if not directory.is_dir():
            usage_error(f"{directory} is no directory; name that of a run")
    found = find(directories)
    for problem in found.refused:
        complain(f"proctor: left out: {visible(problem)}")
    if not found.rows:
        usage_error(f"no result in {', '.join(map(str, directories))}; name a run's directory")
    return found


def write(document: "Document", form: Form, output: Path | None) -> None:
    """Print a document, or write it to a file; ends with exit code 2 where that cannot be."""
    from rich.console import Console

    from proctor.clients.reports import tables

    if form is Form.PARQUET and output is None:
        usage_error("--format parquet is no text; name a file with -o")
    if form is Form.TERMINAL and output is None and Console().is_terminal:
        tables.print_document(document, Console())
        return
    data = _encoded(document, form)
    if output is None:
        typer.echo(data, nl=False)
        return
    try:
        output.write_bytes(data)
    except OSError as error:
        usage_error(f"cannot write to {output}: {error.strerror}; choose another -o")


def _encoded(document: "Document", form: Form) -> bytes:
    from proctor.clients.reports import tables

    if form is Form.PARQUET:
        try:
            return tables.as_parquet(document)
        except ImportError:
            usage_error(f"--format parquet needs pyarrow: {EXTRA}")
    made = {
        Form.TERMINAL: tables.as_text,
        Form.MARKDOWN: tables.as_markdown,
        Form.CSV: tables.as_csv,
        Form.JSON: tables.as_json,
    }[form]
    return made(document).encode()
