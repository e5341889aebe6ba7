"""Verdict: on portfolios never seen before, are disputes found without flagging everything?

Each case is a year of card transactions of a fresh issuer: the same columns, but its own risky
categories, entry modes and directions, so that only what is learnt from its training rows helps.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd
from probe_kit import Case, Invalid, Outputs

CATEGORIES = ("grocery", "fuel", "dining", "retail", "travel", "gaming", "telecom")
ENTRIES = ("chip", "contactless", "online", "stripe")
CATEGORY_RISK = np.array([-0.9, -0.6, -0.3, 0.0, 0.6, 1.3, 0.9])
ENTRY_RISK = np.array([-0.8, -0.5, 1.2, 0.4])
NUMBER_RISK = np.array([0.9, 0.8, 0.9, -0.9, 0.7])  # amount, abroad, tx_24h, merchant age, night

POOL_SHARE = 0.04
TOP_RISK = 0.45
"""At the usual shares of disputes even the riskiest transactions stay below even odds."""
STEEPNESS = 2.5

N_TRAIN = 4000
N_INCOMING = 4000
SHARES = {  # of disputes: a range per kind of case
    "few": (0.009, 0.012),
    "usual": (0.022, 0.028),
    "more": (0.04, 0.05),
    "half": (0.5, 0.5),
}
N_CASES = {"few": 2, "usual": 2, "more": 1, "half": 1}

# Measured for seeds 1 to 8. Right fixes: the reference solution, balanced class weights (logistic,
# forest, boosted trees), over- and undersampling, the cut at the training share or tuned for F1 or
# balanced accuracy, the grid scored by F1.
GAP_AT_LEAST = 0.36
"""Solution 0.71-0.76, right fixes 0.44-0.79; untouched 0.04-0.07, a cut fixed at 0.25 0.23-0.29."""
DISTURBED_AT_MOST = 0.30
"""Solution 0.16-0.21, right fixes up to 0.23; flagging everything 1."""
HALF_FOUND_AT_LEAST = 0.75
"""Solution 0.90-0.94, right fixes from 0.89; flagging the riskiest tenth 0.19."""
HALF_DISTURBED_AT_MOST = 0.27
"""Solution 0.12-0.15, right fixes up to 0.21; a weight fixed at 36 0.36-0.40."""

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Frame = tuple[pd.DataFrame, Ints]
Risks = tuple[Floats, Floats, Floats]
"""What is risky at one issuer: by category, by entry mode, by number."""


def fresh_risks(rng: np.random.Generator) -> Risks:
    """Draw which categories and entry modes are risky, and which way each number points."""
    signs = rng.choice([-1.0, 1.0], NUMBER_RISK.size)
    return rng.permutation(CATEGORY_RISK), rng.permutation(ENTRY_RISK), NUMBER_RISK * signs


def _year(rng: np.random.Generator, n_rows: int, risks: Risks) -> Frame:
    """Draw transactions and whether each came to a dispute, about `POOL_SHARE` of them."""
    category_risk, entry_risk, number_risk = risks
    season = np.where(np.arange(365) >= 320, 1.35, 1.0)
    day = rng.choice(365, n_rows, p=season / season.sum())
    hour = rng.choice(24, n_rows, p=np.r_[np.full(7, 0.016), np.full(17, 0.888 / 17)])
    log_amount = rng.normal(3.3, 1.15, n_rows) + 0.12 * (day >= 320)
    log_amount += (rng.random(n_rows) < 0.004) * rng.uniform(2.5, 4.5, n_rows)
    category = rng.choice(len(CATEGORIES), n_rows, p=[0.27, 0.12, 0.18, 0.2, 0.08, 0.07, 0.08])
    entry = rng.choice(len(ENTRIES), n_rows, p=[0.27, 0.36, 0.29, 0.08])
    abroad = (rng.random(n_rows) < 0.14).astype(np.int64)
    tx_24h = rng.poisson(rng.gamma(1.6, 1.1, n_rows))
    card_age = rng.integers(5, 2200, n_rows)
    merchant_age = np.ceil(rng.gamma(1.3, 700, n_rows)).astype(np.int64)
    numbers = np.column_stack([
        (log_amount - 3.3) / 1.2,
        (abroad - 0.14) / 0.35,
        (np.log1p(tx_24h) - 0.85) / 0.65,
        (np.log1p(merchant_age) - 6.4) / 1.1,
        ((hour < 7) - 0.112) / 0.32,
    ])  # fmt: skip
    score = category_risk[category] + entry_risk[entry] + np.clip(numbers, -3, 3) @ number_risk
    cut = np.quantile(score, 1 - POOL_SHARE / TOP_RISK)
    chance = TOP_RISK / (1 + np.exp(-STEEPNESS * (score - cut)))
    frame = pd.DataFrame({
        "day": day,
        "hour": hour,
        "amount": np.round(np.exp(log_amount), 2),
        "category": np.array(CATEGORIES)[category],
        "entry": np.array(ENTRIES)[entry],
        "abroad": abroad,
        "tx_24h": tx_24h,
        "card_age_days": card_age,
        "merchant_age_days": merchant_age,
    })  # fmt: skip
    return frame, (rng.random(n_rows) < chance).astype(np.int64)


def draw(rng: np.random.Generator, n_rows: int, share: float, risks: Risks) -> Frame:
    """Draw one issuer's year, ordered by day, with `share` of the rows disputed.

    The workspace's extract is 5800 rows from seed 7413 at a share of 0.025, with the risks
    `(CATEGORY_RISK, ENTRY_RISK, NUMBER_RISK)`.
    """
    pool, disputed = _year(rng, 16 * n_rows, risks)
    n_disputed = round(share * n_rows)
    kept = np.r_[
        rng.choice(np.flatnonzero(disputed == 1), n_disputed, replace=False),
        rng.choice(np.flatnonzero(disputed == 0), n_rows - n_disputed, replace=False),
    ]
    kept = kept[np.lexsort((rng.random(n_rows), pool["day"].to_numpy()[kept]))]
    return pool.iloc[kept].reset_index(drop=True), disputed[kept]


def cases(rng: np.random.Generator) -> list[Case]:
    """Draw five portfolios with few disputes and one sample that is half disputed."""
    wanted = [
        (f"{kind}-{number}", bounds)
        for kind, bounds in SHARES.items()
        for number in range(N_CASES[kind])
    ]
    drawn = [_case(rng, name, float(rng.uniform(*bounds))) for name, bounds in wanted]
    return [drawn[index] for index in rng.permutation(len(drawn))]


def _case(rng: np.random.Generator, name: str, share: float) -> Case:
    frame, disputed = draw(rng, N_TRAIN + N_INCOMING, share, fresh_risks(rng))
    return Case(
        name=name,
        inputs={
            "train": frame.iloc[:N_TRAIN],
            "disputed": disputed[:N_TRAIN],
            "incoming": frame.iloc[N_TRAIN:],
        },
        truth={"disputed": disputed[N_TRAIN:]},
    )


def _rates(
    cases: Mapping[str, Case], outputs: Mapping[str, Outputs], kind: str
) -> tuple[float, float]:
    """Shares flagged among the disputed and among the undisputed, over all cases of a kind."""
    found: list[Floats] = []
    disturbed: list[Floats] = []
    for name in sorted(cases):
        if not name.startswith(f"{kind}-"):
            continue
        disputed = cases[name].truth["disputed"]
        flags = outputs[name].numbers("flags", disputed.shape)
        if not bool(np.isin(flags, (0.0, 1.0)).all()):
            raise Invalid(f"case {name}: flags other than 0 and 1")
        found.append(flags[disputed == 1])
        disturbed.append(flags[disputed == 0])
    return float(np.concatenate(found).mean()), float(np.concatenate(disturbed).mean())


def _low_shares(
    cases: Mapping[str, Case], outputs: Mapping[str, Outputs]
) -> dict[str, tuple[float, float]]:
    return {kind: _rates(cases, outputs, kind) for kind in SHARES if kind != "half"}


def disputes_found(cases: Mapping[str, Case], outputs: Mapping[str, Outputs]) -> tuple[float, str]:
    """Are disputed transactions flagged far more often than others, where few are disputed?"""
    rates = _low_shares(cases, outputs)
    gap = float(np.mean([found - disturbed for found, disturbed in rates.values()]))
    each = ", ".join(f"{kind} {found:.2f}" for kind, (found, _) in rates.items())
    return float(gap >= GAP_AT_LEAST), (
        f"share of disputes flagged: {each}; on average {gap:.2f} above"
        f" the share of the rest flagged (at least {GAP_AT_LEAST})"
    )


def rest_left_alone(cases: Mapping[str, Case], outputs: Mapping[str, Outputs]) -> tuple[float, str]:
    """Does the desk not drown in transactions that nobody disputes?"""
    rates = _low_shares(cases, outputs)
    worst = max(disturbed for _, disturbed in rates.values())
    each = ", ".join(f"{kind} {disturbed:.2f}" for kind, (_, disturbed) in rates.items())
    return float(worst <= DISTURBED_AT_MOST), (
        f"share of undisputed transactions flagged: {each} (at most {DISTURBED_AT_MOST})"
    )


def half_disputed(cases: Mapping[str, Case], outputs: Mapping[str, Outputs]) -> tuple[float, str]:
    """Control: is the auditors' sample, half of it disputed, told apart well?"""
    found, disturbed = _rates(cases, outputs, "half")
    passed = found >= HALF_FOUND_AT_LEAST and disturbed <= HALF_DISTURBED_AT_MOST
    return float(passed), (
        f"half disputed: {found:.2f} of the disputed flagged (at least {HALF_FOUND_AT_LEAST}),"
        f" {disturbed:.2f} of the rest (at most {HALF_DISTURBED_AT_MOST})"
    )


CHECKS = {
    "disputes_found": disputes_found,
    "rest_left_alone": rest_left_alone,
    "half_disputed": half_disputed,
}
