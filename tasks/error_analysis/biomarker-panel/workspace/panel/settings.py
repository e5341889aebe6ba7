"""The analysis plan's numbers, read from config.json."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

CONFIG = Path(__file__).resolve().parent.parent / "config.json"


@dataclass(frozen=True)
class Settings:
    """One analysis plan."""

    min_detection: float
    """Share of patients in whom a protein must be above its detection limit."""
    n_resamples: int
    """Half samples drawn for the screen."""
    top_per_resample: int
    """Proteins that count as leading in one half sample."""
    n_candidates: int
    """Proteins that the screen passes on."""
    panel_size: int
    """Proteins in a panel."""
    max_correlation: float
    """Two proteins correlated beyond this do not share a panel."""
    inverse_penalty: float
    """scikit-learn's ``C`` of the logistic model."""
    threshold: float
    """Score from which a patient is called a rejection."""
    seed: int

    @classmethod
    def load(cls, path: Path = CONFIG) -> Settings:
        """Read the settings of a config file."""
        return cls(**json.loads(path.read_text("utf-8")))
