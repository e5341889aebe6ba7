"""Metrics of scores for a positive class: the truth is 1 where a row belongs to it, else 0.

`log_loss` is also for several classes.
"""

import numpy as np

from proctor.evaluator.metrics.base import SKLEARN, Array, Metric

CLIP = 1e-15
"""Probabilities are kept so far from 0 and 1, as scikit-learn did before 1.3 and Kaggle does."""


def roc_auc(truth: Array, scores: Array) -> float:
    """The area under the ROC curve: how often a positive stands above a negative, ties as half.

    Raises:
        ValueError: The truth has one class alone.
    """
    if len(np.unique(truth)) < 2:  # noqa: PLR2004 - two classes
        raise ValueError("the area under the ROC curve needs both classes")
    return float(SKLEARN.roc_auc_score(truth, scores))


def average_precision(truth: Array, scores: Array) -> float:
    """The sum of precisions, each weighted by the growth of recall, without interpolation.

    Raises:
        ValueError: The truth has no positive.
    """
    if not truth.any():
        raise ValueError("average precision needs a positive")
    return float(SKLEARN.average_precision_score(truth, scores))


def log_loss(truth: Array, scores: Array) -> float:
    """The mean negative log-likelihood of the truth, in nats, under clipped probabilities.

    Args:
        truth: 1 where it is so, else 0, of shape ``(n,)``, or ``(n, n_classes)`` with one 1 a row.
        scores: The probabilities, of the same shape.
    """
    likely = np.clip(scores, CLIP, 1 - CLIP)
    if truth.ndim > 1:
        return float(-np.mean(np.log(likely[truth == 1])))
    return float(-np.mean(np.where(truth == 1, np.log(likely), np.log1p(-likely))))


SCORES = (
    Metric("roc_auc", "scores", True, roc_auc),  # noqa: FBT003 - a row of a table
    Metric("average_precision", "scores", True, average_precision),  # noqa: FBT003
    Metric("log_loss", "probabilities", False, log_loss),  # noqa: FBT003
)
