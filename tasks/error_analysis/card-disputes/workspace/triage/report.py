"""The numbers that the dashboard and the disputes desk read."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Flags = npt.NDArray[np.int64]

FIRST_DAY_OF_MONTH = {"October": 273, "November": 304, "December": 334}


def accuracy(disputed: Flags, flags: Flags) -> float:
    """Share of transactions for which the flag agrees with the outcome."""
    return float(np.mean(flags == disputed))


def mean_hit_rate(disputed: Flags, flags: Flags) -> float:
    """Mean of two shares: disputed transactions flagged, undisputed ones left alone."""
    found = np.mean(flags[disputed == 1] == 1)
    left_alone = np.mean(flags[disputed == 0] == 0)
    return float((found + left_alone) / 2)


def accuracy_by_month(day: Flags, disputed: Flags, flags: Flags) -> dict[str, float]:
    """Accuracy in each month of the held-out quarter, in order."""
    starts = list(FIRST_DAY_OF_MONTH.values())
    month = np.searchsorted(starts, day, side="right") - 1
    return {
        name: round(accuracy(disputed[month == index], flags[month == index]), 4)
        for index, name in enumerate(FIRST_DAY_OF_MONTH)
    }
