"""``series``: what is sold each day, in several places, of several products.

A series has a level that wanders, a week of its own and a season; prices, promotions and holidays
move it, and all of them are known ahead. What moves a place for some days is not, and no more is
chance. Nothing that a row shows comes from a later day, or from its own outcome.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import polars as pl
from pydantic import Field

from proctor.evaluator.metrics.base import Array
from proctor.schemas.base import Value
from proctor.tasks.competitions.sources.made import Made

WEEK, YEAR = 7, 365.25
SATURDAY = 5
MEMORY = 0.8
"""What is left on the next day of what moves a place."""
Numbers: TypeAlias = Any
"""An array; numpy's types get lost in mixed arithmetic."""


class Product(Value):
    """What is sold."""

    level: float = Field(gt=0)
    """On an ordinary day, in an ordinary place."""
    price: float = Field(gt=0)
    season: float = Field(ge=0)
    """How much it goes with the season, in logarithms."""
    peak: int = Field(ge=0, le=366)
    """The day of the year on which most is sold."""
    promotion: float
    """What a promotion does, in logarithms."""


class Settings(Value):
    """Which days, where, and of what."""

    target: str
    start: date
    days: int = Field(gt=0)
    places: Mapping[str, float]
    """The size of each, as a factor."""
    place: str
    """What the column of places is called."""
    products: Mapping[str, Product]
    holidays: tuple[str, ...]
    """As ``month-day``."""
    closed: tuple[str, ...] = ()
    """Those of the holidays on which nothing is sold."""
    promoted: float = Field(ge=0, lt=1)
    """The share of weeks with a promotion."""
    wander: float = Field(ge=0)
    """The standard deviation of a level's daily step, in logarithms."""
    shocks: float = Field(ge=0)
    """The standard deviation of what moves a place, in logarithms."""
    chance: float = Field(ge=0)
    """The standard deviation of what moves a row, in logarithms, beyond counting."""


class Days(NamedTuple):
    """The calendar."""

    dates: list[date]
    holiday: Array
    eve: Array
    """Whether the next day is a holiday."""
    closed: Array


def make(settings: Settings, rng: np.random.Generator) -> Made:
    """Draw the rows, one for each day, place and product."""
    days = _calendar(settings)
    tables: list[pl.DataFrame] = []
    for place, size in settings.places.items():
        mood = _shocks(settings, rng)
        week = rng.normal(0, 0.25, WEEK)
        for name, product in settings.products.items():
            columns = _series(settings, days, product, (np.log(size) + mood, week), rng)
            said = {"date": days.dates, settings.place: place, "product": name, **columns}
            tables.append(pl.DataFrame(said).with_columns(pl.col("date").dt.to_string()))
    return Made(pl.concat(tables), (settings.target,))


def _calendar(settings: Settings) -> Days:
    dates = [settings.start + timedelta(days=n) for n in range(settings.days + 1)]
    holiday = np.array([f"{each:%m-%d}" in settings.holidays for each in dates])
    closed = np.array([f"{each:%m-%d}" in settings.closed for each in dates[:-1]])
    return Days(dates[:-1], holiday[:-1], holiday[1:], closed)


def _shocks(settings: Settings, rng: np.random.Generator) -> Array:
    """What moves a place: it comes in a day, and goes in many."""
    steps = rng.normal(0, settings.shocks * np.sqrt(1 - MEMORY**2), settings.days)
    found = np.zeros(settings.days)
    for day in range(1, settings.days):
        found[day] = MEMORY * found[day - 1] + steps[day]
    return found


def _series(
    settings: Settings,
    days: Days,
    product: Product,
    place: tuple[Array, Array],
    rng: np.random.Generator,
) -> dict[str, Any]:
    """The columns of a product in a place, of which there are its level and its week."""
    count, (level, week) = settings.days, place
    weekday = np.array([each.weekday() for each in days.dates])
    of_year = np.array([each.timetuple().tm_yday for each in days.dates])
    promoted = np.repeat(rng.random(count // WEEK + 1) < settings.promoted, WEEK)[:count]
    price = _prices(product, promoted, rng)
    wander = np.cumsum(rng.normal(0, settings.wander, count))
    habits = week + rng.normal(0, 0.12, WEEK)
    season = product.season * rng.uniform(0.7, 1.3) * np.cos(
        2 * np.pi * (of_year - product.peak) / YEAR
    )  # fmt: skip
    lift = product.promotion * rng.uniform(0.6, 1.4)
    log = np.log(product.level) + level + wander + habits[weekday] + season
    log = log + lift * promoted * (1 + 0.5 * (weekday >= SATURDAY))
    log = log - rng.uniform(0.8, 1.8) * np.log(price / product.price)
    log = log + rng.normal(0.3, 0.2) * days.eve - rng.normal(0.7, 0.2) * days.holiday
    log = log + rng.normal(0, settings.chance, count)
    return {
        "price": price,
        "promotion": promoted.astype(int),
        "holiday": days.holiday.astype(int),
        settings.target: _sold(log, days, rng),
    }


def _sold(log: Numbers, days: Days, rng: np.random.Generator) -> Array:
    """Whole pieces, by chance; none on days that are closed."""
    pieces: Any = rng.poisson
    return np.where(days.closed, 0, pieces(np.exp(log)))


def _prices(product: Product, promoted: Array, rng: np.random.Generator) -> Array:
    """Prices rise now and then, and fall in promotions."""
    rises = np.cumsum(np.where(rng.random(len(promoted)) < 1 / 120, rng.uniform(0, 0.06), 0.0))
    return np.round(product.price * (1 + rises) * np.where(promoted, 0.85, 1.0), 2)
