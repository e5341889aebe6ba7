"""What the depots import: fit a sorter on labelled scans, predict chutes for new ones."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from sorter.data import FULL_INK, nudge
from sorter.network import Network
from sorter.optimiser import Descent, Schedule
from sorter.settings import TrainingSettings, load_settings


@dataclass(frozen=True)
class EpochRecord:
    """How one pass over the scans went, nudges and dropout included."""

    epoch: int
    loss: float
    accuracy: float


@dataclass
class Sorter:
    """A fitted sorter."""

    network: Network
    paper: np.ndarray
    """(64,) the mean training scan, taken off every scan."""
    chutes: np.ndarray
    """(n_classes,) the chute number of each output of the network."""
    history: list[EpochRecord] = field(default_factory=list)

    def features(self, images: np.ndarray) -> np.ndarray:
        """What the network sees of (n, 64) scans."""
        return (images - self.paper) / FULL_INK


def batches(n: int, size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Row numbers 0 to n - 1 in random order, at most `size` at a time."""
    order = rng.permutation(n)
    for start in range(0, n, size):
        yield order[start : start + size]


def train(
    sorter: Sorter,
    images: np.ndarray,
    classes: np.ndarray,
    settings: TrainingSettings,
    rng: np.random.Generator,
) -> None:
    """Fit the sorter's network in place and record every epoch."""
    steps_per_epoch = math.ceil(len(images) / settings.batch_size)
    schedule = Schedule(
        peak=settings.peak_rate,
        floor=settings.floor_rate,
        warmup=settings.warmup * steps_per_epoch,
        length=settings.epochs * steps_per_epoch,
    )
    descent = Descent(sorter.network.parameters, schedule, settings.weight_decay)
    for epoch in range(1, settings.epochs + 1):
        loss, hits = 0.0, 0
        for rows in batches(len(images), settings.batch_size, rng):
            scans = nudge(images[rows], settings.nudge_share, rng)
            result = sorter.network.backward(sorter.features(scans), classes[rows])
            descent.step(result.gradients)
            loss += result.loss * len(rows)
            hits += result.hits
        sorter.history.append(EpochRecord(epoch, loss / len(images), hits / len(images)))


def fit(images: np.ndarray, labels: np.ndarray) -> Sorter:
    """Fit a sorter.

    Args:
        images: (n, 64) ink levels from 0 to 16.
        labels: (n,) chute numbers, any integers.
    """
    settings = load_settings()
    rng = np.random.default_rng(settings.training.seed)
    images = np.asarray(images, dtype=np.float64)
    chutes, classes = np.unique(np.asarray(labels), return_inverse=True)
    network = Network(
        n_features=images.shape[1],
        n_hidden=settings.network.hidden_units,
        n_classes=len(chutes),
        dropout=settings.network.dropout,
        rng=rng,
    )
    sorter = Sorter(network=network, paper=images.mean(axis=0), chutes=chutes)
    train(sorter, images, classes, settings.training, rng)
    return sorter


def predict(model: Sorter, images: np.ndarray) -> np.ndarray:
    """(n,) chute numbers for (n, 64) scans."""
    scores = model.network.scores(model.features(np.asarray(images, dtype=np.float64)))
    return model.chutes[scores.argmax(axis=1)]
