"""Metrics of masks and boxes, each against pixels drawn one by one and boxes matched one by one."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proctor.evaluator.metrics import METRICS
from proctor.evaluator.metrics.base import SKLEARN
from proctor.evaluator.metrics.runs import read_masks

H, W = 4, 5
SLOW = settings(max_examples=60)
Pixels = set[int]
MASKS = st.lists(st.tuples(*[st.sets(st.integers(0, H * W - 1))] * 2), min_size=1, max_size=5)


def score(name: str, truth: object, predicted: object, **others: object) -> float:
    return METRICS[name].score(np.asarray(truth), np.asarray(predicted), **others)


def texts(*cells: str) -> np.ndarray:
    return np.array(cells, dtype=object)


def encoded(pixels: Pixels) -> str:
    """One run for each pixel that begins one."""
    runs: list[list[int]] = []
    for pixel in sorted(pixels):
        if runs and runs[-1][0] + runs[-1][1] == pixel + 1:
            runs[-1][1] += 1
        else:
            runs.append([pixel + 1, 1])
    return " ".join(f"{start} {length}" for start, length in runs)


def columns(pairs: list[tuple[Pixels, Pixels]]) -> list[np.ndarray]:
    return [texts(*map(encoded, column)) for column in zip(*pairs, strict=True)]


def shape(n: int) -> dict[str, np.ndarray]:
    return {"height": np.full(n, H), "width": np.full(n, W)}


@given(MASKS)
def test_masks_are_compared_pixel_by_pixel(pairs: list[tuple[Pixels, Pixels]]) -> None:
    truth, found = columns(pairs)
    size = shape(len(pairs))
    dice = [2 * len(t & f) / (len(t) + len(f)) if t | f else 1.0 for t, f in pairs]
    assert score("mean_dice", truth, found, **size) == pytest.approx(sum(dice) / len(dice))
    total = sum(len(t) + len(f) for t, f in pairs)
    together = 2 * sum(len(t & f) for t, f in pairs) / total if total else math.nan
    assert score("global_dice", truth, found, **size) == pytest.approx(together, nan_ok=True)
    half: list[float] = []
    for t, f in pairs:
        precision = len(t & f) / len(f) if f else 0
        recall = len(t & f) / len(t) if t else 0
        weighed = 0.25 * precision + recall
        half.append(1.25 * precision * recall / weighed if weighed else 0)
    assert score("fbeta_half", truth, found, **size) == pytest.approx(sum(half) / len(half))


@given(MASKS)
def test_an_iou_is_worth_the_thresholds_that_it_exceeds(pairs: list[tuple[Pixels, Pixels]]) -> None:
    truth, found = columns(pairs)
    worth: list[float] = []
    for t, f in pairs:
        limits = np.arange(0.5, 1.0, 0.05)
        iou = len(t & f) / len(t | f) if t | f else 1.0
        worth.append(sum(iou > limit for limit in limits) / 10)
    assert score("mean_precision_iou", truth, found, height=H, width=W) == pytest.approx(
        sum(worth) / len(worth)
    )


def test_an_empty_mask_is_written_as_nothing_blanks_or_a_dash() -> None:
    masks = read_masks(["", "  ", "-", "1 2"], np.full(4, 10))
    assert masks.areas.tolist() == [0, 0, 0, 2]


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("1", "without a length"),
        ("0 2", "below 1"),
        ("3 0", "below 1"),
        ("3 -1", "below 1|whole numbers"),
        ("3 2 1 1", "not sorted"),
        ("1 3 3 1", "overlap"),
        ("1 1.5", "whole numbers"),
        ("a b", "whole numbers"),
        ("1 99999999999999999999999", "whole numbers"),
        ("1 9223372036854775807", "beyond"),
        ("20 2", "beyond"),
    ],
)
def test_a_run_that_is_none_is_refused_with_its_row(cell: str, said: str) -> None:
    with pytest.raises(ValueError, match=f"row 2 .*({said})"):
        read_masks(["1 2", cell], np.full(2, H * W))


def test_runs_beyond_an_image_are_cut_where_that_is_allowed() -> None:
    masks = read_masks(["19 5", "30 2"], np.full(2, H * W), beyond=True)
    assert masks.areas.tolist() == [2, 0]


# Volumes


def slow_volume(pairs: list[tuple[Pixels, Pixels]]) -> float:
    """Of one volume whose slices come in their order."""
    shape = np.array([len(pairs), H, W])
    clouds = [
        np.array([[z, p % H, p // H] for z, pair in enumerate(pairs) for p in pair[side]])
        for side in (0, 1)
    ]
    truth, found = clouds
    if not len(truth) and not len(found):
        return math.nan
    if not len(truth) or not len(found) or len(found) > 10 * len(truth):
        return 1
    apart = np.linalg.norm((truth[:, None] - found[None]) / shape, axis=2)
    return max(apart.min(axis=0).max(), apart.min(axis=1).max()) / math.sqrt(3)


@given(st.lists(MASKS, min_size=1, max_size=3))
@SLOW
def test_volumes_are_as_far_apart_as_their_loneliest_voxel(
    volumes: list[list[tuple[Pixels, Pixels]]],
) -> None:
    names = [
        f"case{v}_day1_slice_{s:04}" for v, each in enumerate(volumes) for s in range(len(each))
    ]
    pairs = [pair for each in volumes for pair in each]
    truth, found = columns(pairs)
    dice = [2 * len(t & f) / (len(t) + len(f)) for t, f in pairs if t | f]
    distances = [d for d in map(slow_volume, volumes) if not math.isnan(d)]
    if dice:
        expected = 0.4 * sum(dice) / len(dice) + 0.6 * (1 - sum(distances) / len(distances))
    else:
        expected = math.nan
    order = np.random.default_rng(0).permutation(len(pairs))
    sizes = shape(len(pairs))
    shuffled = score(
        "dice_hausdorff", truth[order], found[order], slices=texts(*names)[order], **sizes
    )
    assert shuffled == pytest.approx(expected, nan_ok=True)


def test_the_classes_of_a_slice_are_one_volume() -> None:
    slices = texts("a_slice_1", "a_slice_1")
    both = score(
        "dice_hausdorff", texts("1 1", "2 1"), texts("2 1", "1 1"), slices=slices, **shape(2)
    )
    assert both == pytest.approx(0.6)


# Boxes

LABEL = st.sampled_from("ab")
SIDE = st.integers(0, 4)
BOX = st.tuples(SIDE, SIDE, st.integers(1, 4), st.integers(1, 4))
SCORE = st.integers(1, 40).map(lambda n: n / 40)


def distinct_scores(rows: list[list[tuple[str, tuple[int, ...], float]]]) -> bool:
    scores = [each[2] for row in rows for each in row]
    return len(set(scores)) == len(scores)


TRUE = st.lists(st.lists(st.tuples(LABEL, BOX), max_size=3), min_size=1, max_size=4)
SAID = st.lists(st.lists(st.tuples(LABEL, BOX, SCORE), max_size=4), min_size=4, max_size=4).filter(
    distinct_scores
)


def corners(box: tuple[int, ...]) -> list[int]:
    x, y, width, height = box
    return [x, y, x + width, y + height]


def overlap(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    cells = [
        {(x, y) for x in range(b[0], b[0] + b[2]) for y in range(b[1], b[1] + b[3])}
        for b in (one, other)
    ]
    return len(cells[0] & cells[1]) / len(cells[0] | cells[1])


def line(*parts: object) -> str:
    return " ".join(map(str, parts))


def matched(
    true: list[tuple[str, tuple[int, ...]]],
    said: list[tuple[str, tuple[int, ...], float]],
    label: str,
    enough: Callable[[float], bool],
    of_equals: int,
) -> list[tuple[int, float]]:
    """Whether each box of a label takes one, with its confidence; the most confident first."""
    free = [box for each, box in true if each == label]
    found: list[tuple[int, float]] = []
    for _, box, sure in sorted((s for s in said if s[0] == label), key=lambda s: -s[2]):
        best = max((overlap(box, other) for other in free), default=0)
        if enough(best):
            free.remove([o for o in free if overlap(box, o) == best][of_equals])
        found.append((int(enough(best)), sure))
    return found


@given(TRUE, SAID)
@SLOW
def test_average_precision_of_boxes_is_taken_over_hits_misses_and_rejections(
    true: list[list[tuple[str, tuple[int, ...]]]],
    said: list[list[tuple[str, tuple[int, ...], float]]],
) -> None:
    said = said[: len(true)]
    found: list[float] = []
    for label in sorted({label for row in true for label, _ in row}):
        pairs: list[tuple[int, float]] = []
        for real, row in zip(true, said, strict=True):
            hits = matched(real, row, label, lambda iou: iou > 0.5, 0)
            missed = sum(each == label for each, _ in real) - sum(hit for hit, _ in hits)
            pairs += hits + [(1, 0.0)] * missed + [(0, 0.0)] * (not hits and not missed)
        found.append(SKLEARN.average_precision_score(*zip(*pairs, strict=True)))
    truth = texts(*(line(*(line(n, 1, *corners(b)) for n, b in row)) for row in true))
    guess = texts(*(line(*(line(n, s, *corners(b)) for n, b, s in row)) for row in said))
    expected = sum(found) / len(found) if found else 0
    assert score("voc_map", truth, guess) == pytest.approx(expected, abs=1e-9)


@given(TRUE, SAID)
@SLOW
def test_cocos_average_precision_takes_the_best_precision_at_each_of_101_recalls(
    true: list[list[tuple[str, tuple[int, ...]]]],
    said: list[list[tuple[str, tuple[int, ...], float]]],
) -> None:
    said = said[: len(true)]
    found: list[float] = []
    for label in sorted({label for row in true for label, _ in row}):
        n_true = sum(each == label for row in true for each, _ in row)
        pairs = [
            pair
            for real, row in zip(true, said, strict=True)
            for pair in matched(real, row, label, lambda iou: iou >= 0.4, -1)
        ]
        pairs.sort(key=lambda pair: -pair[1])
        right = np.cumsum([hit for hit, _ in pairs])
        points = [(r / n_true, r / (n + 1)) for n, r in enumerate(right)]
        at = [
            max((p for recall, p in points if recall >= r), default=0.0)
            for r in np.linspace(0, 1, 101)
        ]
        found.append(sum(at) / 101)
    truth = texts(*(line(*(line(n, *corners(b)) for n, b in row)) for row in true))
    guess = texts(*(line(*(line(n, s, *corners(b)) for n, b, s in row)) for row in said))
    expected = sum(found) / len(found) if found else 0
    assert score("coco_map", truth, guess, iou=0.4) == pytest.approx(expected, abs=1e-9)


def test_corners_that_are_read_as_sides_make_larger_boxes() -> None:
    truth, guess = texts("0 10 10 20 20"), texts("0 0.9 0 0 10 10")
    assert score("coco_map", truth, guess, iou=0.4) == 0
    shorter = texts("0 0.9 10 10 14 14")
    assert score("coco_map", truth, shorter, iou=0.4) == 0
    assert score("coco_map", truth, shorter, iou=0.4, corners=False) == pytest.approx(1)


def test_only_the_hundred_most_confident_boxes_of_an_image_count() -> None:
    wrong = line(*(line(0, 0.9, 50, 50, 60, 60) for _ in range(100)))
    truth = texts("0 1 1 9 9")
    assert score("coco_map", truth, texts(f"{wrong} 0 0.1 1 1 9 9"), iou=0.4) == 0


@given(
    st.lists(st.lists(st.tuples(LABEL, BOX), max_size=3), min_size=1, max_size=3),
    st.lists(st.lists(st.tuples(LABEL, SIDE, SIDE), max_size=4), min_size=3, max_size=3),
)
def test_points_are_right_strictly_inside_a_free_box_of_their_label(
    true: list[list[tuple[str, tuple[int, ...]]]], said: list[list[tuple[str, int, int]]]
) -> None:
    said = said[: len(true)]
    right = 0
    for boxes, points in zip(true, said, strict=True):
        free = list(points)
        for label, (x, y, width, height) in boxes:
            inside = [
                p for p in free if p[0] == label and x < p[1] < x + width and y < p[2] < y + height
            ]
            if inside:
                free.remove(inside[0])
                right += 1
    total = sum(map(len, true)) + sum(map(len, said))
    truth = texts(*(line(*(line(n, *b) for n, b in row)) for row in true))
    guess = texts(*(line(*(line(*p) for p in row)) for row in said))
    assert score("points_f1", truth, guess) == pytest.approx(2 * right / total if right else 0)


@pytest.mark.parametrize(
    ("cell", "said"),
    [("a 1", "multiple of 3"), ("a 1 x", "something else"), ("a 1 nan", "something else")],
)
def test_an_object_that_is_none_is_refused_with_its_row(cell: str, said: str) -> None:
    with pytest.raises(ValueError, match=f"row 2 .*{said}"):
        score("points_f1", texts("", ""), texts("a 1 2", cell))


# Cuboids


def slow_cuboids(
    true: list[list[tuple[str, tuple[int, ...]]]],
    said: list[list[tuple[str, tuple[int, ...], float]]],
) -> float:
    """Upright cuboids of whole sides, whose voxels are counted."""
    found: list[float] = []
    for real, row in zip(true, said, strict=True):
        for limit in (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95):
            each: list[float] = []
            for label in {label for label, _ in real}:
                boxes = [box for name, box in real if name == label]
                taken: set[int] = set()
                hits: list[int] = []
                for _, box, _ in sorted((s for s in row if s[0] == label), key=lambda s: -s[2]):
                    ious = [overlap(box, other) for other in boxes]
                    best = ious.index(max(ious))
                    hits.append(int(ious[best] > limit and best not in taken))
                    if hits[-1]:
                        taken.add(best)
                right = np.cumsum(hits)
                points = [(r / len(boxes), r / (n + 1)) for n, r in enumerate(right)]
                steps = sorted({recall for recall, _ in points if recall})
                area = sum(
                    (r - before) * max(p for recall, p in points if recall >= r)
                    for before, r in zip([0.0, *steps], steps, strict=False)
                )
                each.append(area)
            found.append(sum(each) / len(each) if each else 0)
    return sum(found) / len(found)


@given(TRUE, SAID)
@SLOW
def test_cuboids_are_averaged_over_labels_thresholds_and_samples(
    true: list[list[tuple[str, tuple[int, ...]]]],
    said: list[list[tuple[str, tuple[int, ...], float]]],
) -> None:
    said = said[: len(true)]

    def cuboid(label: str, box: tuple[int, ...], sure: float) -> str:
        x, y, along, across = box
        return line(sure, x + along / 2, y + across / 2, 7, across, along, 2, 0, label)

    truth = texts(*(line(*(cuboid(n, b, 1) for n, b in row)) for row in true))
    guess = texts(*(line(*(cuboid(*each) for each in row)) for row in said))
    assert score("cuboid_map", truth, guess) == pytest.approx(slow_cuboids(true, said))


def test_a_turned_cuboid_and_one_at_another_height_overlap_by_their_part() -> None:
    truth = texts("1 0 0 0 2 4 2 0 car")
    turned = texts(f"1 0 0 0 4 2 2 {math.pi / 2} car")  # the same, described from its other side
    assert score("cuboid_map", truth, turned) == pytest.approx(1)
    higher = texts("1 0 0 0.5 2 4 2 0 car")  # three quarters shared: an IoU of 0.6
    assert score("cuboid_map", truth, higher) == pytest.approx(0.2, abs=0.101)
    assert score("cuboid_map", truth, texts("1 0 0 2 2 4 2 0 car")) == 0
    assert score("cuboid_map", truth, texts("")) == 0
    with pytest.raises(ValueError, match="row 1 has a side"):
        score("cuboid_map", truth, texts("1 0 0 2 0 4 2 0 car"))
