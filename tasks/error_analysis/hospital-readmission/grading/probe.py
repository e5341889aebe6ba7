"""Verdict: does the submission still answer as the original pipeline does, on unseen hospitals?

Nothing is wrong with the original, so the property is that nothing changed. `reference.py` holds
the original code; its answers are computed here, on the frames as the driver reads them. The two
other checks are positive controls.
"""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from probe_kit import Case, Outputs
from reference import fit_predict
from simulate import Setting, simulate
from sklearn.metrics import roc_auc_score

TOLERANCE = 1e-6
"""Seeds 1 to 8: the original 0, the mildest decoy (acuity one-hot) 0.039 to 0.15."""
AUC_AT_LEAST = 0.64
"""Mean over the ranked cases: the original 0.714 to 0.767 over 20 seeds, a constant 0.50."""
LEVEL_WITHIN = 0.10
"""Mean prediction against mean true risk, in the worst of the ranked cases: the original 0.010 to
0.056 over 20 seeds, balanced risks without `to_base_rate` 0.33 to 0.40."""

HOSPITAL = Setting(first_day="2020-01-01", last_day="2020-12-31", change_day=None)
HELD_OUT_DAYS = 91
RANKED = ("usual", "fewer_planned", "gaps", "quiet")
"""The cases with enough held-out rows for an AUC."""


def cases(rng: np.random.Generator) -> list[Case]:
    """Draw four hospitals and one handful of odd discharges, in random order."""
    year = int(rng.integers(2012, 2022))
    usual = replace(HOSPITAL, first_day=f"{year}-01-01", last_day=f"{year}-12-31")
    drawn = [
        _case(rng, "usual", usual),
        _case(rng, "fewer_planned", replace(usual, change_day=f"{year}-10-02")),
        _case(rng, "gaps", replace(usual, missing=0.25)),
        _case(rng, "quiet", replace(usual, intercept=-2.9)),
        _case(rng, "handful", usual, handful=40),
    ]
    return [drawn[i] for i in rng.permutation(len(drawn))]


def _case(rng: np.random.Generator, name: str, setting: Setting, handful: int = 0) -> Case:
    frame = simulate(rng, setting)
    frame = frame.iloc[rng.permutation(len(frame))]
    cut = frame["discharged_on"].max() - pd.Timedelta(days=HELD_OUT_DAYS)
    past, held_out = frame[frame["discharged_on"] < cut], frame[frame["discharged_on"] >= cut]
    if handful:
        held_out = held_out.iloc[:handful].assign(ward=["D1", "E9"] * (handful // 2))
        held_out["los_days"] = held_out["los_days"] * 9
        held_out["creatinine"] = held_out["creatinine"] * 6
    hidden = ["readmitted_30d", "true_risk"]
    return Case(
        name=name,
        inputs={
            "train": past.drop(columns=hidden),
            "outcome": past["readmitted_30d"].to_numpy(np.int64),
            "test": held_out.drop(columns=hidden),
        },
        truth={
            "outcome": held_out["readmitted_30d"].to_numpy(np.int64),
            "risk": held_out["true_risk"].to_numpy(np.float64),
        },
    )


def _as_read(frame: pd.DataFrame) -> pd.DataFrame:
    """Give the frame the types it has after the way through a CSV file."""
    text = io.StringIO(frame.to_csv(index=False))
    return pd.read_csv(text, parse_dates=["discharged_on"])


def _predicted(case: Case, outputs: dict[str, Outputs]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return outputs[case.name].numbers("pred", (len(case.inputs["test"]),))


def predictions_unchanged(cases: dict[str, Case], outputs: dict[str, Outputs]) -> tuple[float, str]:
    """Compare every probability with the original pipeline's."""
    gaps: dict[str, float] = {}
    for name, case in cases.items():
        predicted = _predicted(case, outputs)
        train, test = _as_read(case.inputs["train"]), _as_read(case.inputs["test"])
        expected = fit_predict(train, case.inputs["outcome"], test)
        gaps[name] = float(np.abs(predicted - expected).max())
    worst = max(gaps, key=lambda name: gaps[name])
    evidence = (
        f"largest difference from the original pipeline's probabilities {gaps[worst]:.2g}, "
        f"case {worst} (at most {TOLERANCE:g})"
    )
    return float(gaps[worst] <= TOLERANCE), evidence


def ranks_held_out(cases: dict[str, Case], outputs: dict[str, Outputs]) -> tuple[float, str]:
    """Measure how well held-out discharges are ranked."""
    auc = [
        roc_auc_score(cases[name].truth["outcome"], _predicted(cases[name], outputs))
        for name in RANKED
    ]
    mean = float(np.mean(auc))
    return float(mean >= AUC_AT_LEAST), f"mean held-out AUC {mean:.3f} (at least {AUC_AT_LEAST})"


def level_of_risk(cases: dict[str, Case], outputs: dict[str, Outputs]) -> tuple[float, str]:
    """Compare the mean probability with the mean of the true risks."""
    gaps = [
        abs(_predicted(cases[name], outputs).mean() - cases[name].truth["risk"].mean())
        for name in RANKED
    ]
    worst = float(max(gaps))
    evidence = f"mean probability is off the mean true risk by {worst:.3f} (at most {LEVEL_WITHIN})"
    return float(worst <= LEVEL_WITHIN), evidence


CHECKS = {
    "predictions_unchanged": predictions_unchanged,
    "ranks_held_out": ranks_held_out,
    "level_of_risk": level_of_risk,
}
