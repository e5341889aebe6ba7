"""Agent side: triage one portfolio with the workspace's own `fit_flag`, keep the raw flags.

`python driver.py INPUT_DIR OUTPUT_DIR`, run in the restored workspace. It knows neither what
the portfolio is nor what became of the incoming transactions.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

# Read when numpy is loaded. The matrices are small: more threads only wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd


def main(inputs: Path, out: Path) -> None:
    sys.path.insert(0, str(Path.cwd()))
    from triage.model import fit_flag

    flags = fit_flag(
        pd.read_csv(inputs / "train.csv"),
        np.load(inputs / "disputed.npy", allow_pickle=False),
        pd.read_csv(inputs / "incoming.csv"),
    )
    np.save(out / "flags.npy", np.asarray(flags, dtype=np.float64), allow_pickle=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
