"""From the columns of a stock list to the columns the regressor reads."""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True)
class LabelBook:
    """Which number stands for which label: settled once, by the sales, for every later list."""

    labels: dict[str, list[str]]

    @classmethod
    def of(cls, sold: pd.DataFrame) -> LabelBook:
        """List the labels that occur in `sold`."""
        return cls({name: sorted(tidy_labels(sold[name]).unique()) for name in LABELLED})

    def table(self, cars: pd.DataFrame) -> pd.DataFrame:
        """Return the labelled columns as whole numbers.

        Raises:
            KeyError: A label is not in the book.
        """
        columns = {
            name: [labels.index(label) for label in self.known(name, cars)]
            for name, labels in self.labels.items()
        }
        return pd.DataFrame(columns, index=cars.index)

    def known(self, name: str, cars: pd.DataFrame) -> list[str]:
        """Return the tidy labels of one column, all of which must be in the book."""
        labels = tidy_labels(cars[name]).tolist()
        unknown = set(labels) - set(self.labels[name])
        if unknown:
            raise KeyError(f"{name} was never sold: {sorted(unknown)}")
        return labels


def feature_table(cars: pd.DataFrame, book: LabelBook) -> pd.DataFrame:
    """Return one row per car, in the order given, on a fresh index."""
    table = pd.concat([wear_table(cars), book.table(cars)], axis=1)
    return table.reset_index(drop=True)
