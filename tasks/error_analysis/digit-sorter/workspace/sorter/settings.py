"""The settings of a run, read from config.toml."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

CONFIG = Path(__file__).resolve().parent.parent / "config.toml"


@dataclass(frozen=True)
class DataSettings:
    """Where scans go and how they are split."""

    heldout_share: float
    seed: int
    plan: list[int]
    """The chute of each digit, 0 to 9."""


@dataclass(frozen=True)
class NetworkSettings:
    """The shape of the network."""

    hidden_units: int
    dropout: float


@dataclass(frozen=True)
class TrainingSettings:
    """How the network is fitted."""

    epochs: int
    warmup: int
    batch_size: int
    peak_rate: float
    floor_rate: float
    weight_decay: float
    nudge_share: float
    seed: int


@dataclass(frozen=True)
class Settings:
    """One section of config.toml each."""

    data: DataSettings
    network: NetworkSettings
    training: TrainingSettings


def load_settings(path: Path = CONFIG) -> Settings:
    """Read the settings; an unknown or missing key is a TypeError."""
    sections = tomllib.loads(path.read_text("utf-8"))
    return Settings(
        data=DataSettings(**sections["data"]),
        network=NetworkSettings(**sections["network"]),
        training=TrainingSettings(**sections["training"]),
    )
