"""Run the submission's validation on one cohort: ``python driver.py INPUT_DIR OUTPUT_DIR``."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd


def main(source: Path, target: Path) -> None:
    """Save the scores that the workspace gives to the cohort in `source`."""
    sys.path.insert(0, str(Path.cwd()))
    from panel.validation import out_of_fold_scores  # noqa: PLC0415 - only the workspace has it

    markers = pd.read_csv(source / "markers.csv", index_col="patient")
    outcome = np.load(source / "outcome.npy")
    folds = np.load(source / "folds.npy")
    scores = out_of_fold_scores(markers, outcome, folds)
    np.save(target / "scores.npy", np.asarray(scores, dtype=float))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
