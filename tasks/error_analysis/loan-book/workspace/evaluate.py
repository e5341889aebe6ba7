"""The monthly report: fit on the older loans, score the newer ones.

Run `python evaluate.py`; it prints the report and writes reports/metrics.json.
"""

from __future__ import annotations

import json
from pathlib import Path

from loans.data import load_book, part_outcome, split_by_month
from loans.model import fit, predict, read_config
from loans.scores import by_group, summary

ROOT = Path(__file__).resolve().parent


def main() -> None:
    """Fit, score, print, write."""
    config = read_config()["data"]
    older, newer = split_by_month(load_book(ROOT / config["book"]), config["first_new"])
    train, train_outcome = part_outcome(older)
    test, test_outcome = part_outcome(newer)

    model = fit(train, train_outcome)
    probability = predict(model, test)
    overall = summary(test_outcome, probability)

    print(f"fitted on {len(train)} loans before {config['first_new']}: {model.setting}")
    print(f"scored on {len(test)} loans since")
    print()
    for column in ("channel", "region"):
        table = by_group(test[column], test_outcome, probability)
        print(table.astype({"loans": int}).round(3).rename_axis(column).to_string())
        print()
    print(f"default rate {overall['default_rate']:.3f}, expected {overall['expected_rate']:.3f}")
    print(f"AUC {overall['auc']:.4f}")
    print(f"log loss {overall['log_loss']:.4f}")

    report = {"log_loss": overall["log_loss"], "auc": overall["auc"], "loans": len(test)}
    rounded = {name: round(value, 4) for name, value in report.items()}
    (ROOT / "reports").mkdir(exist_ok=True)
    (ROOT / "reports" / "metrics.json").write_text(json.dumps(rounded, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
