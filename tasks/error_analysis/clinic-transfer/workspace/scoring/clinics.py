"""The study's records: the public Wisconsin aspirates, dealt to four clinics.

The public set says nothing of where a patient was seen, so the study deals its 569 records:
benign and malignant ones are shuffled apart with the seed of config.toml, each clinic takes the
next records of either pile as `CASE_MIX` says, shuffles them together and works through them in
worklists of `WORKLIST` patients. Every record goes to exactly one clinic.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer

TRAINING_CLINIC = "northgate"

CASE_MIX = {
    "northgate": (120, 70),  # general hospital
    "harbour": (160, 20),  # screening
    "ridgeway": (18, 92),  # referral centre
    "lakeside": (59, 30),  # outreach, a few patients a day
}
"""Benign and malignant records of each clinic."""

WORKLIST = {"northgate": 38, "harbour": 20, "ridgeway": 11, "lakeside": 6}
"""Patients on one worklist; a clinic's last one may be shorter."""

UNREADABLE = {"lakeside": "fractal_dimension"}
"""What a clinic's older scanner cannot measure on every fourth patient: the cells are empty."""


@dataclass(frozen=True)
class Clinic:
    """One clinic's records in the order in which they were seen."""

    name: str
    measurements: pd.DataFrame
    labels: np.ndarray
    """1 for malignant, 0 for benign; `(n_patients,)`."""

    def worklists(self) -> list[slice]:
        """Rows of each worklist, in order."""
        size = WORKLIST[self.name]
        return [slice(start, start + size) for start in range(0, len(self.labels), size)]


def column_name(name: str) -> str:
    """Rename scikit-learn's `mean radius`, `radius error`, `worst radius` to one pattern."""
    if name.endswith(" error"):
        name = f"se {name.removesuffix(' error')}"
    return name.replace(" ", "_")


def load_clinics(seed: int) -> dict[str, Clinic]:
    """Deal the records to the clinics."""
    bunch = load_breast_cancer(as_frame=True)
    measurements = bunch.data.rename(columns=column_name)
    malignant = (bunch.target == 0).to_numpy().astype(np.int64)
    rng = np.random.default_rng(seed)
    piles = [rng.permutation(np.flatnonzero(malignant == label)) for label in (0, 1)]

    clinics = {}
    for name, counts in CASE_MIX.items():
        taken = [pile[:count] for pile, count in zip(piles, counts, strict=True)]
        piles = [pile[count:] for pile, count in zip(piles, counts, strict=True)]
        rows = rng.permutation(np.concatenate(taken))
        seen = measurements.iloc[rows].reset_index(drop=True)
        clinics[name] = Clinic(name, _without_unreadable(seen, name), malignant[rows])
    return clinics


def _without_unreadable(seen: pd.DataFrame, clinic: str) -> pd.DataFrame:
    if clinic not in UNREADABLE:
        return seen
    lost = [column for column in seen.columns if column.endswith(UNREADABLE[clinic])]
    seen.loc[seen.index % 4 == 3, lost] = np.nan
    return seen
