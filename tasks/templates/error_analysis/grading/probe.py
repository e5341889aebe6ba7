"""Draw prices that the agent has not seen, and judge what its code makes of them.

This runs where the agent's code never was. A check gets every case and what the code left of it,
and returns the credit, from 0 to 1, with what it measured.
"""

from probe_kit import Case


def cases(rng):
    """The inputs: randomness comes from `rng` alone."""
    prices = rng.normal(30, 2, 41).tolist()
    return [
        Case("plain", {"prices": prices}),
        Case("one_extreme", {"prices": [*prices[:-1], 1e6]}),
        Case("all_dearer", {"prices": [price + 10 for price in prices]}),
    ]


def _moved(outputs, name):
    return outputs[name].number("typical") - outputs["plain"].number("typical")


def one_does_not_matter(cases, outputs):
    """One extreme price changes little."""
    moved = abs(_moved(outputs, "one_extreme"))
    return float(moved < 2), f"one extreme price moved the typical price by {moved:.3g} (at most 2)"


def all_do(cases, outputs):
    """A price rise for all shows."""
    moved = _moved(outputs, "all_dearer")
    return float(9 < moved < 11), f"10 more for all moved it by {moved:.3g} (9 to 11)"


CHECKS = {"one_does_not_matter": one_does_not_matter, "all_do": all_do}
