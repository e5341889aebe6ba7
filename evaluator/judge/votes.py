"""From votes to a verdict: the majority where it is large enough, and otherwise none."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

TOLERANCE = 1e-9


@dataclass(frozen=True)
class Tally:
    """How the votes on one criterion fell."""

    label: str | None
    """What enough of them said; None for a tie, or where they disagree."""
    agreement: float
    """The share of the votes asked for that said what most said."""
    told: str
    """The counts in words."""


def tally(labels: Sequence[str], asked: int, least: float) -> Tally:
    """Count votes.

    Args:
        labels: What each vote that came in says.
        asked: How many were asked for; one that did not come in agrees with nobody.
        least: The share of `asked` that must say the same.
    """
    ranked = Counter(labels).most_common()
    missing = asked - len(labels)
    counts = [f"{count} {label!r}" for label, count in ranked]
    told = ", ".join([*counts, f"{missing} without a verdict"] if missing else counts)
    if not ranked:
        return Tally(None, 0.0, told)
    label, most = ranked[0]
    tied = len(ranked) > 1 and ranked[1][1] == most
    agreement = most / asked
    return Tally(None if tied or agreement + TOLERANCE < least else label, agreement, told)
