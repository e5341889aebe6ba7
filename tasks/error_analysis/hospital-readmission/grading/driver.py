"""Runs the submission's interface on one case: ``python driver.py INPUT_DIR OUTPUT_DIR``."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd


def main(inputs: Path, outputs: Path) -> None:
    """Score the test frame and leave the probabilities in pred.npy."""
    sys.path.insert(0, str(Path.cwd()))
    from readmission.pipeline import fit_predict

    train = pd.read_csv(inputs / "train.csv", parse_dates=["discharged_on"])
    test = pd.read_csv(inputs / "test.csv", parse_dates=["discharged_on"])
    outcome = np.load(inputs / "outcome.npy", allow_pickle=False)
    predicted = np.asarray(fit_predict(train, outcome, test), dtype=np.float64)
    np.save(outputs / "pred.npy", predicted, allow_pickle=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
