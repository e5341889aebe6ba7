"""Metrics of competitions, each against a slow and obvious way to say the same."""

import math
from collections.abc import Callable
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proctor.evaluator.metrics import METRICS
from proctor.evaluator.metrics.base import SKLEARN, Metric
from proctor.evaluator.metrics.tokens import inversions

COMPETITION_METRICS = {
    "accuracy": "accuracy",
    "binary_log_loss": "log_loss",
    "coco_map_0.4": "coco_map",
    "dice_hausdorff": "dice_hausdorff",
    "fbeta_0.5": "fbeta_half",
    "global_dice": "global_dice",
    "group_mean_log_mae": "group_mean_log_mae",
    "jigsaw_bias_auc": "bias_auc",
    "kendall_tau_ranking": "kendall_tau",
    "kl_divergence": "kl_divergence",
    "kuzushiji_f1": "points_f1",
    "laplace_log_likelihood": "laplace_log_likelihood",
    "lwlrap": "lwlrap",
    "lyft_3d_map": "cuboid_map",
    "macro_f1": "f1_macro",
    "mae_int": "mae_int",
    "map_at_k": "map_at_k",
    "masked_mae": "masked_mae",
    "matthews_corrcoef": "matthews_corrcoef",
    "mcrmse": "mcrmse",
    "mean_angular_error": "mean_angular_error",
    "mean_column_rmsle": "mean_column_rmsle",
    "mean_column_roc_auc": "mean_column_roc_auc",
    "mean_column_spearman": "mean_column_spearman",
    "mean_dice": "mean_dice",
    "mean_levenshtein": "mean_levenshtein",
    "mean_of_p50_p95_haversine": "mean_haversine",
    "mean_precision_iou_thresholds": "mean_precision_iou",
    "micro_f1": "accuracy",
    "micro_f1_multilabel": "f1_micro_multilabel",
    "multiclass_log_loss": "log_loss",
    "normalised_levenshtein": "normalised_levenshtein",
    "nq_micro_f1": "span_accuracy",
    "pearson": "pearson",
    "probabilistic_f1": "probabilistic_f1",
    "quadratic_weighted_kappa": "quadratic_kappa_seen",
    "rmse": "rmse",
    "roc_auc": "roc_auc",
    "top1_error": "top1_error",
    "voc_map_0.5": "voc_map",
    "weighted_auroc": "weighted_auroc",
    "weighted_multilabel_log_loss": "weighted_multilabel_log_loss",
    "word_jaccard_mean": "word_jaccard",
    "word_jaccard_samples": "word_jaccard",
}
"""What MLE-bench's competitions are scored by, and what that is called here."""

FINITE = st.floats(-1e6, 1e6)
UNIT = st.floats(0, 1)
SLOW = settings(max_examples=50)


def score(name: str, truth: object, predicted: object, **others: object) -> float:
    return METRICS[name].score(np.asarray(truth), np.asarray(predicted), **others)


def texts(*cells: str) -> np.ndarray:
    return np.array(cells, dtype=object)


@pytest.mark.parametrize(("theirs", "ours"), COMPETITION_METRICS.items())
def test_every_metric_of_the_competitions_is_there(theirs: str, ours: str) -> None:
    assert METRICS[ours].name == ours, theirs


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_a_metric_says_what_it_is_and_one_that_asks_for_more_where_it_is_from(
    metric: Metric,
) -> None:
    said = metric.score.__doc__ or ""
    assert said
    assert metric.plain or "Source: " in said or "The mean of the columns'" in said


# Labels


LABELS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), min_size=1, max_size=30)


@given(LABELS)
def test_matthews_is_the_correlation_of_indicator_columns(pairs: list[tuple[int, int]]) -> None:
    truth, found = np.array(pairs).T
    classes = range(5)
    real = [np.array(truth == c, float) for c in classes]
    said = [np.array(found == c, float) for c in classes]

    def covariance(a: list[np.ndarray], b: list[np.ndarray]) -> float:
        return sum(float(np.cov(x, y, ddof=0)[0, 1]) for x, y in zip(a, b, strict=True))

    spread = covariance(real, real) * covariance(said, said)
    expected = covariance(real, said) / math.sqrt(spread) if spread > 1e-12 else 0
    assert score("matthews_corrcoef", truth, found) == pytest.approx(expected, abs=1e-9)


