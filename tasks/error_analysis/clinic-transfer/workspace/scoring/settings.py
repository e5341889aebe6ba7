"""The settings of one run, read from config.toml."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

CONFIG = Path(__file__).resolve().parent.parent / "config.toml"


@dataclass(frozen=True)
class Settings:
    """Everything that config.toml decides."""

    seed: int
    clip_quantile: float
    compress: tuple[str, ...]
    inverse_penalty: float
    max_iterations: int
    refer_at: float
    folds: int


def load_settings(path: Path = CONFIG) -> Settings:
    """Read the settings.

    Raises:
        ValueError: A quantile or a threshold is outside its range.
    """
    with path.open("rb") as file:
        raw = tomllib.load(file)
    settings = Settings(
        seed=int(raw["clinics"]["seed"]),
        clip_quantile=float(raw["features"]["clip_quantile"]),
        compress=tuple(raw["features"]["compress"]),
        inverse_penalty=float(raw["model"]["inverse_penalty"]),
        max_iterations=int(raw["model"]["max_iterations"]),
        refer_at=float(raw["evaluation"]["refer_at"]),
        folds=int(raw["evaluation"]["folds"]),
    )
    if not 0.0 <= settings.clip_quantile < 0.5:
        raise ValueError(f"clip_quantile is {settings.clip_quantile}, expected 0 to 0.5")
    if not 0.0 < settings.refer_at < 1.0:
        raise ValueError(f"refer_at is {settings.refer_at}, expected a probability")
    return settings
