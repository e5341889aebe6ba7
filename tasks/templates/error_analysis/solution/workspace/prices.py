"""Print the typical price of data/prices.csv."""

import csv
import statistics


def load(path: str) -> list[float]:
    """Read the column ``price``."""
    with open(path, newline="") as file:
        return [float(row["price"]) for row in csv.DictReader(file)]


def typical(prices: list[float]) -> float:
    """The price that a customer should expect."""
    return statistics.median(prices)


if __name__ == "__main__":
    print(round(typical(load("data/prices.csv")), 2))
