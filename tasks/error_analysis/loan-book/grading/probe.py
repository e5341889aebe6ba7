"""Books that nobody has seen: what is learnt from their rows, and what is merely remembered.

Four kinds of book, all with the columns, the shape and the default rate of the workspace's own:

* ordinary books, drawn like ``data/loans.csv``;
* noise books, whose outcomes have nothing to do with any column: nothing can be learnt there;
* a vendor book, where some vendor columns drive the outcome in a straight line (positive control);
* a bent book, where the ends of two columns are risky and two others act together (positive
  control that a straight-line model cannot pass).

``data/loans.csv`` is ``book(np.random.default_rng(4417), 1900, ordinary_risk)``, split by month.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
from probe_kit import Case, Invalid, Outputs

Array = np.ndarray
Risk = Callable[[np.random.Generator, pd.DataFrame], Array]

MONTHS = [f"{year}-{month:02d}" for year in (2022, 2023) for month in range(1, 13)][8:]
PURPOSES = ("car", "debt", "home", "medical", "other")
REGIONS = ("capital", "east", "north", "south", "west")
VENDOR = [f"vendor_{number:02d}" for number in range(1, 11)]
SPREAD = ["debt_service", "utilisation", "file_age_months", "savings_ratio", *VENDOR]

RATE = 0.25
MISRECORDED = 0.10
TRAIN_ROWS = 1300
NEW_ROWS = 1500

# Measured: the reference solution (S) on seeds 1 to 8 and 10 to 16; the workspace as it is handed
# out (W) on seeds 1 to 9; other right ways (O: depth 3 throughout, early stopping, a forest with
# leaves of 20, splines into a logistic regression) on seeds 1 to 4. A forest with leaves of 10
# ranks pure noise at 1.00 on its own rows and is refused: Provisioning scores those rows singly.
# S 0.76 to 0.79, O 0.60 to 0.983, W 1.000
MAX_NOISE_AUC = 0.995
# S 0.92 to 0.93, O 0.80 to 0.99, W 0.00
MIN_NOISE_LOSS = 0.60
# S 0.11 to 0.17, O 0.04 to 0.15, W 0.82 to 0.93
MAX_GAP = 0.30
# S 0.79 to 0.84, O 0.79 to 0.85, W 0.76 to 0.82; guessing 0.50
MIN_VENDOR_AUC = 0.72
# S 0.60 to 0.79, O 0.49 to 0.75, W -2.70 to -1.73
MIN_ORDINARY_GAIN = 0.35
# S 0.48 to 0.67, O 0.38 to 0.67, W -1.97 to -1.19; straight lines at most 0.04
MIN_BENT_GAIN = 0.20


def applications(rng: np.random.Generator, n_rows: int) -> pd.DataFrame:
    """Draw applications in order of month; brokers bring more of them as time goes on."""
    month = np.sort(rng.integers(0, len(MONTHS), n_rows))
    age = month / (len(MONTHS) - 1)
    draw = rng.random(n_rows)
    broker = draw < 0.10 + 0.25 * age
    online = draw < 0.60 + 0.10 * age
    columns = {
        "loan_id": 100_000 + np.cumsum(rng.integers(1, 4, n_rows)),
        "originated": np.array(MONTHS)[month],
        "amount": np.round(rng.lognormal(9.0, 0.6, n_rows), -2).clip(500, 60_000).astype(int),
        "term_months": rng.choice([12, 24, 36, 48, 60], n_rows, p=[0.1, 0.2, 0.35, 0.2, 0.15]),
        "purpose": rng.choice(PURPOSES, n_rows, p=[0.28, 0.3, 0.2, 0.07, 0.15]),
        "channel": np.where(broker, "broker", np.where(online, "online", "branch")),
        "region": rng.choice(REGIONS, n_rows),
        "income": np.round(rng.lognormal(7.9, 0.45, n_rows), -1).astype(int),
        "debt_service": np.round(rng.beta(2.2, 4.5, n_rows), 3),
        "utilisation": np.round(rng.beta(1.3, 1.6, n_rows), 3),
        "file_age_months": np.round(rng.gamma(2.5, 45, n_rows)).astype(int),
        "employment_years": np.round(rng.gamma(1.6, 4, n_rows), 1),
        "savings_ratio": np.round(rng.gamma(1.5, 0.8, n_rows), 2),
        "inquiries_6m": rng.poisson(1.3, n_rows),
        "open_lines": rng.poisson(4.5, n_rows),
        "months_since_late": np.where(
            rng.random(n_rows) < 0.55, np.nan, np.round(rng.exponential(22, n_rows))
        ),
    }
    columns |= {name: np.round(rng.normal(size=n_rows), 2) for name in VENDOR}
    return pd.DataFrame(columns)


def unit(values: Array | pd.Series) -> Array:
    """Return the values with mean 0 and standard deviation 1."""
    array = np.asarray(values, dtype=float)
    return (array - array.mean()) / array.std()


def placed(values: pd.Series) -> Array:
    """Return where each value stands in its column, from -1 to 1."""
    return (values.rank() - 0.5).to_numpy(dtype=float) / len(values) * 2 - 1


def ordinary_risk(rng: np.random.Generator, book: pd.DataFrame) -> Array:
    """Return the log odds of an ordinary book: affordability, history, and a little of the rest."""
    late = book["months_since_late"].to_numpy(dtype=float)
    recent = np.where(np.isnan(late), 0.0, np.exp(-np.nan_to_num(late) / 18))
    terms = [
        0.77 * unit(book["debt_service"]),
        -0.56 * unit(np.log(book["income"])),
        0.63 * unit(book["utilisation"]),
        0.70 * unit(recent),
        0.42 * unit(book["inquiries_6m"]),
        -0.42 * unit(book["savings_ratio"]),
        0.14 * unit(book["term_months"]),
        0.12 * unit(book["channel"] == "broker"),
        0.55 * unit(book["debt_service"]) * unit(book["utilisation"]),
        0.70 * unit(np.abs(placed(book["file_age_months"]))),
    ]
    weak = zip(VENDOR, (0.20, -0.15, 0.10, 0.10, -0.05, 0, 0, 0, 0, 0), strict=True)
    terms += [weight * unit(book[name]) for name, weight in weak]
    return sum(rng.uniform(0.85, 1.15) * term for term in terms)


def vendor_risk(rng: np.random.Generator, book: pd.DataFrame) -> Array:
    """Return log odds that rise or fall in a straight line with five vendor columns."""
    drivers = rng.permutation(VENDOR)[:5]
    signs = rng.choice([-1.0, 1.0], 5)
    return sum(0.95 * sign * unit(book[name]) for sign, name in zip(signs, drivers, strict=True))


def bent_risk(rng: np.random.Generator, book: pd.DataFrame) -> Array:
    """Return log odds that are high at both ends of two columns; two more act together."""
    first, second, third, fourth = rng.permutation(SPREAD)[:4]
    sign = rng.choice([-1.0, 1.0])
    return (
        1.7 * unit(np.abs(placed(book[first])))
        + 1.3 * unit(np.abs(placed(book[second])))
        + 0.7 * sign * unit(placed(book[third]) * placed(book[fourth]))
    )


def no_risk(rng: np.random.Generator, book: pd.DataFrame) -> Array:
    """Return the same log odds for everyone."""
    return np.zeros(len(book))


def book(rng: np.random.Generator, n_rows: int, risk: Risk) -> tuple[pd.DataFrame, Array, Array]:
    """Draw a book: its applications, their outcomes and their true default probabilities."""
    frame = applications(rng, n_rows)
    score = risk(rng, frame)
    low, high = -20.0, 20.0
    for _ in range(60):  # the intercept at which RATE of the book defaults
        middle = (low + high) / 2
        if (1 / (1 + np.exp(-(score + middle)))).mean() < RATE:
            low = middle
        else:
            high = middle
    clean = 1 / (1 + np.exp(-(score + low)))
    probability = (1 - MISRECORDED) * clean + MISRECORDED * RATE
    return frame, (rng.random(n_rows) < probability).astype(int), probability


def draw_case(rng: np.random.Generator, name: str, risk: Risk) -> Case:
    """Draw one book and part it in time, as ``evaluate.py`` does."""
    frame, outcome, probability = book(rng, TRAIN_ROWS + NEW_ROWS, risk)
    return Case(
        name,
        inputs={
            "train": frame.iloc[:TRAIN_ROWS],
            "defaulted": outcome[:TRAIN_ROWS],
            "new": frame.iloc[TRAIN_ROWS:],
        },
        truth={
            "train": outcome[:TRAIN_ROWS],
            "new": outcome[TRAIN_ROWS:],
            "attainable": log_loss(outcome[TRAIN_ROWS:], probability[TRAIN_ROWS:]),
        },
    )


def cases(rng: np.random.Generator) -> list[Case]:
    """Draw the six books, in an order of their own."""
    plan = [
        ("ordinary_a", ordinary_risk),
        ("ordinary_b", ordinary_risk),
        ("noise_a", no_risk),
        ("noise_b", no_risk),
        ("vendor", vendor_risk),
        ("bent", bent_risk),
    ]
    drawn = [draw_case(rng, name, risk) for name, risk in plan]
    return [drawn[index] for index in rng.permutation(len(drawn))]


def log_loss(outcome: Array, probability: Array) -> float:
    """Return the mean negative log likelihood; certainty is taken at 1e-6."""
    sure = np.clip(probability, 1e-6, 1 - 1e-6)
    return float(-np.mean(np.where(outcome == 1, np.log(sure), np.log(1 - sure))))


def auc(outcome: Array, probability: Array) -> float:
    """Return the area under the ROC curve; ties count half."""
    rank = pd.Series(probability).rank().to_numpy()
    hits = outcome == 1
    n_hits = int(hits.sum())
    over = rank[hits].sum() - n_hits * (n_hits + 1) / 2
    return float(over / (n_hits * (len(outcome) - n_hits)))


def predicted(case: Case, outputs: Outputs, part: str) -> Array:
    """Read the probabilities for ``train`` or ``new`` rows.

    Raises:
        Invalid: They are missing or are no probabilities.
    """
    values = outputs.numbers(part, (len(case.truth[part]),))
    if values.min() < 0 or values.max() > 1:
        raise Invalid(f"case {case.name}: {part} holds values outside 0 to 1")
    return values


def base_loss(case: Case) -> float:
    """Return the log loss on new rows of always answering with the training rows' default rate."""
    rate = float(case.truth["train"].mean())
    return log_loss(case.truth["new"], np.full(NEW_ROWS, rate))


