"""The settings in config.toml, typed."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class DataSettings:
    """Where completed sales come from and which of them count."""

    sold_csv: str
    min_price_gbp: int
    max_mileage: int


@dataclass(frozen=True)
class RegressorSettings:
    """How the boosted trees are grown."""

    max_iter: int
    learning_rate: float
    max_leaf_nodes: int
    min_samples_leaf: int
    l2_regularization: float
    seed: int


@dataclass(frozen=True)
class BacktestSettings:
    """How far back the monthly review looks."""

    n_months: int


@dataclass(frozen=True)
class Settings:
    """Everything in config.toml."""

    data: DataSettings
    regressor: RegressorSettings
    backtest: BacktestSettings


def load_settings(path: Path = ROOT / "config.toml") -> Settings:
    """Read the settings file; an unknown or missing key is a TypeError."""
    raw = tomllib.loads(path.read_text("utf-8"))
    return Settings(
        data=DataSettings(**raw["data"]),
        regressor=RegressorSettings(**raw["regressor"]),
        backtest=BacktestSettings(**raw["backtest"]),
    )
