"""Completed sales, as the dealer management system exports them."""

from __future__ import annotations

import pandas as pd

from pricing.settings import ROOT, DataSettings

PRICE = "price_gbp"
MONTH = "sold_month"


def load_sold(settings: DataSettings) -> pd.DataFrame:
    """Load the completed sales, oldest month first, without salvage lots and odometer slips."""
    sold = pd.read_csv(ROOT / settings.sold_csv)
    plausible = (sold[PRICE] >= settings.min_price_gbp) & (sold["mileage"] <= settings.max_mileage)
    return sold[plausible].sort_values(MONTH, kind="stable").reset_index(drop=True)


def split_month(sold: pd.DataFrame, month: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split into the sales before `month` ("YYYY-MM") and those of that month."""
    return sold[sold[MONTH] < month], sold[sold[MONTH] == month]
