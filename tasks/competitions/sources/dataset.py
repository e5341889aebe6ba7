"""``dataset``: a collection that comes with scikit-learn, drawn anew.

Each row is a point between two rows of one class, with noise: sandboxes have scikit-learn, and so
the collection itself. What a row's label is, beyond its class, is not to be found there.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Literal, NamedTuple

import numpy as np
import polars as pl
from pydantic import Field

from proctor.evaluator.metrics.base import Array
from proctor.schemas.base import Value
from proctor.tasks.competitions.sources.made import Made

COLLECTIONS: Any = import_module("sklearn.datasets")
"""It has no types of its own."""
DIGITS = 4
"""Significant ones."""


class Settings(Value):
    """Which collection, and what becomes of it."""

    name: Literal["breast_cancer"]
    target: str
    """What the column of labels is called."""
    labels: Mapping[str, int | str]
    """The label to show for each of the collection's."""
    rows: int = Field(gt=0)
    noise: float = Field(ge=0)
    """In a column's standard deviations."""
    wrong_labels: float = Field(ge=0, lt=1)
    """The share of rows whose label is another one."""


class Drawn(NamedTuple):
    """New rows and their classes."""

    rows: Array
    classes: Array


def make(settings: Settings, rng: np.random.Generator) -> Made:
    """Draw the rows."""
    collection: Any = getattr(COLLECTIONS, f"load_{settings.name}")()
    drawn = draw(collection.data, collection.target, settings.rows, rng)
    spread: Array = collection.data.std(axis=0)
    scatter = rng.normal(0, settings.noise, (settings.rows, len(spread))) * spread
    values: Array = np.abs(drawn.rows + scatter)
    shown = np.array([settings.labels[str(each)] for each in np.unique(collection.target)])
    labels = shown[confused(drawn.classes, len(shown), settings.wrong_labels, rng)]
    names = [plain_name(str(each)) for each in collection.feature_names]
    columns = {name: significant(values[:, n], spread[n]) for n, name in enumerate(names)}
    return Made(pl.DataFrame({**columns, settings.target: labels}), (settings.target,))


def draw(data: Array, classes: Array, rows: int, rng: np.random.Generator) -> Drawn:
    """Draw rows, each between two of one class."""
    first = rng.integers(0, len(data), rows)
    members = {each: np.flatnonzero(classes == each) for each in np.unique(classes)}
    second = np.array([rng.choice(members[each]) for each in classes[first]])
    share = rng.uniform(0, 1, (rows, *[1] * (data.ndim - 1)))
    return Drawn(share * data[first] + (1 - share) * data[second], classes[first])


def confused(classes: Array, count: int, share: float, rng: np.random.Generator) -> Array:
    """The classes, with a share of them replaced by another one each."""
    other = (classes + rng.integers(1, count, len(classes))) % count
    return np.where(rng.random(len(classes)) < share, other, classes)


def significant(values: Array, spread: float) -> Array:
    """Values with as many decimals as their spread calls for."""
    return np.round(values, DIGITS - int(np.floor(np.log10(spread))) - 1)


def plain_name(name: str) -> str:
    """A column's name in one word."""
    words = name.replace("/", " ").split()
    if words[0] == "worst":
        return "_".join(words)
    return "_".join([*words[1:], words[0]] if words[0] == "mean" else words)
