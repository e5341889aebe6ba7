"""Synthetic discharges of one hospital, with their outcomes and the true risks.

Each patient has a history: a stay that ends in a readmission is followed by an emergency stay that
begins within 30 days, so `arrived_as_readmission` of one row is the outcome of the patient's row
before it, and `prior_admissions_12m` counts stays that were really simulated. The shipped
`workspace/data/discharges.csv` is what ``python simulate.py PATH`` writes.
"""

from __future__ import annotations

import math
import sys
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
import pandas as pd

SHIPPED_SEED = 11
"""Draws the shipped file."""

WARM_UP_DAYS = 420
"""Simulated before the first day that is kept: every row has a full year of history behind it."""

WARDS = ("A1", "A2", "B1", "B2", "C1", "S1")
"""S1 is the surgical ward: planned stays go there."""
NEW_WARD = "D1"
DIAGNOSIS_RISK = {
    1: 0.40, 2: 0.30, 3: 0.10, 4: -0.15, 5: 0.15, 6: -0.30, 7: 0.0, 8: -0.10, 9: 0.25, 14: -0.20,
}  # fmt: skip
"""Log-odds by diagnosis group; the codes are the hospital's own and have no order."""
DIAGNOSIS_SHARE = (0.14, 0.13, 0.12, 0.09, 0.13, 0.05, 0.12, 0.07, 0.12, 0.03)
"""Among unplanned stays, in the order of `DIAGNOSIS_RISK`."""
ACUITY = ("low", "mod", "high")
DESTINATION_RISK = {"home": 0.0, "care": 0.30, "rehab": -0.15}


@dataclass(frozen=True)
class Setting:
    """How the simulated hospital runs."""

    first_day: str = "2023-10-01"
    last_day: str = "2025-09-30"
    emergencies_per_day: float = 1.95
    planned_per_day: float = 1.75
    change_day: str | None = "2025-07-01"
    """From here on most planned surgery is done elsewhere and a new ward is open; None: never."""
    missing: float = 0.06
    """Share of each laboratory value that is not recorded."""
    intercept: float = -2.15


@dataclass(frozen=True)
class Person:
    """What stays the same over a patient's stays."""

    patient_id: int
    age: int
    sex: str
    burden: float
    frailty: float


def egfr(creatinine: float, age: float, sex: str) -> float:
    """Estimate the glomerular filtration rate (CKD-EPI 2021) from creatinine in umol/L."""
    kappa, alpha, factor = (0.7, -0.241, 1.012) if sex == "F" else (0.9, -0.302, 1.0)
    ratio = creatinine / 88.4 / kappa
    return float(142 * min(ratio, 1) ** alpha * max(ratio, 1) ** -1.2 * 0.9938**age * factor)


def pick(rng: np.random.Generator, options: Sequence[Any], weights: Sequence[float]) -> Any:  # noqa: ANN401
    """Draw one option; weights sum to 1. Ten times as fast as `Generator.choice`."""
    return options[min(bisect(list(accumulate(weights)), rng.random()), len(options) - 1)]


def draw_person(rng: np.random.Generator, patient_id: int, *, planned: bool) -> Person:
    """Draw one patient; those who first come for planned surgery are fitter."""
    age = rng.normal(64, 11) if planned else rng.normal(67, 17)
    return Person(
        patient_id=patient_id,
        age=int(np.clip(age, 18, 98)),
        sex=pick(rng, "FM", [0.5, 0.5]),
        burden=float(rng.gamma(1.2 if planned else 2.2, 0.5)),
        frailty=float(rng.normal(0, 0.2)),
    )


def draw_stay(
    rng: np.random.Generator, person: Person, *, planned: bool, changed: bool
) -> dict[str, Any]:
    """Draw what is known of one stay, apart from its dates and the patient's history."""
    acuity = 0 if planned and rng.random() < 0.85 else pick(rng, range(3), [0.30, 0.45, 0.25])
    los = 1 + rng.poisson(1.5) if planned else 1 + int(rng.lognormal(1.25 + 0.2 * acuity, 0.85))
    creatinine = rng.lognormal(4.35 + 0.10 * person.burden + 0.05 * acuity, 0.28)
    if rng.random() < 0.012 * (1 + person.burden):  # on dialysis
        creatinine = rng.uniform(420, 1150)
    if planned:
        ward = "S1"
    elif changed and rng.random() < 0.15:
        ward = NEW_WARD
    else:
        ward = pick(rng, WARDS, [0.26, 0.22, 0.20, 0.16, 0.10, 0.06])
    groups = [6, 14, 8] if planned else list(DIAGNOSIS_RISK)
    weights = [0.7, 0.2, 0.1] if planned else DIAGNOSIS_SHARE
    return {
        "los_days": int(min(los, 190)),
        "age": person.age,
        "sex": person.sex,
        "admission_type": "PL" if planned else pick(rng, ["EM", "TR"], [0.91, 0.09]),
        "ward": ward,
        "diagnosis_group": pick(rng, groups, weights),
        "acuity": ACUITY[acuity],
        "creatinine": round(float(creatinine)),
        "haemoglobin": round(float(np.clip(rng.normal(128 - 5 * person.burden, 15), 58, 185))),
        "sodium": round(float(np.clip(rng.normal(138.5 - 0.4 * acuity, 3.2), 112, 156))),
        "n_medications": int(rng.poisson(3 + 2.4 * person.burden + 0.8 * acuity)),
        "discharge_to": pick(rng, list(DESTINATION_RISK), [0.74, 0.14, 0.12]),
    }


