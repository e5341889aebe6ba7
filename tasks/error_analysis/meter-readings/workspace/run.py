"""Backtest the district forecast: ``python run.py``."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

from metering.backtest import backtest, summarize
from metering.readings import load_readings

ROOT = Path(__file__).parent


def main() -> None:
    """Run the backtest of config.toml, print it, and store the summary."""
    config = tomllib.loads((ROOT / "config.toml").read_text("utf-8"))
    readings = load_readings(ROOT / config["data"]["readings"])
    print(f"{len(readings)} days, {readings['date'].min()} to {readings['date'].max()}")

    days = backtest(readings, config["backtest"]["months"])
    months = {str(month): summarize(group) for month, group in days.groupby("month")}
    overall = summarize(days)

    print(f"{'month':<9}{'MAPE %':>8}{'MAE MWh':>9}{'bias %':>8}")
    for name, row in [*months.items(), ("all", overall)]:
        print(f"{name:<9}{row['mape']:>8.2f}{row['mae_mwh']:>9.1f}{row['bias']:>8.2f}")

    report = ROOT / config["backtest"]["report"]
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(json.dumps({**overall, "months": months}, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