@given(LABELS)
def test_counted_labels_give_what_scikit_learn_gives(pairs: list[tuple[int, int]]) -> None:
    truth, found = np.array(pairs).T
    expected = SKLEARN.f1_score(truth, found, average="macro", zero_division=0)
    assert score("f1_macro", truth, found) == pytest.approx(expected)
    assert score("accuracy", truth, found) == pytest.approx(
        SKLEARN.f1_score(truth, found, average="micro")
    )
    assert score("top1_error", truth, found) == pytest.approx(
        1 - SKLEARN.accuracy_score(truth, found)
    )


@given(LABELS.filter(lambda pairs: len({t for t, _ in pairs}) > 1))
def test_kappa_of_the_grades_seen_is_scikit_learns(pairs: list[tuple[int, int]]) -> None:
    truth, found = np.array(pairs, dtype=float).T
    expected = SKLEARN.cohen_kappa_score(truth.astype(int), found.astype(int), weights="quadratic")
    assert score("quadratic_kappa_seen", truth, found) == pytest.approx(expected)


# Scores

BINARY = st.lists(
    st.tuples(st.booleans(), st.integers(0, 8).map(lambda n: n / 8)), min_size=2, max_size=30
).filter(lambda pairs: len({truth for truth, _ in pairs}) == 2)


@given(BINARY)
def test_the_weighted_area_counts_what_lies_below_the_bend_twice(
    pairs: list[tuple[bool, float]],
) -> None:
    truth, scores = np.array(pairs, dtype=float).T
    false, true, _ = SKLEARN.roc_curve(truth, scores, drop_intermediate=False)
    area = 0.0
    for (x0, y0), (x1, y1) in pairwise(zip(false, true, strict=True)):
        for step in range(400):  # each segment in small steps
            y = y0 + (y1 - y0) * (step + 0.5) / 400
            area += (x1 - x0) / 400 * (2 * min(y, 0.4) + max(y - 0.4, 0))
    assert score("weighted_auroc", truth, scores) == pytest.approx(area / 1.4, abs=1e-5)


def test_a_perfect_order_has_a_weighted_area_of_one_and_a_random_one_of_less() -> None:
    assert score("weighted_auroc", [0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4]) == pytest.approx(1)
    assert score("weighted_auroc", [0, 1], [0.5, 0.5]) == pytest.approx((0.32 * 2 + 0.18) / 1.4)


def test_areas_need_both_classes() -> None:
    for name in ("roc_auc", "weighted_auroc"):
        with pytest.raises(ValueError, match="both classes"):
            score(name, [1, 1], [0.2, 0.3])


def slow_auc(truth: list[bool], scores: list[float]) -> float:
    positive = [s for t, s in zip(truth, scores, strict=True) if t]
    negative = [s for t, s in zip(truth, scores, strict=True) if not t]
    wins = sum((p > n) + (p == n) / 2 for p in positive for n in negative)
    return wins / len(positive) / len(negative)


@pytest.mark.parametrize("cutoff", [None, 0.5])
def test_bias_auc_is_a_quarter_of_each_of_its_parts(cutoff: float | None) -> None:
    rng = np.random.default_rng(1)
    truth, found, named = rng.random(80), rng.random(80), rng.random((80, 3))
    named[rng.random((80, 3)) < 0.1] = np.nan
    toxic = [bool(t >= 0.5) for t in truth]
    said = [float(f if cutoff is None else f >= cutoff) for f in found]
    total = slow_auc(toxic, said)
    conditions: list[Callable[[bool, bool], bool]] = [
        lambda _, is_named: is_named,
        lambda is_toxic, is_named: (not is_toxic and is_named) or (is_toxic and not is_named),
        lambda is_toxic, is_named: (is_toxic and is_named) or (not is_toxic and not is_named),
    ]
    for condition in conditions:
        powers: list[float] = []
        for column in range(3):
            rows = [n for n in range(80) if condition(toxic[n], bool(named[n, column] >= 0.5))]
            powers.append(slow_auc([toxic[n] for n in rows], [said[n] for n in rows]) ** -5)
        total += (sum(powers) / 3) ** (-1 / 5)
    assert score("bias_auc", truth, found, identities=named, cutoff=cutoff) == pytest.approx(
        total / 4
    )


