"""What a team is: a model, what it looks at, and the share of the training rows it fits."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from importlib import import_module
from itertools import product
from typing import Any, NamedTuple, TypeAlias

import pandas as pd

from proctor.tasks.competitions.offline.features import Features

SEED = 20261120
SHARES = (1.0, 0.1)
"""Of the training rows."""
Model: TypeAlias = Any
"""An estimator of scikit-learn, which has no types of its own."""
Models: TypeAlias = Iterable[tuple[str, Callable[[], Model]]]
"""Models with their names and settings."""


class Team(NamedTuple):
    """Who hands in."""

    name: str
    model: Callable[[], Model]
    features: Features
    share: float
    enlarged: Callable[[pd.DataFrame], pd.DataFrame] | None = None
    """What makes more rows to fit of those that it takes."""


def sklearn(path: str) -> Callable[..., Model]:
    """What scikit-learn has at ``module.Name``."""
    module, _, name = path.rpartition(".")
    found: Callable[..., Model] = getattr(import_module(f"sklearn.{module}"), name)
    return found


def settings(path: str, **grid: tuple[Any, ...]) -> Iterator[tuple[str, Callable[[], Model]]]:
    """A model once for each combination of settings."""
    for values in product(*grid.values()):
        given = dict(zip(grid, values, strict=True))
        said = ", ".join(f"{key}={value}" for key, value in given.items() if key != "random_state")
        yield f"{path.rpartition('.')[2]}({said})", partial(sklearn(path), **given)


def crossed(
    features: Iterable[Features], models: Models, shares: Iterable[float] = SHARES
) -> Iterator[Team]:
    """Every model that suits, on every kind of features, with every share of the rows."""
    models = list(models)
    for each, share in product(features, shares):
        for name, model in models:
            if each.suits(name):
                told = f"{name} on {each.name}" + (f", {share:.0%} of rows" * (share < 1))
                yield Team(told, model, each, share)
