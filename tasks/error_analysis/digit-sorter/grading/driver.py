"""Run the restored workspace's sorter on one case: fit on labelled scans, predict others."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np


def main(inputs: Path, outputs: Path) -> None:
    """Save the predicted chute of every row of new_images."""
    sys.path.insert(0, str(Path.cwd()))
    from sorter.model import fit, predict

    images = np.load(inputs / "images.npy", allow_pickle=False)
    labels = np.load(inputs / "labels.npy", allow_pickle=False)
    new_images = np.load(inputs / "new_images.npy", allow_pickle=False)

    model = fit(images, labels)
    np.save(outputs / "predicted.npy", np.asarray(predict(model, new_images), dtype=np.int64))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
