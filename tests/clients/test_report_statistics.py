"""The arithmetic of reports, held against scipy, statsmodels, and what can be counted by hand."""

from collections.abc import Sequence
from importlib import import_module
from itertools import combinations, product
from math import comb, inf, isfinite
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proctor.clients.reports.statistics import (
    CONFIDENCE,
    RESAMPLES,
    SEED,
    estimate,
    mean,
    pass_at_k,
    pass_hat_k,
    sign_flip_test,
    smallest_p,
)

unhurried = settings(max_examples=60)
stats: Any = import_module("scipy.stats")
scores = st.floats(0, 1, allow_nan=False)
attempts = st.integers(1, 12).flatmap(
    lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))
)


def clustered(tasks: Sequence[Sequence[float]], weights: Sequence[float]) -> float:
    """Statsmodels' standard error of a weighted mean of sessions, clustered by task.

    Its factor for small samples, G/(G-1) * (N-1)/(N-K), is G/(G-1) for a mean, where K is 1.
    """
    api: Any = import_module("statsmodels.api")
    values = [score for task in tasks for score in task]
    groups = [number for number, task in enumerate(tasks) for _ in task]
    model = api.WLS(values, np.ones(len(values)), weights=weights)
    return float(model.fit(cov_type="cluster", cov_kwds={"groups": np.array(groups)}).bse[0])


@unhurried
@given(st.lists(scores, min_size=2, max_size=30))
def test_the_standard_error_is_scipys(values: list[float]) -> None:
    assert estimate(values).sem == pytest.approx(stats.sem(values), abs=1e-11)


def test_with_equally_many_epochs_the_error_is_that_of_clustered_ols() -> None:
    tasks = np.random.default_rng(1).beta(2, 1, (9, 4)) * np.linspace(0.2, 1, 9)[:, None]
    found = estimate(tasks.mean(axis=1).tolist())
    assert found.mean == pytest.approx(tasks.mean())
    assert found.sem == pytest.approx(clustered(tasks.tolist(), np.ones(36).tolist()), abs=1e-9)
    naive = tasks.std(ddof=1) / np.sqrt(tasks.size)
    assert found.sem is not None
    assert found.sem > 1.5 * naive


def test_with_unequal_numbers_it_is_that_of_tasks_that_weigh_the_same() -> None:
    tasks = [[0.1], [0.5, 0.9, 0.6], [1.0, 0.8], [0.3, 0.2, 0.4, 0.9]]
    weights = [1 / len(task) for task in tasks for _ in task]
    found = estimate([float(np.mean(task)) for task in tasks])
    assert found.sem == pytest.approx(clustered(tasks, weights), abs=1e-9)


def test_millers_formula_gives_the_error_but_for_its_small_sample_factor() -> None:
    tasks = np.random.default_rng(2).random((7, 3))
    off = tasks - tasks.mean()
    variance = sum(np.outer(row, row).sum() for row in off) / tasks.size**2
    found = estimate(tasks.mean(axis=1).tolist())
    assert found.sem == pytest.approx(np.sqrt(variance * 7 / 6))


def test_the_interval_is_that_of_resampling_tasks_with_all_their_epochs() -> None:
    tasks = np.random.default_rng(3).random((8, 5))
    found = estimate(tasks.mean(axis=1).tolist())
    drawn = np.random.default_rng(SEED).integers(0, 8, (RESAMPLES, 8))
    means = tasks[drawn].reshape(RESAMPLES, -1).mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    assert (found.low, found.high) == (pytest.approx(low, abs=0.01), pytest.approx(high, abs=0.01))


def test_the_interval_of_three_units_is_that_of_all_their_resamples() -> None:
    values = [0.0, 0.3, 1.0]
    means = [float(np.mean(drawn)) for drawn in product(values, repeat=3)]
    low, high = np.quantile(means, [0.025, 0.975], method="inverted_cdf")
    found = estimate(values)
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))


def test_with_many_units_the_interval_is_the_normal_one() -> None:
    values = np.random.default_rng(4).random(400)
    found = estimate(values.tolist())
    low, high = stats.norm.interval(CONFIDENCE, values.mean(), stats.sem(values))
    assert (found.low, found.high) == (
        pytest.approx(low, abs=0.002),
        pytest.approx(high, abs=0.002),
    )


