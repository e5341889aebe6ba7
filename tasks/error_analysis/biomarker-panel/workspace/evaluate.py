"""Validate the panel on the registered folds, then lock it on the whole cohort.

Writes ``reports/metrics.json`` and ``reports/panel.json``.
"""

from __future__ import annotations

import json
from pathlib import Path

from panel.cohort import load_cohort
from panel.model import fit_panel
from panel.screening import screen
from panel.settings import Settings
from panel.validation import out_of_fold_scores, summarise

REPORTS = Path(__file__).resolve().parent / "reports"


def main() -> None:
    """Print the validation figures and write both reports."""
    settings = Settings.load()
    cohort = load_cohort()
    n_patients, n_proteins = cohort.markers.shape
    print(f"patients {n_patients}  rejections {cohort.outcome.sum()}  proteins {n_proteins}")

    scores = out_of_fold_scores(cohort.markers, cohort.outcome, cohort.folds, settings)
    figures = summarise(cohort.outcome, scores, cohort.sites, settings.threshold)
    for name, value in figures.items():
        print(f"{name:<18} {value:.4f}")

    candidates = screen(cohort.markers, cohort.outcome, settings)
    locked = fit_panel(cohort.markers, cohort.outcome, candidates, settings)
    print("locked panel: " + " ".join(locked.proteins))

    REPORTS.mkdir(exist_ok=True)
    (REPORTS / "metrics.json").write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
    weights = {name: round(weight, 4) for name, weight in locked.weights().items()}
    (REPORTS / "panel.json").write_text(json.dumps(weights, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
