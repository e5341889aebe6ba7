"""Metrics of scores for a positive class: the truth is 1 where a row belongs to it, else 0.

`log_loss` is also for several classes.
"""

import numpy as np
import polars as pl

from proctor.evaluator.metrics.base import SKLEARN, Array, Metric

CLIP = 1e-15
"""Probabilities are kept so far from 0 and 1, as scikit-learn did before 1.3 and Kaggle does."""

IDENTITY_POWER = -5
ALASKA_BEND = 0.4
ALASKA_WEIGHTS = (2.0, 1.0)


def roc_auc(truth: Array, scores: Array) -> float:
    """The area under the ROC curve: how often a positive stands above a negative, ties as half.

    It is counted from sorted scores, which is several times as fast as building the curve.

    Raises:
        ValueError: The truth has one class alone.
    """
    is_positive = truth == 1
    positives = int(np.count_nonzero(is_positive))
    negatives = len(truth) - positives
    if not positives or not negatives:
        raise ValueError("the area under the ROC curve needs both classes")
    scores = np.asarray(scores, np.float64) + 0.0  # which makes -0 a 0
    count = _pairs_of_bits if scores.min() >= 0 else _pairs
    return float(count(is_positive, scores) / positives / negatives)


def weighted_auroc(truth: Array, scores: Array) -> float:
    """The area under the ROC curve, of which the part below a true positive rate of 0.4 is double.

    The curve is cut horizontally at 0.4, at a point interpolated where none lies there; the areas
    of the two parts weigh 2 and 1, and their sum is divided by its maximum, 1.4.

    Source: evaluation of Kaggle's alaska2-image-steganalysis.

    Raises:
        ValueError: The truth has one class alone.
    """
    if len(np.unique(truth)) < 2:  # noqa: PLR2004 - two classes
        raise ValueError("the area under the ROC curve needs both classes")
    curve: tuple[Array, Array, Array] = SKLEARN.roc_curve(truth, scores)
    false, true, _ = curve
    if ALASKA_BEND not in true:
        at = int(np.searchsorted(true, ALASKA_BEND))
        false = np.insert(false, at, np.interp(ALASKA_BEND, true, false))
        true = np.insert(true, at, ALASKA_BEND)
    lower = SKLEARN.auc(false, np.minimum(true, ALASKA_BEND))
    upper = SKLEARN.auc(false, np.maximum(true, ALASKA_BEND) - ALASKA_BEND)
    whole = np.dot(ALASKA_WEIGHTS, (ALASKA_BEND, 1 - ALASKA_BEND))
    return float(np.dot(ALASKA_WEIGHTS, (lower, upper)) / whole)


def bias_auc(
    truth: Array, scores: Array, *, identities: Array, cutoff: float | None = None
) -> float:
    """A quarter each of the ROC AUC and of three means over identities that comments mention.

    Of each identity: the AUC among the comments that mention it; among its negatives and the
    others' positives; and among its positives and the others' negatives. Each of the three is
    averaged over identities by the power mean of -5, which stays near the worst.

    Source: evaluation of Kaggle's jigsaw-unintended-bias-in-toxicity-classification. MLE-bench
    also turns the predictions into 0 and 1, which is what `cutoff` is for.

    Args:
        truth: The share of raters who say so, of shape ``(n,)``; from 0.5 on it is positive.
        scores: The predictions.
        identities: The share of raters who see it mentioned, ``(n, n_identities)``; NaN counts as
            none, and 0.5 is enough.
        cutoff: From which on a prediction counts as 1, and below as 0; None leaves them.

    Raises:
        ValueError: One of the parts has one class alone.
    """
    is_toxic = truth >= 0.5  # noqa: PLR2004 - as documented
    found = scores if cutoff is None else (scores >= cutoff).astype(float)
    parts = np.empty((identities.shape[1], 3))
    for which, share in enumerate(identities.T):
        named = share >= 0.5  # noqa: PLR2004
        for part, rows in enumerate((named, named != is_toxic, named == is_toxic)):
            parts[which, part] = roc_auc(is_toxic[rows].astype(float), found[rows])
    with np.errstate(divide="ignore"):
        means = np.mean(parts**IDENTITY_POWER, axis=0) ** (1 / IDENTITY_POWER)
    return float((roc_auc(is_toxic.astype(float), found) + means.sum()) / 4)


