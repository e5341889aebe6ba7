"""Runs the workspace's forecast on one history and stores what it returns."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd


def main(inputs: Path, outputs: Path) -> None:
    """Call the stated interface on the files in `inputs`; leave ``pred.npy`` in `outputs`."""
    sys.path.insert(0, str(Path.cwd()))
    from metering.forecast import fit_predict

    history = pd.read_csv(inputs / "history.csv")
    upcoming = pd.read_csv(inputs / "upcoming.csv")
    forecast = np.asarray(fit_predict(history, upcoming), dtype=np.float64)
    np.save(outputs / "pred.npy", forecast)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
