"""Verdict code: a car's price is its own, whatever else is listed and whatever labels are called.

Two made-up markets are drawn afresh: labels as in the group's export, but every make, model, fuel,
region and trim has an effect on the price that no file of the workspace knows. All cases have 2,400
sales and 240 offers:

* ``broad`` and ``lean`` share their sales and 160 offers. ``lean`` lacks three makes, two regions, one
  trim, one fuel; the other 80 offers of ``broad`` are of any. Each has a row order of its own.
* ``renamed`` is ``lean`` row by row, with the names within each labelled column swapped.
* ``newcomers`` holds the 160 offers and 80 that may have labels that were never sold.
* ``elsewhere`` is a lean batch of the second market.

Renaming may move a price a little. Trees on labels numbered once, from the sales, group
neighbouring numbers more easily; they are admitted, on purpose, since they still tell the labels
apart and price fresh cars well. A linear model on the same numbers does neither, and fails on that.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from probe_kit import Case, Invalid, Outputs

N_SOLD, N_OFFERS, N_TWINS, N_SHARED = 2_400, 240, 60, 160
LABELLED = ["make", "model", "fuel", "region", "trim"]
MODELS = {
    "Audi": ["A1", "A4", "Q5"],
    "BMW": ["118i", "320d", "X3"],
    "Citroen": ["Berlingo", "C1", "C3"],
    "Dacia": ["Duster", "Jogger", "Sandero"],
    "Ford": ["Fiesta", "Focus", "Kuga"],
    "Hyundai": ["Tucson", "i10", "i20"],
    "Kia": ["Ceed", "Picanto", "Sportage"],
    "Mercedes-Benz": ["A-Class", "C-Class", "GLC"],
    "Nissan": ["Juke", "Micra", "Qashqai"],
    "Skoda": ["Fabia", "Octavia", "Superb"],
    "Toyota": ["Aygo", "Corolla", "RAV4"],
    "Volkswagen": ["Golf", "Polo", "Tiguan"],
}
LABELS = {
    "make": list(MODELS),
    "model": [model for models in MODELS.values() for model in models],
    "fuel": ["Diesel", "Electric", "Hybrid", "Petrol"],
    "region": [
        "East Anglia",
        "East Midlands",
        "London",
        "North East",
        "North West",
        "Scotland",
        "South West",
        "Wales",
    ],
    "trim": ["Black Edition", "Comfort", "Entry", "Premium", "Sport"],
}
MAKE_OF = {model: make for make, models in MODELS.items() for model in models}
# How far apart, in log price, the cheapest and the dearest label of a column lie.
SPREAD = {"make": 0.6, "model": 1.2, "fuel": 0.36, "region": 0.36, "trim": 0.36}
NEW_LABELS = {"make": "Polestar", "model": "EV-X", "region": "Channel Islands", "trim": "Launch"}

# Measured: solution and untouched workspace over seeds 1 to 20; "others" over seeds 1 to 8, nine
# more right fixes: one-hot boosting, one-hot ridge on log and on plain prices, two one-hot forests
# and target encoding without a seed, numbers from the sales in two boostings and in a forest.
#   batch  solution 0.000, others to 0.048; untouched 0.36 to 0.72, regions alone left (seeds 1
#          to 4) from 0.11
#   names  solution 0.000, others to 0.147 (numbers in a forest); untouched 0.33 to 0.73
#   twins  (lower of two) solution 0.99, others from 0.85; untouched to 0.36, linear to 0.49
#   error  (worst batch) solution to 0.046, others to 0.218; untouched 0.38 to 0.65, linear model
#          on numbers from 0.28, no labels at all from 0.30
MAX_BATCH_SHIFT = 0.06
MAX_NAME_SHIFT = 0.18
MIN_TWIN_CORRELATION = 0.75
MAX_ERROR = 0.25


Market = dict[str, dict[str, float]]
"""What each label of each column adds to the log price."""


def _draw_market(rng: np.random.Generator) -> Market:
    """Deal evenly spaced effects to the labels of each column."""
    market: Market = {}
    for column, labels in LABELS.items():
        steps = np.linspace(-SPREAD[column] / 2, SPREAD[column] / 2, len(labels))
        market[column] = dict(zip(labels, rng.permutation(steps).tolist(), strict=True))
    return market


def _expected_prices(market: Market, cars: pd.DataFrame) -> np.ndarray:
    """Return the noise-free prices in pounds; a label that is not of this market adds 0."""
    log_price = (
        np.log(24_000.0)
        - 0.0085 * cars["age_months"]
        - 0.035 * cars["mileage"] / 10_000
        - 0.02 * (cars["owners"] - 1)
        + 0.012 * cars["service_stamps"]
        + 0.03 * (cars["condition"] - 3)
    )
    for column in LABELLED:
        log_price = log_price + cars[column].map(market[column]).fillna(0.0).astype(float)
    return np.exp(log_price.to_numpy(dtype=float))


def _draw_cars(
    rng: np.random.Generator, n_cars: int, lacks: Mapping[str, set[str]]
) -> pd.DataFrame:
    """Draw cars of every label that `lacks` does not name."""
    stock = {
        column: [name for name in names if name not in lacks.get(column, set())]
        for column, names in LABELS.items()
    }
    models = [model for model in stock["model"] if MAKE_OF[model] in stock["make"]]
    chosen = rng.choice(models, n_cars)
    age_months = np.clip(np.round(rng.gamma(2.6, 15.0, n_cars)), 3, 144).astype(int)
    return pd.DataFrame(
        {
            "make": [MAKE_OF[model] for model in chosen],
            "model": chosen,
            "fuel": rng.choice(stock["fuel"], n_cars),
            "region": rng.choice(stock["region"], n_cars),
            "trim": rng.choice(stock["trim"], n_cars),
            "age_months": age_months,
            "mileage": np.round(age_months * rng.lognormal(6.55, 0.35, n_cars), -1).astype(int),
            "owners": 1 + rng.poisson(age_months / 55.0),
            "service_stamps": rng.binomial(np.maximum(age_months // 12, 1), 0.8),
            "condition": rng.choice([1, 2, 3, 4, 5], n_cars, p=[0.04, 0.1, 0.3, 0.36, 0.2]),
        }
    )


def _draw_lacks(rng: np.random.Generator) -> dict[str, set[str]]:
    """Pick what a lean batch lacks: labels from the front of the alphabet, which others follow."""
    front = {"make": (6, 3), "region": (4, 2), "trim": (2, 1), "fuel": (2, 1)}
    return {
        column: set(rng.choice(LABELS[column][:among], n_labels, replace=False).tolist())
        for column, (among, n_labels) in front.items()
    }


def _draw_sold(rng: np.random.Generator, market: Market) -> pd.DataFrame:
    """Draw completed sales, oldest month first, with 5 % noise on the price."""
    cars = _draw_cars(rng, N_SOLD, {})
    prices = _expected_prices(market, cars) * np.exp(rng.normal(0.0, 0.05, N_SOLD))
    months = [f"2024-{month:02d}" for month in range(1, 9)]
    cars.insert(0, "sold_month", np.repeat(months, N_SOLD // len(months)))
    cars["price_gbp"] = (np.round(prices / 10) * 10).astype(int)
    return cars


def _with_twins(rng: np.random.Generator, cars: pd.DataFrame) -> pd.DataFrame:
    """Make row ``N_TWINS + i`` a copy of row ``i`` that differs in make and model alone."""
    cars = cars.copy()
    measured = [column for column in cars.columns if column not in ("make", "model")]
    first, second = slice(0, N_TWINS - 1), slice(N_TWINS, 2 * N_TWINS - 1)
    cars.loc[second, measured] = cars.loc[first, measured].to_numpy()
    return cars.astype({column: int for column in measured if column not in LABELLED})


def _batch(
    rng: np.random.Generator, shared: pd.DataFrame, others: pd.DataFrame
) -> tuple[pd.DataFrame, np.ndarray]:
    """Shuffle two lists into one; also return where each row of ``shared, others`` went."""
    order = rng.permutation(N_OFFERS)
    offers = pd.concat([shared, others], ignore_index=True).iloc[order].reset_index(drop=True)
    return offers, np.argsort(order)


def _renamed(cars: pd.DataFrame, names: Mapping[str, Mapping[str, str]]) -> pd.DataFrame:
    """Swap the names within each labelled column."""
    return cars.assign(**{column: cars[column].map(names[column]) for column in LABELLED})


def _new_names(rng: np.random.Generator) -> dict[str, dict[str, str]]:
    """Draw a name for each label, out of the names of its own column."""
    return {
        column: dict(zip(labels, rng.permutation(labels).tolist(), strict=True))
        for column, labels in LABELS.items()
    }


def _case(
    name: str, sold: pd.DataFrame, offers: pd.DataFrame, market: Market, places: np.ndarray
) -> Case:
    truth = {"expected": _expected_prices(market, offers), "places": places}
    return Case(name, {"sold": sold, "offers": offers}, truth)


def cases(rng: np.random.Generator) -> list[Case]:
    """Draw the five cases."""
    market, lacks = _draw_market(rng), _draw_lacks(rng)
    sold = _draw_sold(rng, market)
    shared = _with_twins(rng, _draw_cars(rng, N_SHARED, lacks))
    n_others = N_OFFERS - N_SHARED

    broad, broad_places = _batch(rng, shared, _draw_cars(rng, n_others, {}))
    lean, lean_places = _batch(rng, shared, _draw_cars(rng, n_others, lacks))
    new = _draw_cars(rng, n_others, {})
    for column, label in NEW_LABELS.items():
        new.loc[rng.random(n_others) < 0.4, column] = label
    newcomers, new_places = _batch(rng, shared, new)
    names = _new_names(rng)

    other_market, other_lacks = _draw_market(rng), _draw_lacks(rng)
    other_shared = _with_twins(rng, _draw_cars(rng, N_SHARED, other_lacks))
    elsewhere, other_places = _batch(rng, other_shared, _draw_cars(rng, n_others, other_lacks))

    lean_case = _case("lean", sold, lean, market, lean_places)
    drawn = [
        _case("broad", sold, broad, market, broad_places),
        lean_case,
        Case(
            "renamed",
            {"sold": _renamed(sold, names), "offers": _renamed(lean, names)},
            lean_case.truth,
        ),
        _case("newcomers", sold, newcomers, market, new_places),
        _case("elsewhere", _draw_sold(rng, other_market), elsewhere, other_market, other_places),
    ]
    return [drawn[i] for i in rng.permutation(len(drawn))]


def _prices(outputs: Mapping[str, Outputs], name: str) -> np.ndarray:
    return outputs[name].numbers("prices", (N_OFFERS,))


def _shared(case: Case, values: np.ndarray) -> np.ndarray:
    """Return the values of the shared offers, in the order in which they were drawn."""
    return values[case.truth["places"][:N_SHARED]]


def _shift(one: np.ndarray, other: np.ndarray, expected: np.ndarray) -> float:
    """Return the mean absolute difference of two price lists as a share of the mean price.

    Raises:
        Invalid: The prices hardly vary, so that agreeing says nothing.
    """
    for prices in (one, other):
        if prices.std() < 0.3 * expected.std():
            raise Invalid(
                f"the predicted prices hardly vary: standard deviation {prices.std():.0f}, "
                f"true prices {expected.std():.0f}"
            )
    return float(np.abs(one - other).sum() / expected.sum())


def _error(case: Case, prices: np.ndarray, *, shared_only: bool = False) -> float:
    """Return the mean absolute error as a share of the mean price."""
    expected = case.truth["expected"]
    if shared_only:
        prices, expected = _shared(case, prices), _shared(case, expected)
    return float(np.abs(prices - expected).sum() / expected.sum())


def _twin_correlation(case: Case, prices: np.ndarray) -> float:
    """Correlate predicted with true differences between cars that differ in model alone."""

    def differences(values: np.ndarray) -> np.ndarray:
        shared = _shared(case, values)
        return shared[N_TWINS : 2 * N_TWINS] - shared[:N_TWINS]

    predicted, true = differences(prices), differences(case.truth["expected"])
    if predicted.std() < 1e-6 * true.std():
        return 0.0
    return float(np.corrcoef(predicted, true)[0, 1])


def batch_does_not_matter(
    cases: Mapping[str, Case], outputs: Mapping[str, Outputs]
) -> tuple[float, str]:
    """The same car has the same price in two batches, of which one lacks some labels."""
    broad, lean = (_shared(cases[name], _prices(outputs, name)) for name in ("broad", "lean"))
    shift = _shift(broad, lean, _shared(cases["lean"], cases["lean"].truth["expected"]))
    evidence = (
        f"the same {N_SHARED} cars in two batches differ by {shift:.3f} of the mean price "
        f"(at most {MAX_BATCH_SHIFT})"
    )
    return float(shift <= MAX_BATCH_SHIFT), evidence


def names_do_not_matter(
    cases: Mapping[str, Case], outputs: Mapping[str, Outputs]
) -> tuple[float, str]:
    """The prices stay when labels swap their names in the sales and the offers alike."""
    lean, renamed = (_prices(outputs, name) for name in ("lean", "renamed"))
    shift = _shift(lean, renamed, cases["lean"].truth["expected"])
    evidence = (
        f"swapping the labels' names moves prices by {shift:.3f} of the mean price "
        f"(at most {MAX_NAME_SHIFT})"
    )
    return float(shift <= MAX_NAME_SHIFT), evidence


def models_are_told_apart(
    cases: Mapping[str, Case], outputs: Mapping[str, Outputs]
) -> tuple[float, str]:
    """Cars that differ in make and model alone are priced apart, and by the right amount."""
    found = {
        name: _twin_correlation(cases[name], _prices(outputs, name))
        for name in ("lean", "elsewhere")
    }
    evidence = (
        f"predicted and true price differences of {N_TWINS} pairs that differ in make and model "
        f"correlate {found['lean']:.2f} and {found['elsewhere']:.2f} "
        f"(at least {MIN_TWIN_CORRELATION})"
    )
    return float(min(found.values()) >= MIN_TWIN_CORRELATION), evidence


def prices_are_right(
    cases: Mapping[str, Case], outputs: Mapping[str, Outputs]
) -> tuple[float, str]:
    """Offers are priced well, whether or not the batch lacks some labels."""
    errors = {
        name: _error(cases[name], _prices(outputs, name)) for name in ("broad", "lean", "elsewhere")
    }
    listed = ", ".join(f"{name} {error:.3f}" for name, error in errors.items())
    evidence = f"mean absolute error as a share of the mean price: {listed} (at most {MAX_ERROR})"
    return float(max(errors.values()) <= MAX_ERROR), evidence


def new_labels_are_priced(
    cases: Mapping[str, Case], outputs: Mapping[str, Outputs]
) -> tuple[float, str]:
    """Labels that were never sold get a price of the right magnitude and disturb no other car's."""
    case, prices = cases["newcomers"], _prices(outputs, "newcomers")
    error = _error(case, prices, shared_only=True)
    new = prices[case.truth["places"][N_SHARED:]]
    ratio = float(new.mean() / case.inputs["sold"]["price_gbp"].mean())
    evidence = (
        f"beside never-sold labels, the known cars' error is {error:.3f} of the mean price "
        f"(at most {MAX_ERROR}); cars with such labels get {ratio:.2f} times the mean price of the "
        f"sales (0.4 to 2.5)"
    )
    return float(error <= MAX_ERROR and 0.4 <= ratio <= 2.5), evidence


CHECKS = {
    "batch_does_not_matter": batch_does_not_matter,
    "names_do_not_matter": names_do_not_matter,
    "models_are_told_apart": models_are_told_apart,
    "prices_are_right": prices_are_right,
    "new_labels_are_priced": new_labels_are_priced,
}
