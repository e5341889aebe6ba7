"""Score the reported quarter and the quarters before it: ``python evaluate.py``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import brier_score_loss, roc_auc_score

from readmission.data import earlier_quarters, read_discharges, split_outcome, split_quarter
from readmission.pipeline import fit_predict, load_settings

ROOT = Path(__file__).resolve().parent


def score_quarter(discharges: pd.DataFrame, quarter: str, follow_up_days: int) -> dict[str, Any]:
    """Fit on what was known when the quarter began, and score the quarter."""
    past, current = split_quarter(discharges, quarter, follow_up_days)
    train, train_outcome = split_outcome(past)
    test, test_outcome = split_outcome(current)
    scores = fit_predict(train, train_outcome, pd.concat([train, test]))
    fitted, predicted = scores[: len(train)], scores[len(train) :]
    return {
        "quarter": quarter,
        "train_rows": len(train),
        "rows": len(test),
        "readmitted": int(test_outcome.sum()),
        "mean_predicted": round(float(np.mean(predicted)), 4),
        "observed_rate": round(float(np.mean(test_outcome)), 4),
        "brier": round(float(brier_score_loss(test_outcome, predicted)), 4),
        "train_auc": round(float(roc_auc_score(train_outcome, fitted)), 4),
        "auc": round(float(roc_auc_score(test_outcome, predicted)), 4),
    }


def main() -> None:
    """Print one line per quarter and the headline, and write reports/metrics.json."""
    settings = load_settings()["evaluation"]
    discharges = read_discharges(ROOT / settings["data"])
    reported = settings["quarter"]
    quarters = [*earlier_quarters(reported, settings["backtest_quarters"]), reported]
    results = [score_quarter(discharges, name, settings["follow_up_days"]) for name in quarters]
    print(pd.DataFrame(results).to_string(index=False))
    print(f"\nheadline: AUC of {reported} = {results[-1]['auc']:.4f}")
    reports = ROOT / "reports"
    reports.mkdir(exist_ok=True)
    metrics = {"headline_auc": results[-1]["auc"], "quarters": results}
    (reports / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
