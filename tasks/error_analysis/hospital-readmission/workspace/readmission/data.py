"""Reading the discharge extract, and cutting it by time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

OUTCOME = "readmitted_30d"


def read_discharges(path: Path) -> pd.DataFrame:
    """Read the extract: one row per discharge, oldest first, `discharged_on` as a timestamp."""
    frame = pd.read_csv(path, parse_dates=["discharged_on"])
    return frame.sort_values(["discharged_on", "patient_id"], ignore_index=True)


def split_outcome(frame: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    """Part the outcome (0 or 1, shape (n,)) from what is known on the day of discharge."""
    return frame.drop(columns=OUTCOME), frame[OUTCOME].to_numpy(dtype=np.int64)


def split_quarter(
    discharges: pd.DataFrame, quarter: str, follow_up_days: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Cut out a quarter, as the model meets it when it goes live on the quarter's first day.

    Args:
        discharges: The whole extract.
        quarter: Such as "2025Q3".
        follow_up_days: Days after which a discharge's outcome is complete.

    Returns:
        The discharges whose outcome is complete when the quarter begins, and the quarter's own.
    """
    period = pd.Period(quarter, freq="Q")
    known_until = period.start_time - pd.Timedelta(days=follow_up_days)
    before = discharges["discharged_on"] < known_until
    within = discharges["discharged_on"].between(period.start_time, period.end_time)
    return discharges[before], discharges[within]


def earlier_quarters(quarter: str, count: int) -> list[str]:
    """Name the `count` quarters before `quarter`, oldest first."""
    last = pd.Period(quarter, freq="Q")
    return [str(last - back) for back in range(count, 0, -1)]
