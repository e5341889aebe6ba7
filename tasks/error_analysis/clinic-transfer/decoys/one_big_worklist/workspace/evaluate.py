"""Score every clinic's worklists with the model of the training clinic and report the result."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold

from scoring.clinics import TRAINING_CLINIC, Clinic, load_clinics
from scoring.pipeline import fit_score
from scoring.settings import Settings, load_settings

REPORT = Path(__file__).resolve().parent / "reports" / "metrics.json"


def score_at_home(home: Clinic, folds: int) -> np.ndarray:
    """Score the training clinic's own patients, each by a model that has not seen them."""
    scores = np.empty(len(home.labels))
    splitter = StratifiedKFold(folds, shuffle=True, random_state=0)
    for kept, held_out in splitter.split(home.measurements, home.labels):
        scores[held_out] = fit_score(
            home.measurements.iloc[kept], home.labels[kept], home.measurements.iloc[held_out]
        )
    return scores


def score_together(home: Clinic, away: dict[str, Clinic]) -> dict[str, np.ndarray]:
    """Score the receiving clinics' patients in one call, which steadies the scores."""
    everyone = pd.concat([clinic.measurements for clinic in away.values()], ignore_index=True)
    scores = fit_score(home.measurements, home.labels, everyone)
    ends = np.cumsum([len(clinic.labels) for clinic in away.values()])
    return dict(zip(away, np.split(scores, ends[:-1]), strict=True))


def describe(clinic: Clinic, scores: np.ndarray, settings: Settings) -> dict[str, float]:
    """One clinic's line in the report."""
    referred = scores >= settings.refer_at
    ill = clinic.labels == 1
    return {
        "patients": len(scores),
        "malignant_share": round(float(ill.mean()), 3),
        "mean_score": round(float(scores.mean()), 3),
        "auc_within_worklists": round(auc_within_worklists(clinic, scores), 3),
        "sensitivity": round(float(referred[ill].mean()), 3),
        "specificity": round(float((~referred[~ill]).mean()), 3),
    }


def auc_within_worklists(clinic: Clinic, scores: np.ndarray) -> float:
    """Mean area under the ROC curve of the worklists that hold both outcomes."""
    areas = [
        roc_auc_score(clinic.labels[rows], scores[rows])
        for rows in clinic.worklists()
        if len(np.unique(clinic.labels[rows])) == 2
    ]
    return float(np.mean(areas))


def main() -> None:
    """Print the report and keep it in reports/metrics.json."""
    settings = load_settings()
    clinics = load_clinics(settings.seed)
    home = clinics.pop(TRAINING_CLINIC)
    at_home = score_at_home(home, settings.folds)
    away = score_together(home, clinics)

    lines = {home.name: describe(home, at_home, settings)}
    lines |= {name: describe(clinics[name], scores, settings) for name, scores in away.items()}
    truth = np.concatenate([clinics[name].labels for name in away])
    referred = np.concatenate(list(away.values())) >= settings.refer_at
    headline = round(float(balanced_accuracy_score(truth, referred)), 4)

    for name, line in lines.items():
        print(f"{name:<10}" + "  ".join(f"{key} {value:g}" for key, value in line.items()))
    print(f"transfer_balanced_accuracy {headline:.4f}")
    REPORT.parent.mkdir(exist_ok=True)
    report = {"transfer_balanced_accuracy": headline, "clinics": lines}
    REPORT.write_text(json.dumps(report, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
