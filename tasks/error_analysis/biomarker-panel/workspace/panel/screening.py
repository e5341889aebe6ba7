"""From the whole assay to the candidates that a panel may draw on."""

from __future__ import annotations

import numpy as np
import pandas as pd

from panel.ranking import moderated_statistics
from panel.settings import Settings


def screen(markers: pd.DataFrame, outcome: np.ndarray, settings: Settings) -> list[str]:
    """Return the proteins that lead in the most half samples, most stable first.

    A ranking of a cohort this small hangs on a few patients. It is therefore repeated on half
    samples, and a protein is judged by how often it is among the leading ones.
    """
    measured = markers.loc[:, markers.notna().mean() >= settings.min_detection]
    in_cases, in_controls = half_samples(outcome, settings.n_resamples, settings.seed)
    strength = np.abs(moderated_statistics(measured.to_numpy(float), in_cases, in_controls))
    rank = (-strength).argsort(axis=1, kind="stable").argsort(axis=1, kind="stable")
    frequency = (rank < settings.top_per_resample).mean(axis=0)
    order = np.lexsort((-strength.mean(axis=0), -frequency))
    return measured.columns[order[: settings.n_candidates]].tolist()


def half_samples(outcome: np.ndarray, n_resamples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw half of the cases and half of the controls, `n_resamples` times.

    Returns:
        Two boolean arrays ``(n_resamples, n_patients)``: the cases drawn, the controls drawn.
    """
    rng = np.random.default_rng(seed)
    drawn = []
    for label in (1, 0):
        rows = np.flatnonzero(outcome == label)
        members = np.zeros((n_resamples, len(outcome)), dtype=bool)
        for draw in members:
            draw[rng.choice(rows, size=(len(rows) + 1) // 2, replace=False)] = True
        drawn.append(members)
    return drawn[0], drawn[1]
