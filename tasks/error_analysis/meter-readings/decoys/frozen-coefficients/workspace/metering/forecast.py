"""The forecast that the trading desk and the nightly job call."""

from __future__ import annotations

import numpy as np
import pandas as pd

from metering.features import build_features

INTERCEPT_MWH = 289.98
COEFFICIENTS = {
    "heating_degrees": 7.51,
    "heating_wind": 0.27,
    "cooling_degrees": 5.48,
    "years": 4.77,
    "season_sin": -2.98,
    "season_cos": 16.60,
    "holiday": -47.43,
    "tue": 1.30,
    "wed": 5.41,
    "thu": 2.32,
    "fri": -5.17,
    "sat": -34.73,
    "sun": -55.03,
    "ships": 52.23,
}
"""From a hand-checked fit on the days before July 2024."""


def fit_predict(history: pd.DataFrame, upcoming: pd.DataFrame) -> np.ndarray:
    """Forecast every row of `upcoming` with the coefficients of the checked fit.

    Args:
        history: Daily readings in date order: date, temp_c, wind_ms, holiday, ships,
            consumption_mwh. Days may be absent.
        upcoming: The same columns but for consumption_mwh; any number of days.

    Returns:
        Consumption in MWh, shape ``(len(upcoming),)``, in the order of `upcoming`.
    """
    features = build_features(upcoming)
    load = INTERCEPT_MWH + features @ pd.Series(COEFFICIENTS)[list(features)]
    return load.to_numpy(dtype=float)