def risk(stay: dict[str, Any], person: Person, setting: Setting) -> float:
    """Give the true probability that the stay is followed by an unplanned readmission."""
    logit = (
        setting.intercept
        - 1.15 * (stay["admission_type"] == "PL")
        + 0.75 * stay["arrived_as_readmission"]
        + 0.35 * math.log1p(stay["prior_admissions_12m"])
        + 0.22 * (math.log1p(stay["los_days"]) - 1.6)
        - 0.010 * (egfr(stay["creatinine"], stay["age"], stay["sex"]) - 75)
        - 0.012 * (stay["haemoglobin"] - 120)
        - 0.040 * (stay["sodium"] - 138)
        + 0.035 * (stay["n_medications"] - 8)
        + 0.010 * (stay["age"] - 66)
        + 0.26 * (ACUITY.index(stay["acuity"]) - 1)
        + DIAGNOSIS_RISK[stay["diagnosis_group"]]
        + DESTINATION_RISK[stay["discharge_to"]]
        + 0.12 * (stay["discharged_on"].weekday() >= 5)
        + person.frailty
    )
    return 1 / (1 + math.exp(-logit))


def simulate(rng: np.random.Generator, setting: Setting) -> pd.DataFrame:
    """Simulate every discharge of the setting's days, oldest first.

    Returns:
        The extract's columns (patient_id, discharged_on, ..., readmitted_30d), and `true_risk`.
    """
    keep_from, last = pd.Timestamp(setting.first_day), pd.Timestamp(setting.last_day)
    change = pd.Timestamp(setting.change_day) if setting.change_day else last + pd.Timedelta(days=1)
    start = keep_from - pd.Timedelta(days=WARM_UP_DAYS)
    ids = rng.permutation(90_000) + 10_000
    rows: list[dict[str, Any]] = []
    n_patients = 0
    for offset in range((last - start).days + 1):
        day = start + pd.Timedelta(days=offset)
        emergencies = setting.emergencies_per_day * (1.45 if day >= change else 1.0)
        planned = setting.planned_per_day * (0.10 if day >= change else 1.0)
        n_emergencies, n_planned = rng.poisson(emergencies), rng.poisson(planned)
        for is_planned in [False] * n_emergencies + [True] * n_planned:
            person = draw_person(rng, int(ids[n_patients]), planned=is_planned)
            n_patients += 1
            rows += _history(rng, person, day, change, last, setting, planned=is_planned)
    frame = pd.DataFrame(rows)
    frame = frame[frame["discharged_on"].between(keep_from, last)]
    frame = frame.sort_values(["discharged_on", "patient_id"], ignore_index=True)
    for column in ("creatinine", "haemoglobin", "sodium"):
        frame[column] = frame[column].mask(rng.random(len(frame)) < setting.missing).astype("Int64")
    return frame


def _history(
    rng: np.random.Generator,
    person: Person,
    admitted: pd.Timestamp,
    change: pd.Timestamp,
    last: pd.Timestamp,
    setting: Setting,
    *,
    planned: bool,
) -> list[dict[str, Any]]:
    """Follow one patient from the first admission to the end of the simulated days."""
    stays: list[dict[str, Any]] = []
    discharges: list[pd.Timestamp] = []
    while admitted <= last:
        drawn = draw_stay(rng, person, planned=planned, changed=admitted >= change)
        discharged = admitted + pd.Timedelta(days=drawn["los_days"])
        if discharged > last:
            break
        gaps = [(admitted - earlier).days for earlier in discharges]
        stay = {
            "patient_id": person.patient_id,
            "discharged_on": discharged,
            **drawn,
            "prior_admissions_12m": sum(gap <= 365 for gap in gaps),
            "arrived_as_readmission": int(bool(gaps) and gaps[-1] <= 30 and not planned),
        }
        stay["true_risk"] = risk(stay, person, setting)
        stay["readmitted_30d"] = int(rng.random() < stay["true_risk"])
        stays.append(stay)
        discharges.append(discharged)
        if stay["readmitted_30d"]:
            gap_days, planned = 1 + rng.integers(30), False
        elif rng.random() < 0.35:
            gap_days, planned = 31 + int(rng.exponential(150)), bool(rng.random() < 0.2)
        else:
            break
        admitted = discharged + pd.Timedelta(days=int(gap_days))
        planned = planned and admitted < change
    return stays


def main(path: str) -> None:
    """Write the shipped extract."""
    frame = simulate(np.random.default_rng(SHIPPED_SEED), Setting())
    frame.drop(columns="true_risk").to_csv(path, index=False)


if __name__ == "__main__":
    main(sys.argv[1])