@unhurried
@given(st.lists(scores, max_size=12))
def test_an_estimate_is_in_order_within_the_scores_and_repeats(values: list[float]) -> None:
    found = estimate(values)
    assert estimate(values) == found
    assert found.units == len(values)
    if len(values) < 2:
        assert (found.sem, found.low, found.high) == (None, None, None)
        assert found.mean == (pytest.approx(values[0], abs=1e-11) if values else None)
        return
    assert found.mean is not None
    assert found.low is not None
    assert found.high is not None
    slack = 1e-9
    assert min(values) - slack <= found.low <= found.mean + slack
    assert found.mean - slack <= found.high <= max(values) + slack


def test_units_that_are_all_equal_have_an_interval_without_width() -> None:
    found = estimate([0.1] * 7)
    assert (found.mean, found.sem, found.low, found.high) == (0.1, 0.0, 0.1, 0.1)


def test_the_mean_of_nothing_is_unknown() -> None:
    assert mean([]) is None


@unhurried
@given(attempts)
def test_pass_rates_are_what_counting_every_choice_gives(case: tuple[int, int, int]) -> None:
    n, c, k = case
    choices = list(combinations([True] * c + [False] * (n - c), k))
    assert pass_at_k(n, c, k) == pytest.approx(sum(map(any, choices)) / comb(n, k))
    assert pass_hat_k(n, c, k) == pytest.approx(sum(map(all, choices)) / comb(n, k))


@unhurried
@given(attempts)
def test_pass_rates_are_scipys_hypergeometric_ones(case: tuple[int, int, int]) -> None:
    n, c, k = case
    drawn = stats.hypergeom(n, c, k)
    assert pass_at_k(n, c, k) == pytest.approx(1 - drawn.pmf(0), abs=1e-9)
    assert pass_hat_k(n, c, k) == pytest.approx(drawn.pmf(k), abs=1e-9)


@unhurried
@given(st.integers(0, 5), st.integers(1, 5))
def test_too_few_attempts_have_no_pass_rate(n: int, more: int) -> None:
    assert pass_at_k(n, n, n + more) is None
    assert pass_hat_k(n, n, n + more) is None


def test_pass_at_k_has_no_bias() -> None:
    chance, n, k = 0.3, 6, 4
    counts = stats.binom(n, chance)
    expected = sum(counts.pmf(c) * (pass_at_k(n, c, k) or 0) for c in range(n + 1))
    assert expected == pytest.approx(1 - (1 - chance) ** k)


@unhurried
@given(st.lists(st.integers(-20, 20), min_size=2, max_size=9))
def test_up_to_13_differences_the_test_tries_every_flip(tenths: list[int]) -> None:
    observed = abs(sum(tenths))
    flips = [abs(sum(s * d for s, d in zip(signs, tenths, strict=True)))
             for signs in product((1, -1), repeat=len(tenths))]  # fmt: skip
    exact = sum(flip >= observed for flip in flips) / len(flips)
    assert sign_flip_test([d / 10 for d in tenths]) == pytest.approx(min(1, exact))


def test_with_many_differences_the_test_agrees_with_t_and_repeats() -> None:
    differences = np.random.default_rng(5).normal(0.02, 0.1, 200).tolist()
    p = sign_flip_test(differences)
    assert p == pytest.approx(stats.ttest_1samp(differences, 0).pvalue, abs=0.02)
    assert sign_flip_test(differences) == p


def test_no_difference_is_no_evidence_and_one_task_no_test() -> None:
    assert sign_flip_test([0.0] * 6) == 1
    assert sign_flip_test([0.5]) is None
    assert sign_flip_test([]) is None


@pytest.mark.parametrize("n", [2, 5, 13, 20])
def test_the_smallest_p_is_that_of_differences_of_one_sign(n: int) -> None:
    assert sign_flip_test([0.1 * i for i in range(1, n + 1)]) == pytest.approx(
        smallest_p(n), rel=1 if n > 13 else 1e-9
    )


@unhurried
@given(st.lists(st.floats(-1, 1, allow_nan=False), min_size=2, max_size=20))
def test_a_p_value_is_a_finite_share(differences: list[float]) -> None:
    p = sign_flip_test(differences)
    assert p is not None
    assert isfinite(p)
    assert 0 < p <= 1 < inf
