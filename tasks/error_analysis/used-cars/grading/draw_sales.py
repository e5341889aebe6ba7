"""Draw workspace/data/sold.csv: nine months of a made-up dealer group's sales, seed 20240531.

Run once by the task's author: ``python grading/draw_sales.py workspace/data/sold.csv``. Prices are
log-additive with 5 % noise, and no month differs from another in how a price comes about: the last
month only lacks some labels, because the group handed back two franchises, closed two branches and
had none of one trim line left.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

SEED = 20240531
MONTHS = [f"2023-{month:02d}" for month in range(9, 13)] + [f"2024-{m:02d}" for m in range(1, 6)]
SALES_A_MONTH = 300
LAST_MONTH_LACKS = {
    "make": {"Audi", "Citroen"},
    "region": {"East Anglia", "East Midlands"},
    "trim": {"Black Edition"},
}

# Price in pounds of a new car of the entry trim.
MODELS = {
    "Audi": {"A1": 23_000, "A4": 36_000, "Q5": 47_000},
    "BMW": {"118i": 29_000, "320d": 40_000, "X3": 50_000},
    "Citroen": {"Berlingo": 21_000, "C1": 11_500, "C3": 15_500},
    "Dacia": {"Duster": 16_500, "Jogger": 17_000, "Sandero": 11_000},
    "Ford": {"Fiesta": 16_500, "Focus": 23_000, "Kuga": 30_000},
    "Hyundai": {"Tucson": 31_000, "i10": 13_000, "i20": 17_500},
    "Kia": {"Ceed": 23_000, "Picanto": 12_500, "Sportage": 30_500},
    "Mercedes-Benz": {"A-Class": 32_000, "C-Class": 45_000, "GLC": 54_000},
    "Nissan": {"Juke": 20_500, "Micra": 15_000, "Qashqai": 27_500},
    "Skoda": {"Fabia": 16_500, "Octavia": 26_000, "Superb": 33_500},
    "Toyota": {"Aygo": 12_500, "Corolla": 27_000, "RAV4": 37_000},
    "Volkswagen": {"Golf": 27_500, "Polo": 19_500, "Tiguan": 34_500},
}
FUELS = {"Diesel": 0.02, "Electric": -0.12, "Hybrid": 0.11, "Petrol": 0.0}
REGIONS = {
    "East Anglia": -0.02,
    "East Midlands": -0.05,
    "London": 0.07,
    "North East": -0.07,
    "North West": -0.01,
    "Scotland": 0.03,
    "South West": 0.04,
    "Wales": -0.04,
}
TRIMS = {"Black Edition": 0.24, "Comfort": 0.05, "Entry": 0.0, "Premium": 0.18, "Sport": 0.12}


def draw_month(rng: np.random.Generator, month: str, n_cars: int) -> pd.DataFrame:
    """Draw one month's completed sales with their prices."""
    lacks = LAST_MONTH_LACKS if month == MONTHS[-1] else {}
    pairs = [
        (make, model)
        for make, models in MODELS.items()
        for model in models
        if make not in lacks.get("make", set())
    ]
    regions = [name for name in REGIONS if name not in lacks.get("region", set())]
    trims = [name for name in TRIMS if name not in lacks.get("trim", set())]
    picks = rng.integers(0, len(pairs), n_cars)
    age_months = np.clip(np.round(rng.gamma(2.6, 15.0, n_cars)), 3, 144).astype(int)
    mileage = np.round(age_months * rng.lognormal(6.55, 0.35, n_cars), -1).astype(int)
    cars = pd.DataFrame(
        {
            "sold_month": month,
            "make": [pairs[i][0] for i in picks],
            "model": [pairs[i][1] for i in picks],
            "fuel": rng.choice(list(FUELS), n_cars, p=[0.27, 0.12, 0.18, 0.43]),
            "region": rng.choice(regions, n_cars),
            "trim": rng.choice(trims, n_cars),
            "age_months": age_months,
            "mileage": mileage,
            "owners": 1 + rng.poisson(age_months / 55.0),
            "service_stamps": rng.binomial(np.maximum(age_months // 12, 1), 0.8),
            "condition": rng.choice([1, 2, 3, 4, 5], n_cars, p=[0.04, 0.1, 0.3, 0.36, 0.2]),
        }
    )
    new_price = np.array([MODELS[make][model] for make, model in zip(cars["make"], cars["model"])])
    log_price = (
        np.log(new_price)
        + cars["fuel"].map(FUELS)
        + cars["region"].map(REGIONS)
        + cars["trim"].map(TRIMS)
        - 0.0085 * age_months
        - 0.035 * mileage / 10_000
        - 0.02 * (cars["owners"] - 1)
        + 0.012 * cars["service_stamps"]
        + 0.03 * (cars["condition"] - 3)
        + rng.normal(0.0, 0.05, n_cars)
    )
    cars["price_gbp"] = (np.round(np.exp(log_price) / 10) * 10).astype(int)
    return cars


def scuff(rng: np.random.Generator, sold: pd.DataFrame) -> pd.DataFrame:
    """Make an export of it: salvage lots, odometer slips, capitals and blanks of many hands."""
    sold = sold.copy()
    rows = rng.permutation(len(sold))
    sold.loc[rows[:7], "price_gbp"] = rng.integers(80, 400, 7)
    sold.loc[rows[7:12], "mileage"] = 999_999
    for start, column in ((12, "fuel"), (47, "trim"), (82, "region")):
        some = rows[start : start + 35]
        sold.loc[some[:20], column] = sold.loc[some[:20], column].str.upper()
        sold.loc[some[20:], column] = sold.loc[some[20:], column] + " "
    return sold


def main(target: Path) -> None:
    """Write the sales to `target`."""
    rng = np.random.default_rng(SEED)
    months = [draw_month(rng, month, SALES_A_MONTH) for month in MONTHS]
    scuff(rng, pd.concat(months, ignore_index=True)).to_csv(target, index=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
