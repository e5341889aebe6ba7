"""Medals: what a score would have won on a leaderboard.

Source: MLE-bench's grading rules, which follow Kaggle's progression system: ranks by the number of
teams, a score as good as the one at the rank wins, and only the score is rounded.
"""

import statistics
from collections.abc import Sequence
from decimal import Decimal
from math import isnan
from typing import NamedTuple

from proctor.schemas.competition import Thresholds

DIGITS = 5
FEW, SEVERAL, MANY = 100, 250, 1000
"""Teams from which on other shares of them win."""


class Ranks(NamedTuple):
    """The last rank, from 1, that wins each medal."""

    gold: int
    silver: int
    bronze: int


class Award(NamedTuple):
    """What a score wins: one medal at most."""

    gold: bool
    silver: bool
    bronze: bool
    above_median: bool

    @property
    def any(self) -> bool:
        """Whether it is a medal at all."""
        return self.gold or self.silver or self.bronze


class Standing(NamedTuple):
    """Where a score stands on a leaderboard."""

    rank: int
    """1 more than the number of teams that are better."""
    percentile: float
    """The share of teams that are worse, from 0 to 100."""


def medal_ranks(teams: int) -> Ranks:
    """The ranks that win medals among so many teams.

    Raises:
        ValueError: There are none.
    """
    if teams < 1:
        raise ValueError("a leaderboard without teams has no medals")
    if teams < FEW:
        return Ranks(*(max(1, teams * tenths // 10) for tenths in (1, 2, 4)))
    if teams < SEVERAL:
        return Ranks(10, teams // 5, teams * 2 // 5)
    golds = 10 + teams // 500
    return Ranks(golds, 50, 100) if teams < MANY else Ranks(golds, teams // 20, teams // 10)


def thresholds_of(leaderboard: Sequence[float]) -> Thresholds:
    """The thresholds of a leaderboard that is stored best first.

    Raises:
        ValueError: It is empty.
    """
    at = medal_ranks(len(leaderboard))
    gold, silver, bronze = (leaderboard[rank - 1] for rank in at)
    # in decimals, as scores are written: the binary mean of 0.1 and 0.7 is a little less than 0.4,
    # so that a tie would beat it
    median = float(statistics.median(Decimal(str(score)) for score in leaderboard))
    return Thresholds(
        gold=gold, silver=silver, bronze=bronze, median=median, teams=len(leaderboard)
    )


def told_direction(leaderboard: Sequence[float]) -> bool:
    """Whether lower is better, as a leaderboard stored best first tells it.

    Where its first score equals its last, as in one row, that reads as "higher is better".
    """
    return leaderboard[0] < leaderboard[-1]


def rounded(score: float) -> float:
    """A score as it is compared: five digits, halves by the binary value to the even one."""
    return round(float(score), DIGITS)


def award(score: float | None, thresholds: Thresholds, *, lower_is_better: bool) -> Award:
    """What a rounded score wins: a tie with a threshold wins its medal, one with the median not.

    NaN and no score win nothing.
    """
    if score is None or isnan(score):
        return Award(gold=False, silver=False, bronze=False, above_median=False)
    sign = -1 if lower_is_better else 1
    best = next((medal for medal in Ranks._fields if _reaches(score, thresholds, medal, sign)), "")
    return Award(
        gold=best == "gold",
        silver=best == "silver",
        bronze=best == "bronze",
        above_median=sign * score > sign * thresholds.median,
    )


def standing(score: float, leaderboard: Sequence[float], *, lower_is_better: bool) -> Standing:
    """Where a rounded score stands; the leaderboard may come in any order.

    Raises:
        ValueError: The leaderboard is empty, or the score is NaN.
    """
    if not leaderboard or isnan(score):
        raise ValueError("a standing needs a leaderboard and a score")
    sign = -1 if lower_is_better else 1
    better = sum(sign * each > sign * score for each in leaderboard)
    worse = sum(sign * each < sign * score for each in leaderboard)
    return Standing(better + 1, 100 * worse / len(leaderboard))


def _reaches(score: float, thresholds: Thresholds, medal: str, sign: int) -> bool:
    return sign * score >= sign * float(getattr(thresholds, medal))