@given(BINARY)
def test_probabilistic_f1_is_f1_with_probabilities_for_counts(
    pairs: list[tuple[bool, float]],
) -> None:
    hit = sum(p for t, p in pairs if t)
    wrong = sum(p for t, p in pairs if not t)
    truth, scores = np.array(pairs, dtype=float).T
    if hit + wrong == 0:
        with pytest.raises(ValueError, match="above 0"):
            score("probabilistic_f1", truth, scores)
        return
    precision, recall = hit / (hit + wrong), hit / sum(t for t, _ in pairs)
    expected = 2 * precision * recall / (precision + recall) if hit else 0
    assert score("probabilistic_f1", truth, scores) == pytest.approx(expected)


def test_log_loss_keeps_a_certain_error_finite_by_its_clip() -> None:
    assert score("log_loss", [1.0], [0.0], clip=2**-52) == pytest.approx(52 * math.log(2))
    assert score("log_loss", [1.0], [0.0]) == pytest.approx(-math.log(1e-15))
    perfect = score("log_loss", np.eye(3), np.eye(3), clip=2**-52)
    assert 0 <= perfect < 1e-15


# Numbers


@given(st.lists(st.tuples(FINITE, FINITE, st.integers(0, 2)), min_size=1, max_size=30))
def test_errors_by_group_and_mask_are_as_written_out(rows: list[tuple[float, float, int]]) -> None:
    truth, found, group = (np.array(each) for each in zip(*rows, strict=True))
    by_group: dict[int, list[float]] = {}
    for t, f, g in rows:
        by_group.setdefault(g, []).append(abs(t - f))
    means = [sum(each) / len(each) for each in by_group.values()]
    logs = [math.log(m) if m > 0 else -math.inf for m in means]
    expected = sum(logs) / len(logs)
    assert score("group_mean_log_mae", truth, found, group=group) == pytest.approx(expected)
    kept = by_group.get(0)
    if kept:
        assert score("masked_mae", truth, found, masked=group) == pytest.approx(
            sum(kept) / len(kept)
        )
    else:
        with pytest.raises(ValueError, match="masked"):
            score("masked_mae", truth, found, masked=group)
    errors = [abs(t - f) for t, f, _ in rows]
    assert score("mae_int", truth, found) == round(float(np.mean(errors)))


def slow_pearson(a: list[float], b: list[float]) -> float:
    x, y = ([v - math.fsum(each) / len(each) for v in each] for each in (a, b))
    top = math.fsum(p * q for p, q in zip(x, y, strict=True))
    return top / math.sqrt(math.fsum(p * p for p in x) * math.fsum(q * q for q in y))


PLAIN = st.lists(
    st.tuples(st.integers(-50, 50), st.integers(-50, 50)), min_size=2, max_size=20
).filter(lambda pairs: all(len(set(column)) > 1 for column in zip(*pairs, strict=True)))


@given(PLAIN)
def test_correlations_are_as_written_out(pairs: list[tuple[int, int]]) -> None:
    truth, found = ([float(v) for v in column] for column in zip(*pairs, strict=True))
    assert score("pearson", truth, found) == pytest.approx(slow_pearson(truth, found), abs=1e-9)

    def ranks(values: list[float]) -> list[float]:
        return [sum(w < v for w in values) + (values.count(v) + 1) / 2 for v in values]

    expected = (slow_pearson(ranks(truth), ranks(found)) + 1) / 2
    both = np.stack([truth, truth], axis=1), np.stack([found, truth], axis=1)
    assert score("mean_column_spearman", *both) == pytest.approx(expected, abs=1e-9)


