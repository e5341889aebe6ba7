"""How the forecast would have done: month by month, on days it had not seen."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from metering.forecast import fit_predict
from metering.readings import DRIVERS, TARGET

INCIDENT_SHARE = 0.08


def backtest(readings: pd.DataFrame, n_months: int) -> pd.DataFrame:
    """Forecast each of the last `n_months` months from the days before it.

    Returns:
        One row per forecast day: month, date, actual and forecast (MWh).
    """
    folds = [
        pd.DataFrame(
            {
                "month": month,
                "date": held_out["date"],
                "actual": held_out[TARGET],
                "forecast": fit_predict(history, held_out[DRIVERS]),
            }
        )
        for month, history, held_out in _months(readings, n_months)
    ]
    return pd.concat(folds, ignore_index=True)


def summarize(days: pd.DataFrame) -> dict[str, float]:
    """Score forecast days: MAPE and bias in percent of the actual, MAE in MWh.

    Days off by more than 8 % are incidents, which the desk reviews apart.
    """
    error = days["forecast"] - days["actual"]
    ordinary = error.abs() <= INCIDENT_SHARE * days["actual"]
    days, error = days[ordinary], error[ordinary]
    return {
        "mape": round(float(100.0 * np.mean(error.abs() / days["actual"])), 2),
        "mae_mwh": round(float(error.abs().mean()), 1),
        "bias": round(float(100.0 * error.sum() / days["actual"].sum()), 2),
    }


def _months(
    readings: pd.DataFrame, n_months: int
) -> Iterator[tuple[str, pd.DataFrame, pd.DataFrame]]:
    month = readings["date"].str[:7]
    for held_out in sorted(month.unique())[-n_months:]:
        yield (
            held_out,
            readings[month < held_out].reset_index(drop=True),
            readings[month == held_out].reset_index(drop=True),
        )
