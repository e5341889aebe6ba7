"""Metrics of segmentations: how far masks agree. Masks come as run-length encodings, see `runs`."""

import numpy as np

from proctor.evaluator.metrics.base import SPATIAL, Array, Metric
from proctor.evaluator.metrics.runs import Masks, read_masks

THRESHOLDS = np.arange(0.5, 1.0, 0.05)
"""As numpy makes them: 0.6, 0.7 and 0.85 to 0.95 are a last digit above the decimals."""
DICE_WEIGHT, HAUSDORFF_WEIGHT = 0.4, 0.6
TOO_MANY = 10
"""A prediction of more than so many times the true voxels is as far away as can be."""


def global_dice(
    truth: Array, predicted: Array, *, height: Array, width: Array, beyond: bool = False
) -> float:
    """Twice the pixels shared by the pixels of both, over all images together; NaN for 0/0.

    Source: L. R. Dice, "Measures of the amount of ecologic association between species", Ecology
    26 (1945); evaluation of Kaggle's google-research-identify-contrails-reduce-global-warming.
    """
    real, said = _both(truth, predicted, height, width, beyond=beyond)
    both = int(real.areas.sum() + said.areas.sum())
    return 2 * int(said.shared_with(real).sum()) / both if both else float("nan")


def mean_dice(
    truth: Array, predicted: Array, *, height: Array, width: Array, beyond: bool = False
) -> float:
    """The mean of the images' Dice coefficients; 1 where both masks are empty.

    Source: evaluation of Kaggle's hubmap-kidney-segmentation.
    """
    return float(np.mean(_dice(*_both(truth, predicted, height, width, beyond=beyond), empty=1.0)))


def fbeta_half(
    truth: Array, predicted: Array, *, height: Array, width: Array, beyond: bool = False
) -> float:
    """The mean of the images' F0.5 over pixels, in which precision counts more; 0 for 0/0.

    Source: evaluation of Kaggle's vesuvius-challenge-ink-detection.
    """
    real, said = _both(truth, predicted, height, width, beyond=beyond)
    weighed = 0.25 * real.areas + said.areas
    hit = 1.25 * said.shared_with(real)
    return float(np.mean(np.divide(hit, weighed, out=np.zeros(len(hit)), where=weighed > 0)))


def mean_precision_iou(
    truth: Array,
    predicted: Array,
    *,
    height: int = 101,
    width: int = 101,
    beyond: bool = False,
) -> float:
    """The mean over images of the share of IoU thresholds that the mask exceeds.

    Those are 0.5, 0.55, ..., 0.95, `THRESHOLDS`. Where both masks are empty it is 1, where one is
    it is 0.

    Source: evaluation of Kaggle's tgs-salt-identification-challenge.
    """
    sizes = np.full(len(truth), height * width)
    real, said = read_masks(truth, sizes), read_masks(predicted, sizes, beyond=beyond)
    shared = said.shared_with(real)
    union = real.areas + said.areas - shared
    iou = np.divide(shared, union, out=np.zeros(len(union)), where=union > 0)
    passed = np.mean(iou[:, None] > THRESHOLDS, axis=1)
    return float(np.mean(np.where(union == 0, 1.0, passed)))


def dice_hausdorff(
    truth: Array,
    predicted: Array,
    *,
    slices: Array,
    height: Array,
    width: Array,
    beyond: bool = False,
) -> float:
    """0.4 times the mean Dice of slices and 0.6 times how near volumes are in Hausdorff's distance.

    The Dice of a row whose masks are both empty is passed over, and so is such a volume. A volume
    is the union of all classes, over the slices of a case and a day in the order of their names;
    its coordinates are divided by its shape, and the distance by the root of 3. It is 0 where both
    are equal, and 1 where one is empty or the prediction has more than 10 times the voxels.

    Source: F. Hausdorff, "Grundzüge der Mengenlehre" (1914); MLE-bench's grader of
    uw-madison-gi-tract-image-segmentation, which unlike Kaggle's merges the classes.

    Args:
        truth: Masks, of one class and slice each.
        predicted: The same.
        slices: Their names, ``CASE_DAY_slice_NUMBER``.
        height: Of each slice, in pixels.
        width: The same.
        beyond: Whether runs may end beyond the image.
    """
    real, said = _both(truth, predicted, height, width, beyond=beyond)
    if not (real.areas.any() or said.areas.any()):
        return float("nan")
    dice = np.nanmean(_dice(real, said, empty=np.nan))
    distances = _volume_distances(real, said, slices, np.stack([height, width], axis=1))
    near = 1 - np.nanmean(distances)
    return float(DICE_WEIGHT * dice + HAUSDORFF_WEIGHT * near)