def test_a_prediction_that_does_not_vary_has_no_correlation() -> None:
    assert math.isnan(score("pearson", [1.0, 2.0], [3.0, 3.0]))
    truth, found = np.array([[1.0, 1], [2, 2]]), np.array([[1.0, 0], [2, 0]])
    assert math.isnan(score("mean_column_spearman", truth, found))
    with pytest.raises(ValueError, match="varies"):
        score("pearson", [1.0, 1.0], [3.0, 4.0])


# Several columns


def test_rows_with_a_negative_label_are_left_out_of_column_areas() -> None:
    truth = np.array([[1, 0], [0, 1], [-1, -1], [1, 1]])
    scores = np.array([[0.9, 0.1], [0.2, 0.6], [0.0, 1.0], [0.1, 0.7]])
    assert score("mean_column_roc_auc", truth, scores) == pytest.approx((0.5 + 1) / 2)


@given(st.lists(st.tuples(UNIT, UNIT, UNIT, UNIT, st.booleans()), min_size=1, max_size=12))
def test_errors_of_columns_are_averaged(
    rows: list[tuple[float, float, float, float, bool]],
) -> None:
    table = np.array(rows, dtype=float)
    truth, found, kept = table[:, :2], table[:, 2:4], table[:, 4]
    expected = np.mean(
        [
            math.sqrt(np.mean([(math.log1p(r[c]) - math.log1p(r[c + 2])) ** 2 for r in rows]))
            for c in (0, 1)
        ]
    )
    assert score("mean_column_rmsle", truth, found) == pytest.approx(expected)
    if kept.any():
        left = [r for r in rows if r[4]]
        by_hand = [math.sqrt(sum((r[c] - r[c + 2]) ** 2 for r in left) / len(left)) for c in (0, 1)]
        assert score("mcrmse", truth, found, kept=kept) == pytest.approx(sum(by_hand) / 2)


@given(st.integers(0, 10**6))
@SLOW
def test_lwlrap_averages_the_precision_at_each_true_label(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, scores = rng.random((6, 4)) < 0.4, rng.integers(0, 4, (6, 4)) / 4
    found: list[float] = []
    for real, row in zip(truth, scores, strict=True):
        for label in np.flatnonzero(real):
            above = [n for n in range(4) if row[n] >= row[label]]
            found.append(sum(bool(real[n]) for n in above) / len(above))
    if found:
        assert score("lwlrap", truth.astype(int), scores) == pytest.approx(sum(found) / len(found))


def test_divergence_is_summed_over_classes_and_averaged_over_rows() -> None:
    votes, found = np.array([[2.0, 2], [0, 3]]), np.array([[0.25, 0.75], [0.5, 0.5]])
    first = 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)
    assert score("kl_divergence", votes, found) == pytest.approx((first + math.log(2)) / 2)
    certain = score("kl_divergence", np.array([[1.0, 0]]), np.array([[0.0, 1]]))
    assert certain == pytest.approx(-math.log(1e-15))
    with pytest.raises(ValueError, match="no votes"):
        score("kl_divergence", np.zeros((1, 2)), found[:1])


ANGLES = st.tuples(*[st.floats(0, 2 * math.pi), st.floats(0, math.pi)] * 2)


@given(st.lists(ANGLES, min_size=1, max_size=10))
def test_the_angle_between_directions_is_that_of_their_vectors(
    rows: list[tuple[float, float, float, float]],
) -> None:
    def vector(azimuth: float, zenith: float) -> list[float]:
        across = math.sin(zenith)
        return [math.cos(azimuth) * across, math.sin(azimuth) * across, math.cos(zenith)]

    dots = [
        sum(a * b for a, b in zip(vector(*row[:2]), vector(*row[2:]), strict=True)) for row in rows
    ]
    expected = sum(math.acos(max(-1, min(1, dot))) for dot in dots) / len(dots)
    table = np.array(rows)
    assert score("mean_angular_error", table[:, :2], table[:, 2:]) == pytest.approx(
        expected, abs=1e-6
    )


# Groups


