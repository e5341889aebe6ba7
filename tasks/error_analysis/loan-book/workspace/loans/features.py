"""From applications to the numbers that the trees split on."""

from __future__ import annotations

import numpy as np
import pandas as pd

NUMBERS = [
    "amount",
    "term_months",
    "income",
    "debt_service",
    "utilisation",
    "file_age_months",
    "employment_years",
    "savings_ratio",
    "inquiries_6m",
    "open_lines",
    *(f"vendor_{number:02d}" for number in range(1, 11)),
]

CATEGORIES = {
    "purpose": ("car", "debt", "home", "medical", "other"),
    "channel": ("branch", "broker", "online"),
    "region": ("capital", "east", "north", "south", "west"),
}

NEVER_LATE_MONTHS = 240
"""Stands for "no late payment on file": twenty years, which is longer than the bureau keeps one."""


def build_matrix(frame: pd.DataFrame) -> np.ndarray:
    """Return the features of each application, `(n_loans, 37)` of float.

    A category that is not listed above gets no flag of its own.
    """
    columns = {name: frame[name].to_numpy(dtype=float) for name in NUMBERS}
    late = frame["months_since_late"]
    columns["ever_late"] = late.notna().to_numpy(dtype=float)
    columns["months_since_late"] = late.fillna(NEVER_LATE_MONTHS).to_numpy(dtype=float)
    income = frame["income"].clip(lower=1)
    instalment = frame["amount"] / frame["term_months"]
    columns["instalment_share"] = (instalment / income).to_numpy(dtype=float)
    columns["amount_share"] = (frame["amount"] / income).to_numpy(dtype=float)
    for name, levels in CATEGORIES.items():
        for level in levels:
            columns[f"{name}_{level}"] = (frame[name] == level).to_numpy(dtype=float)
    return np.column_stack(list(columns.values()))
