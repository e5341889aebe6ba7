"""Options that several commands share, and how commands complain."""

import functools
import inspect
import os
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn, TypeAlias, get_type_hints

import typer

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from proctor.tasks.catalog import Catalog
    from proctor.tasks.competitions.definition import Definition
    from proctor.tasks.competitions.library import Competitions, Download

Command: TypeAlias = Callable[..., None]

TasksOption: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option(
        "--tasks",
        "--tasks-dir",
        metavar="DIR",
        help="Take tasks from DIR (task directories, AfterQuery JSON files, competitions) instead "
        "of the bundled ones. May be repeated.",
    ),
]
JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
CompetitionName: TypeAlias = Annotated[
    str, typer.Argument(metavar="ID", help="The competition's id.")
]
CompatOption: TypeAlias = Annotated[
    Literal["strict", "upstream"],
    typer.Option(
        "--compat", help="Of competitions: align submissions' rows by id, or as MLE-bench does it."
    ),
]
DATA_VARIABLE = "PROCTOR_COMPETITIONS"
DataOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        envvar=DATA_VARIABLE,
        help="Where competitions' files are prepared; the user's cache by default.",
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


def names_in(path: Path, option: str) -> list[tuple[int, str]]:
    """The names that a file lists, one in a line, and their lines' numbers, from 1.

    Blank lines and ``#`` comments are skipped; ends with exit code 2 where it cannot be read.
    """
    from proctor.schemas.errors import TaskError
    from proctor.tasks.formats.reading import read_text

    try:
        lines = read_text(path).splitlines()
    except TaskError as error:
        usage_error(f"{option}: {error}")
    names = ((number, line.partition("#")[0].strip()) for number, line in enumerate(lines, 1))
    return [(number, name) for number, name in names if name]


def usage_error(message: str) -> NoReturn:
    """End with exit code 2."""
    complain(f"proctor: {message}")
    raise typer.Exit(2)


def competitions_in(
    data: Path | None,
    sources: Sequence[Path] | None = None,
    *,
    download: "Download | None" = None,
    keep_raw: bool = False,
) -> "Competitions":
    """The competitions of ``--tasks``, or the bundled ones; ends with exit code 2 where they clash.

    Their files are in `data`, or where they lie by default. Kaggle's are downloaded when they are
    first needed, by `download` or as is usual.
    """
    import platformdirs

    from proctor.schemas.errors import TaskError
    from proctor.tasks.competitions.library import BUNDLED, Competitions

    usual = os.environ.get(DATA_VARIABLE) or (
        platformdirs.user_cache_path("proctor", appauthor=False) / "competitions"
    )
    if missing := [path for path in sources or () if not path.exists()]:
        usage_error(f"--tasks {missing[0]}: there is no such file or directory")
    place = Path(data or usual).absolute()
    places = [path.absolute() for path in sources] if sources else BUNDLED
    library = Competitions(place, places, download or _download, keep_raw=keep_raw)
    try:
        _ = library.ids
    except TaskError as error:
        usage_error(str(error))
    return library


def _download(definition: "Definition", folder: Path) -> None:
    from proctor.tasks.competitions.download.fetch import fetch_raw

    fetch_raw(definition, folder)


def catalog_of(sources: Sequence[Path] | None, data: Path | None = None) -> "Catalog":
    """The catalog that ``--tasks`` asks for; tasks that cannot be read are complained of.

    Competitions are prepared in `data` when they are asked for by their ids; those of ``--tasks``
    are on offer with its other tasks.
    """
    from proctor.tasks.catalog import Catalog

    if sources:
        own = competitions_in(data, sources)
        catalog = Catalog([path.absolute() for path in sources], own, own.ids)
    else:
        catalog = Catalog(competitions=competitions_in(data))
    return with_problems_told(catalog)


def with_problems_told(catalog: "Catalog", told: "Catalog | None" = None) -> "Catalog":
    """The catalog; tasks that cannot be read are complained of, but for those of `told`."""
    from proctor.schemas.errors import TaskError

    try:
        known = {str(problem) for problem in told.problems} if told else set[str]()
        for problem in dict.fromkeys(map(str, catalog.problems)):
            if problem not in known:
                complain(f"proctor: not a task: {problem}")
    except TaskError as error:
        usage_error(str(error))
    return catalog


def with_options(group: "type[DataclassInstance]", argument: str) -> Callable[[Command], Command]:
    """Give a command the options that a dataclass's fields describe.

    Args:
        group: Its annotations are the options themselves.
        argument: The command's argument in which they arrive, as one value of `group`.
    """
    hints = get_type_hints(group, include_extras=True)
    added = [
        inspect.Parameter(
            each.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=each.default,
            annotation=hints[each.name],
        )
        for each in fields(group)
    ]

    def decorate(command: Command) -> Command:
        signature = inspect.signature(command)
        own = [each for each in signature.parameters.values() if each.name != argument]

        @functools.wraps(command)
        def run(**arguments: Any) -> None:  # noqa: ANN401 - the command's own
            chosen = group(**{each.name: arguments.pop(each.name) for each in added})
            command(**arguments, **{argument: chosen})

        run.__signature__ = signature.replace(parameters=[*own, *added])  # type: ignore[attr-defined]
        run.__annotations__ = {each.name: each.annotation for each in (*own, *added)}
        return run

    return decorate
