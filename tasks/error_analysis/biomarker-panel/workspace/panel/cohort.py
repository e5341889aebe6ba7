"""The cohort as it comes from the assay lab, brought to one scale across plates."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

DATA = Path(__file__).resolve().parent.parent / "data"
POOL_PREFIX = "POOL"


@dataclass(frozen=True)
class Cohort:
    """Patients in one order throughout."""

    markers: pd.DataFrame
    """NPX (log2) per patient and protein; NaN below the detection limit."""
    outcome: np.ndarray
    """1 for biopsy-proven rejection within 90 days, else 0."""
    folds: np.ndarray
    """The validation fold of each patient, 1 to 5."""
    sites: np.ndarray
    """The transplant centre of each patient."""


def load_cohort(directory: Path = DATA) -> Cohort:
    """Read the assay and patient tables and align them."""
    npx = pd.read_csv(directory / "npx.csv", index_col="sample")
    patients = pd.read_csv(directory / "patients.csv", index_col="patient")
    plates = npx.pop("plate")
    markers = bridge_plates(npx, plates).loc[patients.index]
    return Cohort(
        markers=markers,
        outcome=patients["rejection"].to_numpy(),
        folds=patients["fold"].to_numpy(),
        sites=patients["site"].to_numpy(),
    )


def bridge_plates(npx: pd.DataFrame, plates: pd.Series) -> pd.DataFrame:
    """Remove plate offsets with the pooled-plasma wells that every plate carries.

    Args:
        npx: One row per well, pools included.
        plates: The plate of each well.

    Returns:
        The patients' wells, shifted per plate and protein so that the pools agree.
    """
    is_pool = npx.index.str.startswith(POOL_PREFIX)
    pools = npx[is_pool]
    offsets = pools.groupby(plates[is_pool]).mean() - pools.mean()
    wells = npx[~is_pool]
    shift = offsets.reindex(plates[~is_pool]).fillna(0.0)
    return wells - shift.to_numpy()
