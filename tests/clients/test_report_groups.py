"""What groups of sessions come to, whatever the sessions are."""

from dataclasses import replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from proctor.clients.reports.groups import EVERY_BY, Group, Settings, groups_of
from proctor.clients.reports.rows import Outcome, Row

unhurried = settings(max_examples=40)
ROW = Row(
    agent="noop", model="m", task="t", kind="technique", category="", epoch=1, outcome="scored",
    score=0.5, points_graded=10, criteria=1, criteria_ungraded=0, criteria_invalid=0,
    prompt_tokens=10, reply_tokens=5, cost_usd=0.1, duration_s=1.0, error=None, task_digest=None,
    session_id=None,
)  # fmt: skip
SETTINGS = Settings(by=("model",), k=(1, 2), pass_at=0.6)


@st.composite
def sessions(draw: st.DrawFn) -> Row:
    outcome: Outcome = draw(st.sampled_from(("scored", "ungraded", "invalid")))
    return replace(
        ROW,
        task=draw(st.sampled_from("abc")),
        epoch=draw(st.integers(1, 9)),
        outcome=outcome,
        score=draw(st.integers(0, 10)) / 10 if outcome == "scored" else None,
        cost_usd=draw(st.none() | st.integers(0, 5).map(float)),
    )


def whole(rows: list[Row]) -> Group:
    (group,) = groups_of(rows, SETTINGS)
    return group


@unhurried
@given(st.lists(sessions(), min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_the_order_of_sessions_changes_nothing(rows: list[Row], random: Random) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert groups_of(shuffled, Settings()) == groups_of(rows, Settings())


@unhurried
@given(st.lists(sessions(), min_size=1, max_size=12))
def test_an_ungraded_session_moves_neither_mean_nor_pass_rates(rows: list[Row]) -> None:
    before, after = whole(rows), whole([*rows, replace(ROW, outcome="ungraded", score=None)])
    assert (after.score, after.passing) == (before.score, before.passing)
    assert after.ungraded == before.ungraded + 1


@unhurried
@given(st.lists(sessions(), min_size=1, max_size=12))
def test_an_invalid_hand_in_moves_no_mean_and_raises_no_pass_rate(rows: list[Row]) -> None:
    tried = [row for row in rows if row.outcome != "ungraded"]
    before = whole(rows)
    after = whole([*rows, *(replace(row, outcome="invalid", score=None) for row in tried)])
    assert after.score == before.score
    assert after.invalid == before.invalid + len(tried)
    if tried:
        assert (after.passing[1].at_least_one or 0) <= (before.passing[1].at_least_one or 0)


@unhurried
@given(st.lists(sessions(), min_size=1, max_size=12))
def test_every_session_is_counted_once_in_every_way_of_grouping(rows: list[Row]) -> None:
    groups = groups_of(rows, Settings())
    for by in EVERY_BY:
        parts = [group for group in groups if group.by == by]
        assert sum(g.scored + g.ungraded + g.invalid for g in parts) == len(rows)
        assert sum(g.sessions for g in parts) == len(rows)
        assert sum(g.cost_usd.known or 0 for g in parts) == sum(row.cost_usd or 0 for row in rows)
        assert sum(g.cost_usd.unknown for g in parts) == sum(row.cost_usd is None for row in rows)


def test_medals_are_counted_where_sessions_have_them() -> None:
    assert whole([ROW]).medals is None
    rows = [replace(ROW, medal="gold"), replace(ROW, medal="gold"), replace(ROW, medal="bronze")]
    assert whole([ROW, *rows]).medals == {"gold": 2, "silver": 0, "bronze": 1}