def test_the_loss_of_a_study_weighs_what_is_overall_and_what_is_true() -> None:
    rows = texts("a_C1", "b_C1", "a_patient_overall", "b_patient_overall")
    truth, found = np.array([1.0, 0, 1, 0]), np.array([0.5, 0.25, 0.125, 0.0])
    of_a = (2 * -math.log(0.5) + 14 * -math.log(0.125)) / 16
    of_b = (1 * -math.log(0.75) + 7 * -math.log(1 - 1e-15)) / 8
    found_loss = score("weighted_multilabel_log_loss", truth, found, rows=rows)
    assert found_loss == pytest.approx((of_a + of_b) / 2)


def test_only_the_three_last_measured_weeks_of_a_patient_count() -> None:
    rows = texts("p_1", "p_10", "p_-3", "p_2", "p_11", "q_5")
    truth = np.array([2000.0, 2100, 9000, 2200, np.nan, 3000])
    found = np.array([[2000.0, 70], [2100, 10], [0, 1], [2300, 200], [0, 0], [5000, 100]])
    root = math.sqrt(2)
    expected = [
        -math.log(root * 70),
        -math.log(root * 70),
        -root * 100 / 200 - math.log(root * 200),
        -root * 1000 / 100 - math.log(root * 100),
    ]
    patients = texts("p", "p", "p", "p", "p", "q")
    found_score = score("laplace_log_likelihood", truth, found, patients=patients, rows=rows)
    assert found_score == pytest.approx(sum(expected) / 4)


@given(st.lists(st.tuples(st.floats(-80, 80), st.floats(-170, 170)), min_size=1, max_size=9))
def test_distances_of_a_trip_are_its_percentiles(points: list[tuple[float, float]]) -> None:
    truth = np.array(points)
    found = truth + np.array([0.5, 1.0])
    trips = np.arange(len(points)) % 2
    metres: dict[int, list[float]] = {}
    for n, ((lat, lon), (lat2, lon2)) in enumerate(zip(truth, found, strict=True)):
        a, b, c, d = map(math.radians, (lat, lon, lat2, lon2))
        cosine = math.sin(a) * math.sin(c) + math.cos(a) * math.cos(c) * math.cos(b - d)
        metres.setdefault(n % 2, []).append(6_371_000 * math.acos(min(1, cosine)))
    each = [(np.percentile(m, 50) + np.percentile(m, 95)) / 2 for m in metres.values()]
    assert score("mean_haversine", truth, found, trips=trips) == pytest.approx(
        np.mean(each), rel=1e-5
    )


# Texts and tokens

WORDS = st.text("abc ", max_size=8)
ROWS = st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=8)


def slow_edits(a: list[str], b: list[str]) -> int:
    if not a or not b:
        return len(a) + len(b)
    return min(
        slow_edits(a[1:], b) + 1,
        slow_edits(a, b[1:]) + 1,
        slow_edits(a[1:], b[1:]) + (a[0] != b[0]),
    )


@given(
    st.lists(
        st.tuples(st.text("ab-é", max_size=5), st.text("ab-é", max_size=5)), min_size=1, max_size=4
    )
)
@SLOW
def test_edits_are_counted_per_character(rows: list[tuple[str, str]]) -> None:
    expected = sum(slow_edits(list(t), list(f)) for t, f in rows) / len(rows)
    truth, found = (texts(*column) for column in zip(*rows, strict=True))
    assert score("mean_levenshtein", truth, found) == pytest.approx(expected)


def test_edits_of_sequences_are_counted_per_number() -> None:
    truth, found = texts("1 2 13", "4"), texts("1 13", "-1 -2")
    assert score("normalised_levenshtein", truth, found) == pytest.approx(3 / 4)
    with pytest.raises(ValueError, match="row 2"):
        score("normalised_levenshtein", truth, texts("1", "x"))


