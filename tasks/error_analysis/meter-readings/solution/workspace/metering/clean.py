"""Which days of the history the model may learn from."""

from __future__ import annotations

import pandas as pd

from metering.readings import DRIVERS, TARGET

WIDTH = 6.0
"""Robust standard deviations from the median that a reading may lie; ship days reach 3.4."""

MAD_TO_SIGMA = 1.4826
"""Standard deviation of a normal distribution per median absolute deviation."""


def usable_days(history: pd.DataFrame) -> pd.DataFrame:
    """Return the days with a complete and believable reading, in their order."""
    complete = history.dropna(subset=[*DRIVERS, TARGET])
    return complete[_believable(complete[TARGET])].reset_index(drop=True)


def _believable(reading: pd.Series) -> pd.Series:
    """Tell which daily totals can be consumption: true for each reading that can.

    Centre and scale are medians: a single failed register (4 million MWh) widens a band made of
    mean and standard deviation until every other misread day fits into it.
    """
    distance = (reading - reading.median()).abs()
    return distance <= WIDTH * MAD_TO_SIGMA * distance.median()
