"""Score one worklist through the interface of the README and save the scores."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

source, target = Path(sys.argv[1]), Path(sys.argv[2])
sys.path.insert(0, str(Path.cwd()))

from scoring.pipeline import fit_score  # noqa: E402 - the workspace's own

scores = fit_score(
    pd.read_csv(source / "train.csv"),
    np.load(source / "labels.npy"),
    pd.read_csv(source / "batch.csv"),
)
np.save(target / "scores.npy", np.asarray(scores, dtype=np.float64))
