"""Run the monthly review, print it and write reports/metrics.json."""

from __future__ import annotations

import json
from dataclasses import asdict

from pricing.backtest import in_sample_mae, review_recent
from pricing.sales import load_sold
from pricing.settings import ROOT, load_settings


def main() -> None:
    """Review the recent months; the last one is the headline."""
    settings = load_settings()
    sold = load_sold(settings.data)
    reviews = review_recent(sold, settings.backtest.n_months)
    last = reviews[-1]
    fitted = in_sample_mae(sold, last.month)

    print("month    cars  mean price       MAE")
    for review in reviews:
        print(
            f"{review.month}  {review.n_cars:4d}  {review.mean_price_gbp:10.0f}"
            f"  {review.mae_gbp:8.1f}"
        )
    print(f"on the sales behind {last.month}:  {fitted:8.1f}")
    print(f"last_month_mae_gbp {last.mae_gbp:.1f}")

    metrics = {
        "last_month_mae_gbp": last.mae_gbp,
        "in_sample_mae_gbp": round(fitted, 1),
        "months": [asdict(review) for review in reviews],
    }
    target = ROOT / "reports" / "metrics.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(metrics, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
