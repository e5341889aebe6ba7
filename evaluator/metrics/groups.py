"""Metrics of rows that belong together: a study's vertebrae, a patient's weeks, a trip."""

import numpy as np
import pandas as pd

from proctor.evaluator.metrics.base import Array, Metric
from proctor.evaluator.metrics.scores import CLIP

EARTH_RADIUS_M = 6_371_000
OVERALL = "patient_overall"
LAST_WEEKS = 3
LEAST_CONFIDENCE_ML, MOST_ERROR_ML = 70, 1000


def weighted_multilabel_log_loss(truth: Array, scores: Array, *, rows: Array) -> float:
    """The mean over studies of their labels' log losses, weighted.

    A label weighs 1, and the label ``patient_overall`` 7; what is true of the study weighs double.
    The losses of a study are divided by the sum of its weights.

    Source: evaluation of Kaggle's rsna-2022-cervical-spine-fracture-detection.

    Args:
        truth: 1 or 0.
        scores: Probabilities, kept 1e-15 from 0 and 1.
        rows: What each row is of: the study and the label, joined by the first underscore.
    """
    named = pd.Series(rows, dtype=str).str.partition("_")
    likely = np.clip(scores, CLIP, 1 - CLIP)
    losses = -np.where(truth == 1, np.log(likely), np.log(1 - likely))
    weights = np.where(named[2] == OVERALL, 7.0, 1.0) * np.where(truth == 1, 2, 1)
    studies = pd.factorize(named[0])[0]
    return float(np.mean(np.bincount(studies, losses * weights) / np.bincount(studies, weights)))


def laplace_log_likelihood(
    truth: Array, predicted: Array, *, patients: Array, rows: Array
) -> float:
    """The mean log-likelihood of volumes under Laplace distributions, of each patient's last weeks.

    Those are the three last that were measured. The standard deviation is at least 70 ml, and an
    error counts as 1000 ml at most.

    Source: evaluation of Kaggle's osic-pulmonary-fibrosis-progression.

    Args:
        truth: The volumes in ml; NaN where none was measured.
        predicted: Volumes and standard deviations, of shape ``(n, 2)``.
        patients: Whose they are.
        rows: The patient and the week of each row, joined by the last underscore.

    Raises:
        ValueError: Nothing was measured.
    """
    weeks = pd.Series(rows, dtype=str).str.rpartition("_")[2].astype(int)
    known = pd.DataFrame({"patient": patients, "week": weeks})[~np.isnan(truth)]
    if known.empty:
        raise ValueError("nothing was measured")
    kept = known.sort_values("week", kind="stable").groupby("patient").tail(LAST_WEEKS).index
    errors = np.minimum(np.abs(truth[kept] - predicted[kept, 0]), MOST_ERROR_ML)
    spread = np.sqrt(2) * np.maximum(predicted[kept, 1], LEAST_CONFIDENCE_ML)
    likelihoods: Array = -2 * errors / spread - np.log(spread)
    return float(np.mean(likelihoods))


def mean_haversine(truth: Array, predicted: Array, *, trips: Array) -> float:
    """The mean over trips of their 50th and 95th percentiles of distance, in metres.

    Distances are great circles on a sphere of 6371 km; percentiles are interpolated linearly.

    Source: evaluation of Kaggle's smartphone-decimeter-2022.

    Args:
        truth: Latitudes and longitudes in degrees, of shape ``(n, 2)``.
        predicted: The same.
        trips: Which trip each row is of.
    """
    (lat, lon), (lat_said, lon_said) = np.radians(truth).T, np.radians(predicted).T
    across = np.cos(lat) * np.cos(lat_said) * np.sin((lon_said - lon) / 2) ** 2
    chord = np.sin((lat_said - lat) / 2) ** 2 + across
    metres = pd.Series(2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(np.clip(chord, 0, 1))))
    return float(metres.groupby(np.asarray(trips)).quantile(np.array([0.5, 0.95])).mean())


GROUPS = (
    Metric(
        "weighted_multilabel_log_loss",
        "probabilities",
        higher_is_better=False,
        score=weighted_multilabel_log_loss,
        needs=("rows",),
    ),
    Metric(
        "laplace_log_likelihood",
        "numbers",
        higher_is_better=True,
        score=laplace_log_likelihood,
        several=True,
        needs=("patients", "rows"),
    ),
    Metric(
        "mean_haversine",
        "numbers",
        higher_is_better=False,
        score=mean_haversine,
        several=True,
        needs=("trips",),
    ),
)
