"""Teams that forecast what is sold each day: last weeks again, calendars, and lags behind the gap.

A row's features come from its plan and from days that lie before the forecast begins, for training
rows as for the test's: a lag is never shorter than the time to be forecast.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from proctor.evaluator.metrics.base import Array
from proctor.tasks.competitions.definition import CompetitionFile
from proctor.tasks.competitions.offline.features import (
    COMPOSE,
    IMPUTE,
    PIPELINE,
    PREPROCESSING,
    Features,
)
from proctor.tasks.competitions.offline.teams import (
    SEED,
    Model,
    Models,
    Team,
    crossed,
    settings,
    sklearn,
)

WEEK, YEAR = 7, 365
WEEKS_BACK = 6
"""So many lags, a week apart."""
FAR = 1e4
"""Between what must not be neighbours."""
SHARES = (1.0, 0.25)
"""The latest of the training rows."""
PLAN = ["price", "promotion", "holiday"]
TREES = ("Hist", "log Hist", "Extra", "log Extra")


@dataclass(frozen=True)
class History:
    """What was sold, by day and series."""

    names: list[str]
    """The columns that tell the series."""
    series: pd.MultiIndex
    start: pd.Timestamp
    sold: Array
    """Of shape (n_days, n_series), in logarithms."""
    gap: int
    """The shortest lag, in days: whole weeks."""

    def numbers(self, rows: pd.DataFrame) -> tuple[Array, Array]:
        """The day and the series of each row."""
        days = (pd.to_datetime(rows["date"]) - self.start).dt.days.to_numpy()
        return days, self.series.get_indexer(pd.MultiIndex.from_frame(rows[self.names]))

    def mean(self, days: Array, series: Array, of: int) -> Array:
        """The mean over so many days up to each; what is known of them, NaN if nothing."""
        found = [self.on(days - back, series) for back in range(of)]
        seen = np.isfinite(found).sum(axis=0)
        return np.where(seen, np.nansum(found, axis=0) / np.maximum(seen, 1), np.nan)

    def on(self, days: Array, series: Array) -> Array:
        """What was sold on each day; NaN before the first and after the last."""
        known = (days >= 0) & (days < len(self.sold))
        return np.where(known, self.sold[np.clip(days, 0, len(self.sold) - 1), series], np.nan)


def teams(file: CompetitionFile, train: pd.DataFrame) -> Iterator[Team]:
    """Those that forecast a competition's series.

    Args:
        file: The competition.
        train: Its training rows, by date.
    """
    known = _history(file, train)
    again = Features("the same weekday, latest first", lambda: _of(_again, known), ("KNeigh",))
    season = Features("the same weekday and season", lambda: _of(_season, known), ("KNeigh",))
    calendar = Features("plan and calendar", lambda: _calendar(known), ("Ridge", "log R", "Dummy"))
    dates = Features("plan and dates", lambda: _of(_dated, known), TREES)
    lags = Features("plan, dates and lags", lambda: _of(_lagged, known), (*TREES, "log Ridge"))
    yield from crossed((again, season), _models(), shares=(1.0,))
    yield from crossed((calendar, dates, lags), _models(), shares=SHARES)


def _models() -> Models:
    fixed = {"random_state": (SEED,)}
    yield from settings("dummy.DummyRegressor", strategy=("median",))
    yield from settings("neighbors.KNeighborsRegressor", n_neighbors=(1, 4, 8, 26))
    forests = {"n_estimators": (80,), "min_samples_leaf": (3,), **fixed}
    fitted = [
        *settings("linear_model.Ridge", alpha=(1.0, 100.0)),
        *settings("ensemble.ExtraTreesRegressor", **forests),
        *settings(
            "ensemble.HistGradientBoostingRegressor",
            learning_rate=(0.1,), max_iter=(60, 200), max_leaf_nodes=(16,), **fixed,
        ),
    ]  # fmt: skip
    yield from fitted
    for name, model in fitted:
        yield f"log {name}", partial(_logarithmic, model)


def _logarithmic(model: Any) -> Model:  # noqa: ANN401 - makes an estimator
    transformed = sklearn("compose.TransformedTargetRegressor")
    return transformed(model(), func=np.log1p, inverse_func=np.expm1)


def _history(file: CompetitionFile, train: pd.DataFrame) -> History:
    names = [str(file.origin.source.settings["place"]), "product"]
    sold = train.pivot_table(values=file.form.targets[0], index="date", columns=names)
    ahead = round(len(sold) * file.origin.split.test / (1 - file.origin.split.test))
    return History(
        names,
        pd.MultiIndex.from_tuples(list[Any](sold.columns)),
        pd.Timestamp(str(sold.index[0])),
        np.log1p(sold.to_numpy()),
        WEEK * -(-ahead // WEEK),
    )


def _of(look: Any, known: History) -> Model:  # noqa: ANN401 - a function of rows
    return PIPELINE.make_pipeline(
        PREPROCESSING.FunctionTransformer(partial(look, known=known)),
        IMPUTE.SimpleImputer(strategy="median"),
    )


def _again(rows: pd.DataFrame, known: History) -> Array:
    """Rows whose neighbours are the latest days of their series and weekday."""
    days, series = known.numbers(rows)
    return np.stack([FAR * series, FAR * (days % WEEK), days], axis=1)


def _season(rows: pd.DataFrame, known: History) -> Array:
    """Rows whose neighbours are the days at that time of any year."""
    days, series = known.numbers(rows)
    turn = 2 * np.pi * days / YEAR
    return np.stack(
        [FAR * series, FAR * (days % WEEK), YEAR * np.cos(turn), YEAR * np.sin(turn)], axis=1
    )


def _calendar(known: History) -> Model:
    """Columns of zeros and ones: series by weekday, series by month, series by plan."""

    def seen(rows: pd.DataFrame) -> pd.DataFrame:
        days, series = known.numbers(rows)
        month = pd.to_datetime(rows["date"]).dt.month.to_numpy()
        planned = rows["promotion"].to_numpy() + 2 * rows["holiday"].to_numpy()
        crossings = {"weekday": days % WEEK, "month": month, "planned": planned}
        table = {key: series * 100 + value for key, value in crossings.items()}
        return pd.DataFrame({**table, "days": days, "price": np.log(rows["price"].to_numpy())})

    encoder = PREPROCESSING.OneHotEncoder(handle_unknown="ignore")
    chosen = COMPOSE.make_column_transformer(
        (encoder, ["weekday", "month", "planned"]),
        (PREPROCESSING.StandardScaler(), ["days", "price"]),
    )
    return PIPELINE.make_pipeline(PREPROCESSING.FunctionTransformer(seen), chosen)


def _dated(rows: pd.DataFrame, known: History) -> Array:
    days, series = known.numbers(rows)
    of_year = pd.to_datetime(rows["date"]).dt.day_of_year.to_numpy()
    level = np.nanmean(known.sold, axis=0)[series]
    plan = rows[PLAN].to_numpy(dtype=float)
    return np.column_stack([plan, series, level, days, days % WEEK, of_year])


def _lagged(rows: pd.DataFrame, known: History) -> Array:
    days, series = known.numbers(rows)
    weekly = [known.on(days - known.gap - WEEK * back, series) for back in range(WEEKS_BACK)]
    recent = [known.mean(days - known.gap, series, of) for of in (WEEK, 4 * WEEK, 13 * WEEK)]
    year = WEEK * (YEAR // WEEK)
    then = known.mean(days - year + WEEK, series, 2 * WEEK)
    before = known.mean(days - year - known.gap, series, 4 * WEEK)
    return np.column_stack([_dated(rows, known), *weekly, *recent, then, then - before])
