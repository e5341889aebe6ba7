"""Metrics of objects found in images: boxes with a label and a confidence, or points."""

import numpy as np

from proctor.evaluator.metrics.base import SKLEARN, Array, Metric
from proctor.evaluator.metrics.detections import (
    Objects,
    box_overlaps,
    per_row_and_label,
    read_objects,
)

NOTHING = np.zeros(0, dtype=np.int64)
MAX_DETECTIONS = 100
RECALLS = np.linspace(0, 1, 101)


def points_f1(truth: Array, predicted: Array) -> float:
    """F1 of points over all images: one is right inside a box of its label that has none yet.

    A box takes the first such point, and its border is outside; 0 where no point is right.

    Source: evaluation of Kaggle's kuzushiji-recognition.

    Args:
        truth: ``label x y width height ...``.
        predicted: ``label x y ...``.
    """
    real, said = read_objects(truth, 4), read_objects(predicted, 2)
    by_real, by_said = per_row_and_label(real, said)
    right = sum(
        _points_taken(real.values[boxes], said.values[by_said[where]])
        for where, boxes in by_real.items()
        if where in by_said
    )
    return 2 * right / (len(real.row) + len(said.row)) if right else 0.0


def voc_map(truth: Array, predicted: Array) -> float:
    """The mean over labels of the average precision of boxes with an IoU above 0.5.

    Within an image and a label, boxes take, by falling confidence, the free true box of the
    greatest IoU. A box without one is wrong; a true box that is left counts as one found with a
    confidence of 0, and an image with neither as one rightly rejected at 0. Average precision is
    scikit-learn's, over all of these.

    Source: M. Everingham et al., "The PASCAL visual object classes (VOC) challenge", International
    Journal of Computer Vision 88 (2010); MLE-bench's grader of siim-covid19-detection, whose
    treatment of what is missed is its own.

    Args:
        truth: ``label confidence xmin ymin xmax ymax ...``, of which the confidence is not read.
        predicted: The same.
    """
    real, said = read_objects(truth, 5), _by_confidence(read_objects(predicted, 5))
    found = [
        _label_precision(
            real.only(real.label == label), said.only(said.label == label), str(label), len(truth)
        )
        for label in np.unique(real.label)
    ]
    return float(np.mean(found)) if found else 0.0


def coco_map(truth: Array, predicted: Array, *, iou: float, corners: bool = True) -> float:
    """COCO's average precision of boxes at one IoU, over the labels of the truth.

    Per image and label the 100 most confident boxes take, by falling confidence, the free true box
    of the greatest IoU, if that is at least `iou`. Precision is averaged at 101 recalls, each with
    the best precision at that recall or beyond.

    Source: T.-Y. Lin et al., "Microsoft COCO: common objects in context", ECCV 2014; the code of
    pycocotools' COCOeval. Evaluation of Kaggle's vinbigdata-chest-xray-abnormalities-detection.

    Args:
        truth: ``label xmin ymin xmax ymax ...``.
        predicted: ``label confidence xmin ymin xmax ymax ...``.
        iou: The threshold.
        corners: Whether the last two numbers of a box are its other corner. MLE-bench gives them
            to pycocotools as width and height, which is False.
    """
    real, said = read_objects(truth, 4), _by_confidence(read_objects(predicted, 5))
    if not corners:
        real, said = _other_corner(real, 2), _other_corner(said, 3)
    by_real, by_said = per_row_and_label(real, said)
    precisions: list[float] = []
    for label in np.unique(real.label):
        parts = [
            (said.values[boxes, 0][:MAX_DETECTIONS], matches[:MAX_DETECTIONS])
            for where, boxes in by_said.items()
            if where[1] == label
            for matches in [_taken(real, by_real.get(where, NOTHING), said, boxes, iou)]
        ]
        n_true = int(np.count_nonzero(real.label == label))
        precisions.append(_interpolated(parts, n_true))
    return float(np.mean(precisions)) if precisions else 0.0


def _points_taken(boxes: Array, points: Array) -> int:
    low, high = boxes[:, None, :2], boxes[:, None, :2] + boxes[:, None, 2:]
    inside = np.asarray(((low < points[None]) & (points[None] < high)).all(axis=2))
    taken = 0
    for row in inside:
        if row.any():
            inside[:, np.argmax(row)] = False
            taken += 1
    return taken


def _by_confidence(objects: Objects) -> Objects:
    return objects.only(np.argsort(-objects.values[:, 0], kind="stable"))


def _label_precision(real: Objects, said: Objects, label: str, n_rows: int) -> float:
    by_real, by_said = per_row_and_label(real, said)
    hits: list[Array] = []
    scores: list[Array] = []
    for row in range(n_rows):
        true, boxes = by_real.get((row, label), NOTHING), by_said.get((row, label), NOTHING)
        hit = _taken(real, true, said, boxes, 0.5, above=True)
        missed = len(true) - int(hit.sum())
        rejected = int(not len(true) and not len(boxes))
        hits.append(np.concatenate([hit, np.ones(missed), np.zeros(rejected)]))
        scores.append(np.concatenate([said.values[boxes, 0], np.zeros(missed + rejected)]))
    return float(SKLEARN.average_precision_score(np.concatenate(hits), np.concatenate(scores)))


def _taken(
    real: Objects, true: Array, said: Objects, boxes: Array, iou: float, *, above: bool = False
) -> Array:
    """For each box in turn, 1 where it takes a true one whose IoU is at least, or above, `iou`."""
    found = np.zeros(len(boxes))
    if not len(true) or not len(boxes):
        return found
    overlaps = box_overlaps(said.values[boxes, 1:], real.values[true, -4:])
    overlaps[overlaps <= iou if above else overlaps < iou] = -1
    for n, row in enumerate(overlaps):
        best = int(np.argmax(row)) if above else len(row) - 1 - int(np.argmax(row[::-1]))
        if row[best] >= 0:
            overlaps[:, best] = -1
            found[n] = 1
    return found


def _interpolated(parts: list[tuple[Array, Array]], n_true: int) -> float:
    if not parts:
        return 0.0
    scores, hits = (np.concatenate(each) for each in zip(*parts, strict=True))
    hits = hits[np.argsort(-scores, kind="stable")]
    right = np.cumsum(hits)
    precision = right / np.arange(1, len(hits) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(right / n_true, RECALLS, side="left")
    return float(np.mean(np.append(best, 0.0)[np.minimum(at, len(best))]))


def _other_corner(objects: Objects, at: int) -> Objects:
    values = objects.values.copy()
    values[:, at : at + 2] += values[:, at - 2 : at]
    return Objects(objects.row, objects.label, values)


BOXES = tuple(
    Metric(name, "text", higher_is_better=True, score=score)
    for name, score in (("points_f1", points_f1), ("voc_map", voc_map), ("coco_map", coco_map))
)
