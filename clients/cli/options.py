"""Options that several commands share, and what they stand for."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeAlias

import typer

if TYPE_CHECKING:
    from proctor.sandbox_backends.base import Backend
    from proctor.tasks.catalog import Catalog


class BackendName(StrEnum):
    """Where agents' code runs."""

    AUTO = "auto"
    BUBBLEWRAP = "bubblewrap"
    NONE = "none"


TasksOption: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option(
        "--tasks",
        metavar="DIR",
        help="Take tasks from DIR (task directories, AfterQuery JSON files) instead of the "
        "bundled ones. May be repeated.",
    ),
]
BackendOption: TypeAlias = Annotated[
    BackendName,
    typer.Option(
        "--backend",
        help="Sandbox: the best there is, bubblewrap, or none (plain processes, no isolation).",
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


def backend_of(name: BackendName) -> "Backend":
    """The backend that ``--backend`` asks for; says plainly if it does not isolate."""
    from proctor.sandbox_backends.cgroup import sweep
    from proctor.sandbox_backends.local import bubblewrap_problem, open_bubblewrap, open_plain

    sweep()
    problem = None if name is BackendName.NONE else bubblewrap_problem()
    if name is not BackendName.NONE and problem is None:
        return open_bubblewrap
    if name is BackendName.BUBBLEWRAP:
        usage_error(f"--backend bubblewrap cannot be had: {problem}")
    why = f" ({problem})" if problem else ""
    complain(
        f"proctor: WARNING: no isolation{why}: agents' code runs as plain processes of this user "
        "and can read and change what you can."
    )
    return open_plain
