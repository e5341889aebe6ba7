"""Scans of handwritten digits: loading, splitting, nudging."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sorter.settings import DataSettings

SIDE = 8
"""Scans are SIDE x SIDE pixels, stored row by row."""

FULL_INK = 16.0
"""The darkest pixel that the scanner reports; 0 is blank paper."""


@dataclass(frozen=True)
class Scans:
    """Scanned digits and where their parcels go."""

    images: np.ndarray
    """(n, 64) ink levels from 0 to FULL_INK."""
    chutes: np.ndarray
    """(n,) chute numbers."""


def load_scans(settings: DataSettings) -> Scans:
    """The labelled scans of the main depot, under its chute plan."""
    digits = load_digits()
    return Scans(images=digits.data, chutes=np.asarray(settings.plan)[digits.target])


def split(scans: Scans, settings: DataSettings) -> tuple[Scans, Scans]:
    """Split into training and held-out scans, every chute in the same proportion."""
    train, heldout = train_test_split(
        np.arange(len(scans.chutes)),
        test_size=settings.heldout_share,
        stratify=scans.chutes,
        random_state=settings.seed,
    )
    return (
        Scans(scans.images[train], scans.chutes[train]),
        Scans(scans.images[heldout], scans.chutes[heldout]),
    )


def nudge(images: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Move a share of the images by up to one pixel each way; blank paper moves in.

    Labels are never glued on quite straight, and the crop follows the label.
    """
    n = len(images)
    moved = rng.random(n) < share
    down, right = rng.integers(-1, 2, size=(2, n)) * moved
    padded = np.pad(images.reshape(n, SIDE, SIDE), ((0, 0), (1, 1), (1, 1)))
    rows = np.arange(SIDE) + 1 - down[:, None]
    columns = np.arange(SIDE) + 1 - right[:, None]
    return padded[np.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]].reshape(n, -1)
