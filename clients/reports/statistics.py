"""The arithmetic of reports: pure functions on numbers, each with its definition and source.

A mean is a mean of *task means*: every task weighs the same, however many of its sessions have a
score, so that a session that was lost doesn't shift weight to other tasks. Tasks are what is drawn
at random, with all their epochs; sessions of one task are not independent of each other. The
standard error that is clustered by task is then exactly the ordinary one of the task means, and a
bootstrap clustered by task is one of the task means. With equally many sessions per task both are
what Miller gives for the mean of sessions, with the small-sample factor G / (G - 1).

Source: E. Miller, "Adding Error Bars to Evals" (2024), arXiv:2411.00640.

What too few numbers cannot tell is None, never NaN or 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from math import comb
from typing import Any

import numpy as np

_stats: Any = import_module("scipy.stats")  # the same to type checkers with and without stubs

RESAMPLES = 10_000
"""Of each bootstrap, and the most sign flips that a test tries: all of them up to 13 tasks."""
SEED = 20240711
"""Of each interval and test by itself: the same numbers give the same bytes, in any company."""
CONFIDENCE = 0.95
BATCH = 500
"""Resamples at once: bounds memory, not results."""
DIGITS = 12
"""Everything is rounded to these, since sums depend on the order of adding."""


@dataclass(frozen=True)
class Estimate:
    """A mean of units that were drawn at random, and how far it can be trusted."""

    units: int
    """How many there were: tasks, or epochs of one task."""
    mean: float | None = None
    """None where there was no unit."""
    sem: float | None = None
    """Its standard error; None, as the interval, where there were fewer than two units."""
    low: float | None = None
    high: float | None = None
    """The bounds of the interval; where all units are equal, it has no width."""


def estimate(units: Sequence[float]) -> Estimate:
    """The mean of `units` with its standard error and bootstrap interval.

    The standard error is s / sqrt(n), with s the standard deviation that divides by n - 1. The
    interval is the percentile one: it stays within the range of the scores, and exists where all
    units are equal. With few units it is too narrow (Efron & Tibshirani 1993, chapter 13).

    Args:
        units: One value for each: task means, or the scores of one task's epochs.
    """
    if not units:
        return Estimate(0)
    values = np.asarray(units, float)
    mean = round(float(values.mean()), DIGITS)
    if len(values) == 1:
        return Estimate(1, mean)
    interval = _stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=RESAMPLES,
        batch=BATCH,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(SEED),
    ).confidence_interval
    spread = (_stats.sem(values), interval.low, interval.high)
    return Estimate(len(values), mean, *(round(float(each), DIGITS) for each in spread))


def mean(values: Sequence[float]) -> float | None:
    """The mean of `values`; None where there is none."""
    return round(float(np.mean(values)), DIGITS) if values else None


def pass_at_k(n: int, c: int, k: int) -> float | None:
    """The chance that at least one of `k` attempts passes: 1 - C(n - c, k) / C(n, k).

    Unbiased, for k attempts drawn without replacement from those that were made.

    Args:
        n: Attempts made.
        c: Attempts that passed.
        k: Attempts allowed.

    Returns:
        None where fewer than `k` attempts were made.

    Source: Chen et al., "Evaluating Large Language Models Trained on Code" (2021), section 2.1.
    """
    return None if n < k else 1.0 - comb(n - c, k) / comb(n, k)


def pass_hat_k(n: int, c: int, k: int) -> float | None:
    """The chance that all of `k` attempts pass: C(c, k) / C(n, k). None where n < k.

    Source: Yao et al., "tau-bench" (2024), arXiv:2406.12045, where it is called pass^k.
    """
    return None if n < k else comb(c, k) / comb(n, k)


def sign_flip_test(differences: Sequence[float]) -> float | None:
    """The two-sided p-value of the mean of `differences`, were their signs a matter of chance.

    It tests the very mean that is reported. Wilcoxon's test would test ranks instead, and has no
    good answer to the zeros and ties in which differences of graded scores abound. Exact up to 13
    differences; beyond, from a sample of all flips in which the observed one is counted.

    Args:
        differences: One for each task: its mean over the pairs.

    Returns:
        None where there are fewer than two.

    Source: R. A. Fisher, "The Design of Experiments" (1935), section 21.
    """
    if len(differences) < 2:  # noqa: PLR2004 - one sign flipped is no evidence
        return None
    found: Any = _stats.permutation_test(
        (np.asarray(differences, float),),
        _rounded_mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=BATCH,
        rng=np.random.default_rng(SEED),
    )
    return float(found.pvalue)


def smallest_p(n: int) -> float:
    """The least p-value that the sign-flip test can give for `n` differences."""
    flips = 2.0**n
    return 2 / flips if flips <= RESAMPLES else 2 / (RESAMPLES + 1)


def _rounded_mean(values: Any, axis: int) -> Any:  # noqa: ANN401 - arrays of any shape
    return values.mean(axis=axis).round(DIGITS)
