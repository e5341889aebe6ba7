"""Where a competition's rows come from: each source is a settings model and one function.

They draw from one generator, in one order, so that a seed decides every row.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from pydantic import ValidationError

from proctor.schemas.base import Value
from proctor.schemas.errors import TaskError
from proctor.tasks.competitions.definition import Source
from proctor.tasks.competitions.sources import dataset, images, series, tabular, text
from proctor.tasks.competitions.sources.made import Made


class Kind(NamedTuple):
    """One kind of source."""

    settings: type[Value]
    make: Callable[[Any, np.random.Generator], Made]


SOURCES: Mapping[str, Kind] = {
    "dataset": Kind(dataset.Settings, dataset.make),
    "tabular": Kind(tabular.Settings, tabular.make),
    "text": Kind(text.Settings, text.make),
    "images": Kind(images.Settings, images.make),
    "series": Kind(series.Settings, series.make),
}


def made(source: Source) -> Made:
    """The rows of a source, the same at each call.

    Raises:
        TaskError: Its settings are not what that kind asks for.
    """
    kind = SOURCES[source.kind]
    try:
        settings = kind.settings.model_validate(dict(source.settings))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, ("source.settings", *first["loc"])))
        raise TaskError(f"{key}: {first['msg']}") from error
    return kind.make(settings, np.random.default_rng(source.seed))
