"""Metrics of predictions in several columns: arrays of shape (n, n_columns)."""

import numpy as np

from proctor.evaluator.metrics.base import SKLEARN, STATS, Array, Metric
from proctor.evaluator.metrics.numbers import pearson, rmse, rmsle
from proctor.evaluator.metrics.scores import CLIP, roc_auc


def mean_column_roc_auc(truth: Array, scores: Array) -> float:
    """The mean of the columns' ROC AUC, over the rows of which no label is negative.

    Source: evaluation of Kaggle's jigsaw-toxic-comment-classification-challenge, whose truth has
    -1 in rows that are not scored.

    Raises:
        ValueError: A column of the truth has one class alone.
    """
    kept = (truth >= 0).all(axis=1)
    pairs = zip(truth[kept].T, scores[kept].T, strict=True)
    return float(np.mean([roc_auc(real, said) for real, said in pairs]))


def mean_column_spearman(truth: Array, predicted: Array) -> float:
    """The mean of the columns' rank correlations; NaN where a column predicted does not vary.

    Source: C. Spearman, "The proof and measurement of association between two things", American
    Journal of Psychology 15 (1904); evaluation of Kaggle's google-quest-challenge.

    Raises:
        ValueError: A column of the truth does not vary.
    """
    ranked = zip(STATS.rankdata(truth, axis=0).T, STATS.rankdata(predicted, axis=0).T, strict=True)
    return float(np.mean([pearson(real, said) for real, said in ranked]))


def mean_column_rmsle(truth: Array, predicted: Array) -> float:
    """The mean of the columns' `rmsle`."""
    return float(np.mean([rmsle(*pair) for pair in zip(truth.T, predicted.T, strict=True)]))


def mcrmse(truth: Array, predicted: Array, *, kept: Array) -> float:
    """The mean of the columns' `rmse`, over the rows that are kept.

    Source: evaluation of Kaggle's stanford-covid-vaccine.

    Raises:
        ValueError: No row is kept.
    """
    rows = kept.astype(bool)
    if not rows.any():
        raise ValueError("no row is kept")
    pairs = zip(truth[rows].T, predicted[rows].T, strict=True)
    return float(np.mean([rmse(*pair) for pair in pairs]))


def lwlrap(truth: Array, scores: Array) -> float:
    """Label-weighted label-ranking average precision: the mean over all true labels.

    A true label's precision is the share of true ones among the labels of its row that score at
    least as high. A row weighs as many labels as are true of it; one without any is passed over.

    Source: E. Fonseca et al., "Audio tagging with noisy labels and minimal supervision", DCASE
    2019; evaluation of Kaggle's freesound-audio-tagging-2019.

    Raises:
        ValueError: No row has a true label.
    """
    labels = np.count_nonzero(truth > 0, axis=1)
    rows = labels > 0
    if not rows.any():
        raise ValueError("no row has a true label")
    ranked = SKLEARN.label_ranking_average_precision_score
    return float(ranked(truth[rows] > 0, scores[rows], sample_weight=labels[rows]))


def kl_divergence(truth: Array, scores: Array, *, clip: float = CLIP) -> float:
    """The mean divergence from a row's true distribution to the predicted one, in nats.

    Source: S. Kullback, R. A. Leibler, "On information and sufficiency", Annals of Mathematical
    Statistics 22 (1951); evaluation of Kaggle's hms-harmful-brain-activity-classification.

    Args:
        truth: Votes, which are divided by their sum.
        scores: Probabilities.
        clip: How far those are kept from 0 and 1.

    Raises:
        ValueError: A row has no votes.
    """
    votes = truth.sum(axis=1, keepdims=True)
    if (votes <= 0).any():
        raise ValueError("a row of the truth has no votes")
    share = truth / votes
    surprise = np.log(np.where(share > 0, share, 1)) - np.log(np.clip(scores, clip, 1 - clip))
    divergences: Array = np.sum(share * surprise, axis=1)
    return float(np.mean(divergences))


def mean_angular_error(truth: Array, predicted: Array) -> float:
    """The mean angle between two directions, in radians; each is given as azimuth and zenith.

    Source: evaluation of Kaggle's icecube-neutrinos-in-deep-ice.

    Args:
        truth: Of shape ``(n, 2)``, in radians.
        predicted: Of the same shape; angles beyond a turn are taken as they come.
    """
    cosines: Array = np.sum(_direction(truth) * _direction(predicted), axis=0)
    return float(np.mean(np.arccos(np.clip(cosines, -1, 1))))


def _direction(angles: Array) -> Array:
    azimuth, zenith = angles.T
    across = np.sin(zenith)
    return np.stack([np.cos(azimuth) * across, np.sin(azimuth) * across, np.cos(zenith)])


COLUMNS = (
    Metric("mean_column_roc_auc", "scores", True, mean_column_roc_auc, several=True),  # noqa: FBT003 - a row of a table
    Metric("mean_column_spearman", "numbers", True, mean_column_spearman, several=True),  # noqa: FBT003
    Metric("mean_column_rmsle", "amounts", False, mean_column_rmsle, several=True),  # noqa: FBT003
    Metric("mcrmse", "numbers", False, mcrmse, several=True, needs=("kept",)),  # noqa: FBT003
    Metric("lwlrap", "scores", True, lwlrap, several=True),  # noqa: FBT003
    Metric("kl_divergence", "probabilities", False, kl_divergence, several=True),  # noqa: FBT003
    Metric("mean_angular_error", "numbers", False, mean_angular_error, several=True),  # noqa: FBT003
)
