"""Fit the workspace's model on one book and write down what it says about old and new rows."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path.cwd()))

from loans.model import fit, predict  # noqa: E402 - found in the workspace


def main(source: Path, target: Path) -> None:
    """Read ``train.csv``, ``defaulted.npy`` and ``new.csv``; write probabilities for both."""
    train = pd.read_csv(source / "train.csv")
    new = pd.read_csv(source / "new.csv")
    model = fit(train.copy(), np.load(source / "defaulted.npy"))
    for name, frame in (("train", train), ("new", new)):
        answer = np.asarray(predict(model, frame.copy()), dtype=float).reshape(-1)
        np.save(target / f"{name}.npy", answer)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