def _both(
    truth: Array, predicted: Array, height: Array, width: Array, *, beyond: bool
) -> tuple[Masks, Masks]:
    sizes = np.asarray(height, dtype=np.int64) * np.asarray(width, dtype=np.int64)
    return read_masks(truth, sizes), read_masks(predicted, sizes, beyond=beyond)


def _dice(real: Masks, said: Masks, *, empty: float) -> Array:
    both = real.areas + said.areas
    found = np.full(len(both), empty)
    np.divide(2 * said.shared_with(real), both, out=found, where=both > 0)
    return found


def _volume_distances(real: Masks, said: Masks, slices: Array, shapes: Array) -> Array:
    """Hausdorff's distance of each volume, from 0 to 1; NaN where both are empty."""
    names, depth_of = np.unique(slices.astype(str), return_inverse=True)
    volumes = np.array([name.split("_slice_")[0] for name in names])
    found: list[float] = []
    for volume in np.unique(volumes):
        floor = int(np.argmax(volumes == volume))
        rows = np.flatnonzero(volumes[depth_of] == volume)
        depth = depth_of[rows] - floor
        shape = (int(depth.max()) + 1, *(int(side) for side in shapes[rows[0]]))
        voxels, others = (_voxels(masks, rows, depth, shape) for masks in (real, said))
        found.append(_distance(voxels, others, shape))
    return np.array(found)


def _voxels(masks: Masks, rows: Array, depth: Array, shape: tuple[int, ...]) -> Array:
    """The numbers of the voxels of a volume, sorted and each once."""
    area = shape[1] * shape[2]
    drawn = [masks.pixels(row) + at * area for row, at in zip(rows, depth, strict=True)]
    return np.unique(np.concatenate(drawn))


def _distance(real: Array, said: Array, shape: tuple[int, ...]) -> float:
    if not len(real) and not len(said):
        return float("nan")
    if not len(real) or not len(said) or len(said) > TOO_MANY * len(real):
        return 1.0
    ways = (_farthest(real, said, shape), _farthest(said, real, shape))
    return max(ways) / float(np.sqrt(3))


def _farthest(these: Array, those: Array, shape: tuple[int, ...]) -> float:
    """How far the loneliest of these is from those; only what those lack is looked up."""
    lonely = np.setdiff1d(these, those, assume_unique=True)
    if not len(lonely):
        return 0.0
    tree = SPATIAL.KDTree(_coordinates(those, shape))
    return float(np.max(tree.query(_coordinates(lonely, shape))[0]))


def _coordinates(voxels: Array, shape: tuple[int, ...]) -> Array:
    depth, height, width = shape
    at, within = np.divmod(voxels, height * width)
    column, line = np.divmod(within, height)  # masks run down the columns
    return np.stack([at / depth, line / height, column / width], axis=1)


MASKS = tuple(
    Metric(name, "text", higher_is_better=True, score=score, needs=needs)
    for name, score, needs in (
        ("global_dice", global_dice, ("height", "width")),
        ("mean_dice", mean_dice, ("height", "width")),
        ("fbeta_half", fbeta_half, ("height", "width")),
        ("mean_precision_iou", mean_precision_iou, ()),
        ("dice_hausdorff", dice_hausdorff, ("slices", "height", "width")),
    )
)
