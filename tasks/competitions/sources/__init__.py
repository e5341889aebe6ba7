"""Where a competition's rows come from: each source is a settings model and one function.

Most draw from one generator, in one order, so that a seed decides every row; one reads a file.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import ValidationError

from proctor.schemas.base import Value
from proctor.schemas.errors import TaskError
from proctor.tasks.competitions.definition import Source
from proctor.tasks.competitions.sources import dataset, images, series, table, tabular, text
from proctor.tasks.competitions.sources.made import Made


class Kind(NamedTuple):
    """One kind of source that draws its rows."""

    settings: type[Value]
    make: Callable[[Any, np.random.Generator], Made]


class Filed(NamedTuple):
    """One kind of source whose rows lie in the competition's directory."""

    settings: type[Value]
    read: Callable[[Any, Path], Made]


SOURCES: Mapping[str, Kind | Filed] = {
    "dataset": Kind(dataset.Settings, dataset.make),
    "tabular": Kind(tabular.Settings, tabular.make),
    "text": Kind(text.Settings, text.make),
    "images": Kind(images.Settings, images.make),
    "series": Kind(series.Settings, series.make),
    "table": Filed(table.Settings, table.read),
}


def rows_from(source: Source, place: Path) -> Made:
    """The rows of a source, the same at each call.

    Args:
        source: What is said of it.
        place: The competition's directory.

    Raises:
        TaskError: Its settings are not what that kind asks for, or its file is not what it was.
    """
    kind = SOURCES[source.kind]
    try:
        settings = kind.settings.model_validate(dict(source.settings))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, ("source.settings", *first["loc"])))
        raise TaskError(f"{key}: {first['msg']}") from error
    if isinstance(kind, Filed):
        return kind.read(settings, place)
    return kind.make(settings, np.random.default_rng(source.seed))