def gain(case: Case, outputs: Outputs) -> float:
    """Return how much of the attainable fall in log loss on new rows was reached: 1 is all."""
    loss = log_loss(case.truth["new"], predicted(case, outputs, "new"))
    return (base_loss(case) - loss) / (base_loss(case) - case.truth["attainable"])


def named(
    cases: dict[str, Case], outputs: dict[str, Outputs], kind: str
) -> Iterator[tuple[Case, Outputs]]:
    """Yield the cases of a kind with what was left for them."""
    for name in sorted(cases):
        if name.startswith(kind):
            yield cases[name], outputs[name]


def noise_is_not_memorised(
    cases: dict[str, Case], outputs: dict[str, Outputs]
) -> tuple[float, str]:
    """On outcomes made of noise, even the rows fitted on must not be told apart."""
    ranked, losses = [], []
    for case, left in named(cases, outputs, "noise"):
        outcome, answer = case.truth["train"], predicted(case, left, "train")
        rate = np.full(TRAIN_ROWS, outcome.mean())
        ranked.append(auc(outcome, answer))
        losses.append(log_loss(outcome, answer) / log_loss(outcome, rate))
    passed = max(ranked) <= MAX_NOISE_AUC and min(losses) >= MIN_NOISE_LOSS
    return float(passed), (
        f"outcomes of pure noise, rows fitted on: AUC {max(ranked):.3f} (at most {MAX_NOISE_AUC}), "
        f"log loss {min(losses):.2f} of a constant's (at least {MIN_NOISE_LOSS})"
    )


