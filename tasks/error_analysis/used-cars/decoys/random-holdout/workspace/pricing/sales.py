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
    """Split the sales up to `month` at random, as many held out as that month has."""
    so_far = sold[sold[MONTH] <= month]
    held_out = so_far.sample(int((so_far[MONTH] == month).sum()), random_state=11).index
    return so_far.drop(index=held_out), so_far.loc[held_out]
