"""The yearly extract, and its split in time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

COLUMNS = [
    "day", "hour", "amount", "category", "entry", "abroad", "tx_24h",
    "card_age_days", "merchant_age_days",
]  # fmt: skip
OUTCOME = "disputed"


@dataclass(frozen=True)
class Transactions:
    """Transactions in order of time, with what became of them."""

    frame: pd.DataFrame
    """One row each, the columns in `COLUMNS`."""
    disputed: npt.NDArray[np.int64]
    """1 where the cardholder disputed the transaction later, 0 elsewhere."""

    def where(self, mask: npt.NDArray[np.bool_]) -> Transactions:
        return Transactions(self.frame.loc[mask].reset_index(drop=True), self.disputed[mask])


def load_transactions(path: Path) -> Transactions:
    """Read the extract.

    Raises:
        ValueError: A column is missing, or a value is.
    """
    table = pd.read_csv(path)
    missing = [name for name in [*COLUMNS, OUTCOME] if name not in table.columns]
    if missing:
        raise ValueError(f"{path.name} lacks the columns {missing}")
    if bool(table.isna().any(axis=None)):
        raise ValueError(f"{path.name} has empty cells")
    table = table.sort_values("day", kind="stable")
    return Transactions(
        table[COLUMNS].reset_index(drop=True), table[OUTCOME].to_numpy(dtype=np.int64)
    )


def split_by_day(transactions: Transactions, first_day: int) -> tuple[Transactions, Transactions]:
    """Split into what happened before `first_day` and what happened from it on."""
    later = transactions.frame["day"].to_numpy() >= first_day
    return transactions.where(~later), transactions.where(later)