@given(ROWS)
def test_shared_words_are_divided_by_all_words(rows: list[tuple[str, str]]) -> None:
    def worth(truth: str, found: str) -> float:
        real, said = set(truth.lower().split()), set(found.lower().split())
        return len(real & said) / len(real | said) if real | said else 0.0

    truth, found = (texts(*column) for column in zip(*rows, strict=True))
    expected = sum(worth(t, f) for t, f in rows) / len(rows)
    assert score("word_jaccard", truth, found) == pytest.approx(expected)
    if any(not t.split() and not f.split() for t, f in rows):
        with pytest.raises(ValueError, match="empty"):
            score("word_jaccard", truth, found, both_empty="invalid")


@given(ROWS)
def test_labels_that_no_answer_has_are_no_error(rows: list[tuple[str, str]]) -> None:
    known = {label for truth, _ in rows for label in truth.split()}
    right = said = real = 0
    for t, f in rows:
        real_, said_ = set(t.split()), set(f.split()) & known
        right, said, real = right + len(real_ & said_), said + len(said_), real + len(real_)
    truth, found = (texts(*column) for column in zip(*rows, strict=True))
    expected = 2 * right / (said + real) if said + real else 0
    assert score("f1_micro_multilabel", truth, found) == pytest.approx(expected)


@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from("abcdef"), min_size=1), st.lists(st.sampled_from("abcdefg"))
        ),
        min_size=1,
        max_size=8,
    ),
    st.integers(1, 5),
)
def test_precision_at_k_counts_each_right_guess_once(
    rows: list[tuple[list[str], list[str]]], k: int
) -> None:
    found: list[float] = []
    for truth, guesses in rows:
        hits, precision = 0, 0.0
        for place, guess in enumerate(guesses[:k]):
            if guess in truth and guess not in guesses[:place]:
                hits += 1
                precision += hits / (place + 1)
        found.append(precision / min(len(set(truth)), k))
    cells = [texts(*(" ".join(words) for words in column)) for column in zip(*rows, strict=True)]
    assert score("map_at_k", *cells, k=k) == pytest.approx(sum(found) / len(found))


def test_an_answer_is_needed_for_precision_at_k() -> None:
    with pytest.raises(ValueError, match="no answer"):
        score("map_at_k", texts("a", ""), texts("a", "b"), k=5)


def test_zeros_in_front_of_a_guess_count_unless_it_is_said_otherwise() -> None:
    truth, found = texts("010 7", "00"), texts("10 07", "0")
    assert score("map_at_k", truth, found, k=2) == 0
    assert score("map_at_k", truth, found, k=2, leading_zeros="passed over") == 1
    assert score("map_at_k", truth, found, k=2, leading_zeros="none in truth") == 0.75


@given(st.permutations(range(13)))
def test_inversions_are_pairs_in_the_wrong_order(order: list[int]) -> None:
    assert inversions(np.array(order)) == sum(a > b for a, b in combinations(order, 2))


@given(st.lists(st.permutations("abcdefg").map("".join), min_size=1, max_size=5), st.integers(2, 7))
def test_orders_are_compared_over_the_pairs_of_all_rows(orders: list[str], length: int) -> None:
    said = ["".join(c for c in order if c in "abcdefg"[:length]) for order in orders]
    swaps = sum(a > b for order in said for a, b in combinations(order, 2))
    expected = 1 - 4 * swaps / (len(said) * length * (length - 1))
    truth = texts(*[" ".join("abcdefg"[:length])] * len(said))
    assert score("kendall_tau", truth, texts(*map(" ".join, said))) == pytest.approx(expected)


@pytest.mark.parametrize("found", ["a b", "a b b", "a b x", "a b c c", ""])
def test_what_is_no_permutation_is_refused_with_its_row(found: str) -> None:
    with pytest.raises(ValueError, match="row 2"):
        score("kendall_tau", texts("a b", "a b c"), texts("b a", found))


def test_an_answer_counts_where_it_is_right_or_rightly_left_out() -> None:
    truth = texts("1:4", "", "2:3 YES", "5:6", "", "1:2")
    found = texts("1:4", " ", "YES", "5:7", "1:2", "")
    assert score("span_accuracy", truth, found) == pytest.approx(3 / 6)
    with pytest.raises(ValueError, match="row 1"):
        score("span_accuracy", truth[:1], texts("one to four"))
