"""From the columns of a stock list to the columns the regressor reads."""

from __future__ import annotations

import numpy as np
import pandas as pd

LABELLED = ["make", "model", "fuel", "region", "trim"]
MEASURED = ["age_months", "mileage", "owners", "service_stamps", "condition"]


def tidy_labels(column: pd.Series) -> pd.Series:
    """Undo the capitals and stray blanks that branches type into the system."""
    return column.astype(str).str.strip().str.casefold()


def wear_table(cars: pd.DataFrame) -> pd.DataFrame:
    """Return the measured columns and what the valuers derive from them, as floats."""
    wear = cars[MEASURED].astype(float)
    years = np.maximum(wear["age_months"] / 12.0, 0.25)
    wear["miles_per_year"] = wear["mileage"] / years
    wear["stamps_per_year"] = wear["service_stamps"] / years
    wear["log_mileage"] = np.log1p(wear["mileage"])
    return wear


def label_table(cars: pd.DataFrame) -> pd.DataFrame:
    """Return the labelled columns as whole numbers, the form the trees split on."""
    labels = cars[LABELLED].apply(tidy_labels)
    return labels.apply(lambda column: column.astype("category").cat.codes)


def feature_table(cars: pd.DataFrame) -> pd.DataFrame:
    """Return one row per car, in the order given, on a fresh index."""
    table = pd.concat([wear_table(cars), label_table(cars)], axis=1)
    return table.reset_index(drop=True)