def new_rows_fare_like_old(
    cases: dict[str, Case], outputs: dict[str, Outputs]
) -> tuple[float, str]:
    """On ordinary books the loss on new rows is near the loss on the rows fitted on."""
    gaps = []
    for case, left in named(cases, outputs, "ordinary"):
        old = log_loss(case.truth["train"], predicted(case, left, "train"))
        new = log_loss(case.truth["new"], predicted(case, left, "new"))
        gaps.append(new - old)
    return float(max(gaps) <= MAX_GAP), (
        f"log loss on new rows is {max(gaps):.3f} above that on rows fitted on (at most {MAX_GAP})"
    )


def vendor_signal_is_found(
    cases: dict[str, Case], outputs: dict[str, Outputs]
) -> tuple[float, str]:
    """What drives the vendor book is found afresh."""
    found = auc(cases["vendor"].truth["new"], predicted(cases["vendor"], outputs["vendor"], "new"))
    return float(found >= MIN_VENDOR_AUC), (
        f"a strong signal in the vendor columns: AUC on new rows {found:.3f} "
        f"(at least {MIN_VENDOR_AUC})"
    )


def ordinary_level(cases: dict[str, Case], outputs: dict[str, Outputs]) -> tuple[float, str]:
    """On ordinary books the loss on new rows comes down to what several model families reach."""
    gains = [gain(case, left) for case, left in named(cases, outputs, "ordinary")]
    reached = float(np.mean(gains))
    return float(reached >= MIN_ORDINARY_GAIN), (
        f"ordinary books, new rows: {reached:.2f} of the attainable fall in log loss "
        f"(at least {MIN_ORDINARY_GAIN})"
    )


def bends_are_found(cases: dict[str, Case], outputs: dict[str, Outputs]) -> tuple[float, str]:
    """Effects that are not straight lines are still learnt."""
    reached = gain(cases["bent"], outputs["bent"])
    return float(reached >= MIN_BENT_GAIN), (
        f"bent effects, new rows: {reached:.2f} of the attainable fall in log loss "
        f"(at least {MIN_BENT_GAIN})"
    )


CHECKS = {
    "noise_is_not_memorised": noise_is_not_memorised,
    "new_rows_fare_like_old": new_rows_fare_like_old,
    "vendor_signal_is_found": vendor_signal_is_found,
    "ordinary_level": ordinary_level,
    "bends_are_found": bends_are_found,
}
