"""Train on January to September, triage October to December, report how it went."""

from __future__ import annotations

import json
import logging
import sys

import numpy as np

from triage.data import load_transactions, split_by_day
from triage.model import fit_flag
from triage.report import accuracy, accuracy_by_month, mean_hit_rate
from triage.settings import ROOT, load_settings


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    settings = load_settings()
    transactions = load_transactions(settings.transactions)
    before, after = split_by_day(transactions, settings.held_out_from_day)
    flags = np.asarray(fit_flag(before.frame, before.disputed, after.frame))

    metrics = {
        "n_train": len(before.frame),
        "n_triaged": len(after.frame),
        "accuracy": round(accuracy(after.disputed, flags), 4),
        "mean_hit_rate": round(mean_hit_rate(after.disputed, flags), 4),
        "accuracy_by_month": accuracy_by_month(
            after.frame["day"].to_numpy(), after.disputed, flags
        ),
    }
    print()
    for name, value in metrics.items():
        print(f"{name:18} {value}")
    reports = ROOT / "reports"
    reports.mkdir(exist_ok=True)
    (reports / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
