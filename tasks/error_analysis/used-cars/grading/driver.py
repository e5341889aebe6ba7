"""Price one case's offers with the workspace's own code: python driver.py INPUT_DIR OUTPUT_DIR."""

from __future__ import annotations

import os
import sys
from pathlib import Path

# OpenMP's waiting threads make a two-second fit take minutes where cores are shared.
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np  # noqa: E402 - reads the environment
import pandas as pd  # noqa: E402 - reads the environment


def main(inputs: Path, outputs: Path) -> None:
    """Write the predicted prices to ``prices.npy``."""
    sys.path.insert(0, str(Path.cwd()))
    from pricing.model import fit_predict  # noqa: PLC0415 - the agent's code

    sold = pd.read_csv(inputs / "sold.csv")
    offers = pd.read_csv(inputs / "offers.csv")
    prices = np.asarray(fit_predict(sold, offers), dtype=float)
    np.save(outputs / "prices.npy", prices, allow_pickle=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
