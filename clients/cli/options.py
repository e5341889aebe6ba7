"""Options that several commands share, and how commands complain."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeAlias

import typer

if TYPE_CHECKING:
    from proctor.tasks.catalog import Catalog


TasksOption: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option(
        "--tasks",
        metavar="DIR",
        help="Take tasks from DIR (task directories, AfterQuery JSON files) instead of the "
        "bundled ones. May be repeated.",
    ),
]


def complain(message: str) -> None:
    """Say something on stderr."""
    typer.echo(message, err=True)


def made_directory(path: Path, option: str) -> Path:
    """`path` as a directory that can be written to; ends with exit code 2 where it cannot be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=path):
            pass
    except OSError as error:
        usage_error(f"cannot write to {path}: {error.strerror}; choose another {option}")
    return path


def usage_error(message: str) -> NoReturn:
    """End with exit code 2."""
    complain(f"proctor: {message}")
    raise typer.Exit(2)


def catalog_of(sources: Sequence[Path] | None) -> "Catalog":
    """The catalog that ``--tasks`` asks for; tasks that cannot be read are complained of."""
    from proctor.schemas.errors import TaskError
    from proctor.tasks.catalog import Catalog

    catalog = Catalog([path.absolute() for path in sources]) if sources else Catalog()
    try:
        for problem in catalog.problems:
            complain(f"proctor: not a task: {problem}")
    except TaskError as error:
        usage_error(str(error))
    return catalog
