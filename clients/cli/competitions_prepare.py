"""``proctor competitions prepare``: make competitions' files."""

from typing import Annotated

import typer

from proctor.clients.cli.options import DataOption, TasksOption, competitions_in, usage_error


def prepare_competitions(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="All of them if none.")
    ] = None,
    *,
    tasks: TasksOption = None,
    data: DataOption = None,
) -> None:
    """Make competitions' files. Runs do so, too, when they first need them."""
    from proctor.schemas.errors import TaskError

    library = competitions_in(data, tasks)
    for name in names or library.ids:
        try:
            print(library.prepare(name))
        except TaskError as error:
            usage_error(str(error))
