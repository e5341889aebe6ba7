"""A metric of cuboids on the ground, found by lidar."""

import numpy as np
import shapely

from proctor.evaluator.metrics.base import Array, Metric
from proctor.evaluator.metrics.detections import Objects, per_row_and_label, read_objects

THRESHOLDS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
CORNERS = np.array([[1, -1], [1, 1], [-1, 1], [-1, -1]]) / 2
"""Of a base, as shares of length and width."""


def cuboid_map(truth: Array, predicted: Array) -> float:
    """The mean over samples and IoU thresholds of the mean average precision of a sample's labels.

    Thresholds are those of `THRESHOLDS`. By falling confidence, a cuboid is right where the true
    one of its label with the greatest IoU exceeds the threshold, and was not taken before. Average
    precision is the area below the best precision at a recall or beyond; labels that a sample
    lacks are passed over. A sample without any counts 0.

    Source: evaluation of Kaggle's 3d-object-detection-for-autonomous-vehicles; the definition is
    that of Lyft's development kit for nuScenes.

    Args:
        truth: ``confidence x y z width length height yaw label ...``; the confidence is not read.
        predicted: The same.

    Raises:
        ValueError: A side of a cuboid is not above 0.
    """
    real, said = (read_objects(cells, 8, label_first=False) for cells in (truth, predicted))
    for objects in (real, said):
        flat = (objects.values[:, 4:7] <= 0).any(axis=1)
        if flat.any():
            raise ValueError(f"row {int(objects.row[np.argmax(flat)]) + 1} has a side of 0 or less")
    said = said.only(np.argsort(-said.values[:, 0], kind="stable"))
    by_real, by_said = per_row_and_label(real, said)
    sums, labels = np.zeros((len(truth), len(THRESHOLDS))), np.zeros(len(truth))
    for where, true in by_real.items():
        labels[where[0]] += 1
        if where in by_said:
            overlaps = _overlaps(said.only(by_said[where]), real.only(true))
            sums[where[0]] += [_precision(overlaps, limit) for limit in THRESHOLDS]
    return float(np.mean(sums / np.maximum(labels, 1)[:, None]))


def _overlaps(these: Objects, those: Objects) -> Array:
    """The IoU of each with each."""
    (low, high), (low_, high_) = _heights(these), _heights(those)
    above = np.minimum(high[:, None], high_[None]) - np.maximum(low[:, None], low_[None])
    bases = shapely.intersection(_bases(these)[:, None], _bases(those)[None])
    areas: Array = shapely.area(bases)  # pyright: ignore[reportUnknownMemberType] - its **kwargs
    shared = np.maximum(above, 0) * areas
    union = _volumes(these)[:, None] + _volumes(those)[None] - shared
    return np.asarray(np.clip(shared / union, 0, 1))


def _precision(overlaps: Array, limit: float) -> float:
    best, reached = np.argmax(overlaps, axis=1), np.max(overlaps, axis=1) > limit
    first = np.unique(best[reached], return_index=True)[1]
    hits = np.zeros(len(overlaps))
    hits[np.flatnonzero(reached)[first]] = 1
    right = np.cumsum(hits)
    precision = right / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(envelope[hits == 1]) / overlaps.shape[1])


def _bases(objects: Objects) -> Array:
    """The rectangles seen from above; the yaw turns the length away from x."""
    x, y, _, width, length, _, yaw = objects.values[:, 1:].T
    along, across = CORNERS[:, 0] * length[:, None], CORNERS[:, 1] * width[:, None]
    cos, sin = np.cos(yaw)[:, None], np.sin(yaw)[:, None]
    corners = (x[:, None] + along * cos - across * sin, y[:, None] + along * sin + across * cos)
    return np.asarray(shapely.polygons(np.stack(corners, axis=2)))


def _heights(objects: Objects) -> tuple[Array, Array]:
    middle, height = objects.values[:, 3], objects.values[:, 6]
    return middle - height / 2, middle + height / 2


def _volumes(objects: Objects) -> Array:
    return np.asarray(np.prod(objects.values[:, 4:7], axis=1))


CUBOIDS = (Metric("cuboid_map", "text", True, cuboid_map),)  # noqa: FBT003 - a row of a table
