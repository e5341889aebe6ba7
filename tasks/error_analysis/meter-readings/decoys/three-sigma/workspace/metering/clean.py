"""Which days of the history the model may learn from."""

from __future__ import annotations

import pandas as pd

from metering.readings import DRIVERS, TARGET

WIDTH = 3.0
"""Standard deviations from the mean that a reading may lie; ship days reach 3.4."""


def usable_days(history: pd.DataFrame) -> pd.DataFrame:
    """Return the days with a complete and believable reading, in their order."""
    complete = history.dropna(subset=[*DRIVERS, TARGET])
    return complete[_believable(complete[TARGET])].reset_index(drop=True)


def _believable(reading: pd.Series) -> pd.Series:
    """Tell which daily totals can be consumption: true for each reading that can."""
    distance = (reading - reading.mean()).abs()
    return distance <= WIDTH * reading.std()
