"""Medals by rank, ties and the median, against the rules said plainly."""

import math
import statistics
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor.evaluator.medals import (
    Award,
    Ranks,
    award,
    medal_ranks,
    rounded,
    standing,
    thresholds_of,
    told_direction,
)

SCORES = st.lists(st.integers(0, 30).map(lambda n: n / 10), min_size=1, max_size=300)


@pytest.mark.parametrize(
    ("teams", "ranks"),
    [
        (1, (1, 1, 1)),
        (9, (1, 1, 3)),
        (99, (9, 19, 39)),
        (100, (10, 20, 40)),
        (249, (10, 49, 99)),
        (250, (10, 50, 100)),
        (500, (11, 50, 100)),
        (999, (11, 50, 100)),
        (1000, (12, 50, 100)),
        (2000, (14, 100, 200)),
        (3308, (16, 165, 330)),
    ],
)
def test_medals_go_to_so_many_ranks(teams: int, ranks: tuple[int, int, int]) -> None:
    assert medal_ranks(teams) == Ranks(*ranks)


@given(st.integers(1, 200_000))
def test_ranks_are_the_shares_of_teams_rounded_down(teams: int) -> None:
    golds = 10 + math.floor(0.002 * teams)
    shares = [max(1, math.floor(share * teams)) for share in (0.1, 0.2, 0.4, 0.05)]
    if teams < 100:
        expected = (shares[0], shares[1], shares[2])
    elif teams < 250:
        expected = (10, shares[1], shares[2])
    elif teams < 1000:
        expected = (golds, 50, 100)
    else:
        expected = (golds, shares[3], shares[0])
    assert medal_ranks(teams) == expected


def test_a_leaderboard_without_teams_has_no_medals() -> None:
    with pytest.raises(ValueError, match="without teams"):
        thresholds_of([])


@given(scores=SCORES, score=st.integers(0, 30).map(lambda n: n / 10), lower=st.booleans())
def test_a_tie_with_a_rank_wins_its_medal_and_one_with_the_median_nothing(
    *, scores: list[float], score: float, lower: bool
) -> None:
    board = sorted(scores, reverse=not lower)
    given_ = award(score, thresholds_of(board), lower_is_better=lower)

    def as_good(bound: float) -> bool:
        return score <= bound if lower else score >= bound

    won = [as_good(board[rank - 1]) for rank in medal_ranks(len(board))]
    middle = statistics.median(round(10 * each) for each in board) / 10
    assert given_.gold == won[0]
    assert given_.silver == (won[1] and not won[0])
    assert given_.bronze == (won[2] and not won[1] and not won[0])
    assert given_.any == any(won)
    assert given_.gold + given_.silver + given_.bronze <= 1
    assert given_.above_median == (score < middle if lower else score > middle)


@pytest.mark.parametrize("board", [[0.7, 0.1], [30.06006, 30.05], [21.0, 23.4]])
def test_what_equals_the_mean_of_the_two_in_the_middle_does_not_beat_it(board: list[float]) -> None:
    middle = float(sum(map(Decimal, map(str, board))) / 2)
    for lower in (True, False):
        ranked = sorted(board, reverse=not lower)
        assert not award(middle, thresholds_of(ranked), lower_is_better=lower).above_median


@given(scores=SCORES, score=st.integers(0, 30).map(lambda n: n / 10), lower=st.booleans())
def test_a_standing_counts_who_is_better_and_who_is_worse(
    *, scores: list[float], score: float, lower: bool
) -> None:
    found = standing(score, scores, lower_is_better=lower)
    ranked = sorted([*scores, score], reverse=not lower)
    assert found.rank == ranked.index(score) + 1
    worse = [each for each in scores if (each > score if lower else each < score)]
    assert found.percentile == pytest.approx(100 * len(worse) / len(scores))


def test_one_row_has_its_own_score_as_every_threshold_and_tells_no_direction() -> None:
    found = thresholds_of([0.5])
    assert (found.gold, found.silver, found.bronze, found.median) == (0.5, 0.5, 0.5, 0.5)
    assert not told_direction([0.5])
    assert award(0.5, found, lower_is_better=True) == Award(
        gold=True, silver=False, bronze=False, above_median=False
    )
    assert standing(0.5, [0.5], lower_is_better=False) == (1, 0.0)


@given(scores=SCORES.filter(lambda scores: len(set(scores)) > 1), lower=st.booleans())
def test_a_leaderboard_tells_its_direction(*, scores: list[float], lower: bool) -> None:
    assert told_direction(sorted(scores, reverse=not lower)) == lower


def test_only_the_score_is_rounded() -> None:
    board = thresholds_of([0.9333336, 0.5])
    assert not award(rounded(0.9333336), board, lower_is_better=False).gold
    assert rounded(0.123455) == round(0.123455, 5)
    assert rounded(2.2e-16) == 0.0


@pytest.mark.parametrize("score", [math.nan, None])
def test_what_is_no_number_wins_nothing(score: float | None) -> None:
    assert not any(award(score, thresholds_of([0.5, 0.4]), lower_is_better=False))


def test_infinities_are_compared_as_they_are() -> None:
    board = thresholds_of([-3.0, -2.0, 1.0])
    assert award(-math.inf, board, lower_is_better=True).gold
    assert not award(math.inf, board, lower_is_better=True).above_median
    assert math.isnan(rounded(math.nan))