def average_precision(truth: Array, scores: Array) -> float:
    """The sum of precisions, each weighted by the growth of recall, without interpolation.

    Raises:
        ValueError: The truth has no positive.
    """
    if not truth.any():
        raise ValueError("average precision needs a positive")
    return float(SKLEARN.average_precision_score(truth, scores))


def probabilistic_f1(truth: Array, scores: Array) -> float:
    """F1 with probabilities, kept within 0 and 1, in place of counts; 0 where no positive has any.

    Source: L. Yacouby, D. Axman, "Probabilistic extension of precision, recall, and F1 score",
    Eval4NLP 2020; evaluation of Kaggle's rsna-breast-cancer-detection.

    Raises:
        ValueError: The truth has no positive, or every probability is 0.
    """
    likely = np.clip(scores, 0, 1)
    hit, said, real = likely[truth == 1].sum(), likely.sum(), np.count_nonzero(truth == 1)
    if not real or said == 0:
        raise ValueError("probabilistic F1 needs a positive, and a probability above 0")
    return float(2 * hit / (said + real))


def log_loss(truth: Array, scores: Array, *, clip: float = CLIP) -> float:
    """The mean negative log-likelihood of the truth, in nats, under clipped probabilities.

    They are not scaled to add up to one.

    Args:
        truth: 1 where it is so, else 0, of shape ``(n,)``, or ``(n, n_classes)`` with one 1 a row.
        scores: The probabilities, of the same shape.
        clip: How far they are kept from 0 and 1.
    """
    likely = np.clip(scores, clip, 1 - clip)
    if truth.ndim > 1:
        return float(-np.mean(np.log(likely[truth == 1])))
    return float(-np.mean(np.where(truth == 1, np.log(likely), np.log1p(-likely))))


def _pairs_of_bits(is_positive: Array, scores: Array) -> float:
    """How many pairs are in order, ties as half, where no score is negative.

    The bits of such numbers are in their order, too, and leave the sign's free for the class: one
    sort then does for both.
    """
    keys = _sorted((scores.view(np.uint64) << np.uint64(1)) | is_positive)
    classes = (keys & np.uint64(1)).view(np.int64)
    positives = int(classes.sum())
    pairs = int(classes @ np.arange(len(keys))) - positives * (positives - 1) // 2
    is_new = (keys[1:] ^ keys[:-1]) > 1
    if is_new.all():
        return pairs
    starts = np.append(0, np.flatnonzero(is_new) + 1)
    of_class = np.add.reduceat(classes, starts)
    others = np.diff(starts, append=len(keys)) - of_class
    return pairs - int(of_class @ others) / 2


def _pairs(is_positive: Array, scores: Array) -> float:
    """How many pairs are in order, ties as half."""
    positives, negatives = _sorted(scores[is_positive]), _sorted(scores[~is_positive])
    below = np.searchsorted(negatives, positives, "left")
    tied = negatives[np.minimum(below, len(negatives) - 1)] == positives
    upto = np.searchsorted(negatives, positives[tied], "right")
    return int(below.sum()) + int((upto - below[tied]).sum()) / 2


def _sorted(values: Array) -> Array:
    """Sorted by polars, on one core: half the work of sorting on several, a third of numpy's."""
    return pl.Series(values).sort(multithreaded=False).to_numpy()


SCORES = (
    Metric("roc_auc", "scores", True, roc_auc),  # noqa: FBT003 - a row of a table
    Metric("weighted_auroc", "scores", True, weighted_auroc),  # noqa: FBT003
    Metric("bias_auc", "scores", True, bias_auc, needs=("identities",)),  # noqa: FBT003
    Metric("average_precision", "scores", True, average_precision),  # noqa: FBT003
    Metric("probabilistic_f1", "scores", True, probabilistic_f1),  # noqa: FBT003
    Metric("log_loss", "probabilities", False, log_loss),  # noqa: FBT003
)
