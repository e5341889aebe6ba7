"""``tabular``: rows of numbers and categories, and a target that depends on them crookedly.

What lies under the target is a sum of bends, steps and products of columns, drawn from the seed,
an effect of each category and each group, and noise. From it comes a number, a rare event or a
class.
"""

from collections.abc import Mapping
from typing import Any, Self, TypeAlias

import numpy as np
import polars as pl
from pydantic import Field, model_validator

from proctor.evaluator.metrics.base import Array
from proctor.schemas.base import Value
from proctor.tasks.competitions.sources.made import Made

TOGETHER = 0.35
"""How far numeric columns go together."""
STEEPNESS = 4.0
"""How sharply a step bends."""
Numbers: TypeAlias = Any
"""An array; numpy's types get lost in mixed arithmetic."""


class Numeric(Value):
    """How a column of numbers is distributed."""

    mean: float
    """Of its logarithm, where it is skewed."""
    spread: float = Field(gt=0)
    skewed: bool = False


class Number(Value):
    """A target that is a number."""

    mean: float
    spread: float = Field(gt=0)
    low: float | None = None
    decimals: int = 2


class Groups(Value):
    """Rows that belong together."""

    column: str
    count: int = Field(gt=1)
    effect: float = Field(ge=0)
    """On the target, in its standard deviations."""


class Settings(Value):
    """The columns and the target."""

    rows: int = Field(gt=0)
    target: str
    numeric: Mapping[str, Numeric]
    categorical: Mapping[str, tuple[str, ...]] = Field(default_factory=dict[str, tuple[str, ...]])
    groups: Groups | None = None
    number: Number | None = None
    rate: float | None = Field(default=None, gt=0, lt=1)
    """In place of `number`: the share of ones among zeros."""
    classes: tuple[str, ...] = ()
    """In place of `number`: the labels."""
    noise: float = Field(ge=0)
    """In standard deviations of what lies under the target."""
    missing: float = Field(default=0.0, ge=0, lt=1)
    """The share of numeric cells that are empty."""
    decimals: int = 3

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if sum((self.number is not None, self.rate is not None, bool(self.classes))) != 1:
            raise ValueError("give one of number, rate and classes")
        return self


def make(settings: Settings, rng: np.random.Generator) -> Made:
    """Draw the rows."""
    hidden = _together(rng.normal(size=(settings.rows, len(settings.numeric))), rng)
    codes = {
        name: rng.choice(len(levels), settings.rows, p=_uneven(len(levels), rng))
        for name, levels in settings.categorical.items()
    }
    member = rng.integers(0, settings.groups.count if settings.groups else 1, settings.rows)
    under = [
        _under(hidden, codes, settings, member, rng) for _ in range(max(1, len(settings.classes)))
    ]
    table: dict[str, Any] = {
        **_numeric_columns(settings, hidden, rng),
        **{name: [levels[n] for n in codes[name]] for name, levels in settings.categorical.items()},
        settings.target: _target(settings, np.stack(under, axis=1)),
    }
    if settings.groups:
        table = {settings.groups.column: _group_names(settings.groups, member, rng), **table}
    return Made(pl.DataFrame(table), (settings.target,))


def _together(values: Array, rng: np.random.Generator) -> Array:
    """Columns that have some of a few common factors in them."""
    factors = rng.normal(size=(len(values), 3))
    weights = rng.normal(size=(3, values.shape[1])) / np.sqrt(3)
    together: Numbers = np.sqrt(1 - TOGETHER) * values + np.sqrt(TOGETHER) * (factors @ weights)
    return np.asarray(together)


def _uneven(count: int, rng: np.random.Generator) -> Array:
    shares: Array = rng.uniform(0.4, 1.6, count)
    return np.asarray(shares / shares.sum())


def _under(
    hidden: Numbers, codes: Mapping[str, Array], settings: Settings, member: Array,
    rng: np.random.Generator,
) -> Array:  # fmt: skip
    """What lies under the target: standardized, with the groups' effects and noise on top."""
    count: int = hidden.shape[1]
    total: Numbers = hidden @ (rng.normal(size=count) * rng.integers(0, 2, count))
    for _ in range(count):
        a, b = hidden[:, rng.integers(count)], hidden[:, rng.integers(count)]
        bends = (np.sin(2 * a), np.tanh(STEEPNESS * (a - 0.4)), a * b, np.abs(a) - 1, a * a / 2)
        total = total + rng.normal() * bends[rng.integers(len(bends))]
    for each in codes.values():
        levels = int(each.max()) + 1
        total = total + rng.normal(size=levels)[each]
        total = total + rng.normal(size=levels)[each] * hidden[:, rng.integers(count)]
    total = (total - total.mean()) / total.std()
    if settings.groups:
        total = total + settings.groups.effect * rng.normal(size=settings.groups.count)[member]
    return np.asarray(total + settings.noise * rng.normal(size=settings.rows))


def _numeric_columns(
    settings: Settings, hidden: Array, rng: np.random.Generator
) -> dict[str, pl.Series]:
    columns: dict[str, pl.Series] = {}
    for place, (name, column) in enumerate(settings.numeric.items()):
        values = column.mean + column.spread * hidden[:, place]
        values = np.round(np.exp(values) if column.skewed else values, settings.decimals)
        gone = rng.random(len(values)) < settings.missing
        columns[name] = pl.Series(name, values).set(pl.Series(gone), None)
    return columns


def _target(settings: Settings, under: Numbers) -> Array | list[str]:
    if settings.classes:
        return [settings.classes[n] for n in under.argmax(axis=1)]
    values = under[:, 0]
    if settings.number is None:
        rare = np.asarray(values > np.quantile(values, 1 - (settings.rate or 0)))
        return rare.astype(int)
    number = settings.number
    found: Array = number.mean + number.spread * (values - values.mean()) / values.std()
    if number.low is not None:
        found = np.maximum(found, number.low)
    return np.round(found, number.decimals)


def _group_names(groups: Groups, member: Array, rng: np.random.Generator) -> list[str]:
    names = rng.permutation(groups.count * 7)[: groups.count] + 100
    return [f"{groups.column[0].upper()}{names[n]}" for n in member]
