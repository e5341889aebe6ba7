"""The monthly review: price each recent month from the months before it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pricing.model import fit_predict
from pricing.sales import MONTH, PRICE, split_month


@dataclass(frozen=True)
class MonthReview:
    """How far the prices of one month's cars were off."""

    month: str
    n_cars: int
    mean_price_gbp: float
    mae_gbp: float


def review_month(sold: pd.DataFrame, month: str) -> MonthReview:
    """Price the cars sold in `month` from all earlier sales."""
    earlier, current = split_month(sold, month)
    predicted = fit_predict(earlier, current.drop(columns=[MONTH, PRICE]))
    actual = current[PRICE].to_numpy(dtype=float)
    return MonthReview(
        month=month,
        n_cars=len(current),
        mean_price_gbp=round(float(actual.mean()), 1),
        mae_gbp=round(float(np.mean(np.abs(predicted - actual))), 1),
    )


def review_recent(sold: pd.DataFrame, n_months: int) -> list[MonthReview]:
    """Review the last `n_months` months, oldest first."""
    months = sorted(sold[MONTH].unique())[-n_months:]
    return [review_month(sold, month) for month in months]


def in_sample_mae(sold: pd.DataFrame, month: str) -> float:
    """Return the MAE in pounds on the very sales that the prices of `month` are learnt from."""
    earlier, _ = split_month(sold, month)
    predicted = fit_predict(earlier, earlier.drop(columns=[MONTH, PRICE]))
    return float(np.mean(np.abs(predicted - earlier[PRICE].to_numpy(dtype=float))))
