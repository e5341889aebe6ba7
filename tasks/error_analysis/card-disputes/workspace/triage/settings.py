"""The settings in config.toml, read once and passed around as values."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Search:
    """Which scorecards are compared, and how."""

    strengths: tuple[float, ...]
    """Inverse regularisation, as in `LogisticRegression(C=...)`."""
    dispute_weights: tuple[float, ...]
    """How many times a disputed transaction counts in the fit; an undisputed one counts once."""
    n_folds: int
    seed: int


@dataclass(frozen=True)
class Settings:
    transactions: Path
    held_out_from_day: int
    search: Search


def load_settings(path: Path = ROOT / "config.toml") -> Settings:
    """Read the settings; the data path is relative to the file."""
    raw = tomllib.loads(path.read_text("utf-8"))
    search = raw["search"]
    return Settings(
        transactions=path.parent / raw["data"]["transactions"],
        held_out_from_day=int(raw["data"]["held_out_from_day"]),
        search=Search(
            strengths=tuple(float(value) for value in search["strengths"]),
            dispute_weights=tuple(float(value) for value in search["dispute_weights"]),
            n_folds=int(search["n_folds"]),
            seed=int(search["seed"]),
        ),
    )
