"""What other systems call: prices for a list of cars, learnt from completed sales."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from pricing.features import LABELLED, feature_table
from pricing.sales import PRICE
from pricing.settings import RegressorSettings, load_settings


def make_regressor(settings: RegressorSettings) -> HistGradientBoostingRegressor:
    """Build the unfitted regressor; the labelled columns are split by groups of labels."""
    return HistGradientBoostingRegressor(
        max_iter=settings.max_iter,
        learning_rate=settings.learning_rate,
        max_leaf_nodes=settings.max_leaf_nodes,
        min_samples_leaf=settings.min_samples_leaf,
        l2_regularization=settings.l2_regularization,
        categorical_features=LABELLED,
        early_stopping=False,
        random_state=settings.seed,
    )


def fit_predict(sold: pd.DataFrame, offers: pd.DataFrame) -> np.ndarray:
    """Learn from completed sales and price the cars on offer.

    Args:
        sold: Completed sales, columns as in data/sold.csv.
        offers: The cars to be priced, the same columns without the month and the price.

    Returns:
        Expected resale prices in pounds, shape (n_offers,), in the order of `offers`.
    """
    regressor = make_regressor(load_settings().regressor)
    # One thread: the review runs beside the web shop, whose cores OpenMP's waiting threads starve.
    with threadpool_limits(limits=1):
        regressor.fit(feature_table(sold, sold), np.log(sold[PRICE].to_numpy(dtype=float)))
        return np.exp(regressor.predict(feature_table(offers, sold)))
