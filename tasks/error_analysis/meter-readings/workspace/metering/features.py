"""From a day's weather, calendar and berth plan to the model's inputs."""

from __future__ import annotations

import numpy as np
import pandas as pd

HEATING_LIMIT_C = 15.5
"""Below this outdoor temperature the district heats."""

COOLING_LIMIT_C = 21.0
"""Above it, the offices and the cold store cool."""

EPOCH = pd.Timestamp("2020-01-01")
DAYS_PER_YEAR = 365.25


def build_features(days: pd.DataFrame) -> pd.DataFrame:
    """Compute the model's inputs, one row per day.

    Every column depends on its own day alone, so a single upcoming day gets the same values as
    that day within a longer table.
    """
    weather = _weather(days)
    calendar = _calendar(days)
    features = pd.concat([weather, calendar], axis=1)
    return features.assign(ships=days["ships"].astype(float))


def _weather(days: pd.DataFrame) -> pd.DataFrame:
    heating_degrees = (HEATING_LIMIT_C - days["temp_c"]).clip(lower=0.0)
    return pd.DataFrame(
        {
            "heating_degrees": heating_degrees,
            "heating_wind": heating_degrees * days["wind_ms"],
            "cooling_degrees": (days["temp_c"] - COOLING_LIMIT_C).clip(lower=0.0),
        },
        index=days.index,
    )


def _calendar(days: pd.DataFrame) -> pd.DataFrame:
    date = pd.to_datetime(days["date"])
    angle = 2.0 * np.pi * date.dt.dayofyear / DAYS_PER_YEAR
    columns = {
        "years": (date - EPOCH).dt.days / DAYS_PER_YEAR,
        "season_sin": np.sin(angle),
        "season_cos": np.cos(angle),
        "holiday": days["holiday"].astype(float),
    }
    # Monday is the reference. The other six always exist, whatever days the table holds.
    for weekday, name in enumerate(("tue", "wed", "thu", "fri", "sat", "sun"), start=1):
        columns[name] = (date.dt.dayofweek == weekday).astype(float)
    return pd.DataFrame(columns, index=days.index)
