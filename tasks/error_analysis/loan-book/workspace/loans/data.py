"""The loan book: one row per loan, in order of origination."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

OUTCOME = "defaulted"
KEYS = ["loan_id", "originated"]


def load_book(path: Path) -> pd.DataFrame:
    """Read the book.

    Returns:
        The columns that README.md lists, `defaulted` among them; the index counts from 0.

    Raises:
        ValueError: A loan appears twice, or an outcome is neither 0 nor 1.
    """
    book = pd.read_csv(path)
    if book["loan_id"].duplicated().any():
        raise ValueError(f"{path}: some loans appear twice")
    if not book[OUTCOME].isin([0, 1]).all():
        raise ValueError(f"{path}: outcomes must be 0 or 1")
    return book.sort_values(["originated", "loan_id"], ignore_index=True)


def split_by_month(book: pd.DataFrame, first_new: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Part the book in time.

    Args:
        book: As `load_book` returns it.
        first_new: The month, as `YYYY-MM`, with which the second part begins.

    Returns:
        The loans originated before that month, and the others. The index of both counts from 0.
    """
    new = book["originated"] >= first_new
    return book[~new].reset_index(drop=True), book[new].reset_index(drop=True)


def part_outcome(part: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    """Return what is known at application, and the outcome, `(n_loans,)` of 0 and 1."""
    return part.drop(columns=OUTCOME), part[OUTCOME].to_numpy(dtype=int)
