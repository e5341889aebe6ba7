"""The table of daily readings: its columns, and how to read it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

TARGET = "consumption_mwh"
DRIVERS = ["date", "temp_c", "wind_ms", "holiday", "ships"]


def load_readings(path: Path) -> pd.DataFrame:
    """Read an export of the head-end, oldest day first.

    Raises:
        ValueError: A column is missing, or a day occurs twice.
    """
    readings = pd.read_csv(path)
    absent = [column for column in [*DRIVERS, TARGET] if column not in readings.columns]
    if absent:
        raise ValueError(f"{path} lacks the columns {absent}")
    if readings["date"].duplicated().any():
        twice = readings.loc[readings["date"].duplicated(), "date"].tolist()
        raise ValueError(f"{path} holds days twice: {twice}")
    return readings.sort_values("date", ignore_index=True)
