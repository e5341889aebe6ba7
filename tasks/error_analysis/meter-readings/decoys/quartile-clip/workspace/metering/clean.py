"""Which days of the history the model may learn from."""

from __future__ import annotations

import pandas as pd

from metering.readings import DRIVERS, TARGET

LOWEST, HIGHEST = 0.25, 0.75
"""Quantiles of the readings that bound what the model learns from."""


def usable_days(history: pd.DataFrame) -> pd.DataFrame:
    """Return the days with a complete reading, in their order, held within the usual band."""
    complete = history.dropna(subset=[*DRIVERS, TARGET])
    reading = complete[TARGET]
    held = reading.clip(reading.quantile(LOWEST), reading.quantile(HIGHEST))
    return complete.assign(**{TARGET: held}).reset_index(drop=True)
