"""The arithmetic of grades."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from proctor.evaluator.scoring import earned_points, result_of, snap, totals, unmet_requirement
from proctor.schemas.grade import Score
from proctor.schemas.rubric import Criterion, Outcome, PenaltyWhen

points = st.one_of(
    st.integers(-100, 100), st.floats(-100, 100, allow_nan=False).map(lambda x: round(x, 2))
)
scores = st.one_of(
    st.builds(Score, state=st.just("scored"), credit=st.floats(0, 1), evidence=st.just("e")),
    st.builds(Score, state=st.sampled_from(["ungraded", "invalid"]), evidence=st.just("e")),
)
penalties: st.SearchStrategy[PenaltyWhen] = st.sampled_from(["met", "unmet"])


def criterion(value: float, **more: object) -> Criterion:
    return Criterion.model_validate({"id": "c", "points": value, "text": "t", **more})


@given(points, scores, penalties)
def test_a_criterion_earns_between_nothing_and_its_points(
    value: float, score: Score, penalty: PenaltyWhen
) -> None:
    earned = earned_points(value, score, penalty)
    assert min(0, value) - 1e-4 <= earned <= max(0, value) + 1e-4


@given(st.lists(st.tuples(points, scores), max_size=12), penalties)
def test_totals_never_exceed_what_is_possible(
    entries: list[tuple[float, Score]], penalty: PenaltyWhen
) -> None:
    results = [result_of(criterion(value), score, penalty) for value, score in entries]
    earned, possible, graded, percentage = totals(results)
    assert 0 <= graded <= possible + 1e-6
    assert earned <= graded + 1e-3
    assert percentage is None or 0 <= percentage <= 100.01
    assert (percentage is None) == (graded == 0)


@given(st.lists(st.tuples(points, scores), max_size=12), penalties)
def test_ungraded_criteria_change_nothing_but_what_is_possible(
    entries: list[tuple[float, Score]], penalty: PenaltyWhen
) -> None:
    results = [result_of(criterion(value), score, penalty) for value, score in entries]
    measured = [result for result in results if result.state != "ungraded"]
    assert totals(results)[0] == totals(measured)[0]
    assert totals(results)[2:] == totals(measured)[2:]


def test_a_penalty_applies_when_met_unless_the_task_says_unmet() -> None:
    met = Score(state="scored", credit=1.0, evidence="")
    unmet = Score(state="scored", credit=0.0, evidence="")
    assert [earned_points(-3, s, "met") for s in (met, unmet)] == [-3, 0]
    assert [earned_points(-3, s, "unmet") for s in (met, unmet)] == [0, -3]


def test_points_stay_integers_where_they_are() -> None:
    whole = earned_points(5, Score(state="scored", credit=1.0, evidence=""), "met")
    assert isinstance(whole, int)
    assert earned_points(5, Score(state="scored", credit=0.5, evidence=""), "met") == 2.5


@given(st.floats(0, 1), st.lists(st.floats(0, 10), min_size=1, max_size=5))
def test_discrete_outcomes_never_round_up(credit: float, outcomes: list[float]) -> None:
    c = criterion(5, outcomes=[Outcome(score=score) for score in outcomes])
    snapped = snap(credit, c)
    assert 0 <= snapped <= credit + 1e-6
    scale = max(1.0, *outcomes)
    assert snapped == 0 or any(abs(snapped - score / scale) < 1e-9 for score in outcomes)


def test_a_criterion_without_outcomes_takes_any_credit() -> None:
    assert snap(0.37, criterion(5)) == 0.37


def test_requirements_pass_on_failure_and_ignorance() -> None:
    c = criterion(5, requires=["first"])
    full = {"first": Score(state="scored", credit=1.0, evidence="")}
    partial = {"first": Score(state="scored", credit=0.9, evidence="")}
    unknown = {"first": Score(state="ungraded", evidence="")}
    assert unmet_requirement(c, full) is None
    failed = unmet_requirement(c, partial)
    assert failed is not None
    assert (failed.state, failed.credit) == ("scored", 0.0)
    ignorant = unmet_requirement(c, unknown)
    assert ignorant is not None
    assert ignorant.state == "ungraded"


states = st.lists(scores, min_size=1, max_size=5)


@given(states, st.randoms())
def test_requirements_decide_alike_in_any_order(given_scores: list[Score], shuffle: Any) -> None:
    named = {f"r{n}": score for n, score in enumerate(given_scores)}
    required = list(named)
    before = unmet_requirement(criterion(5, requires=required), named)
    shuffle.shuffle(required)
    after = unmet_requirement(criterion(5, requires=required), named)
    assert (before and before.state) == (after and after.state)
    known = [score for score in given_scores if score.state != "ungraded"]
    if any(score.credit < 1 for score in known):
        assert before is not None
        assert (before.state, before.credit) == ("scored", 0)
    else:
        assert (before is None) == (len(known) == len(given_scores))


@given(st.floats(0, 1), st.floats(0, 1), st.lists(st.floats(-5, 10), max_size=5))
def test_more_credit_never_snaps_lower(one: float, other: float, allowed: list[float]) -> None:
    c = criterion(5, outcomes=[Outcome(score=score) for score in allowed])
    low, high = sorted((one, other))
    assert snap(low, c) <= snap(high, c)
    assert snap(snap(high, c), c) == snap(high, c)


@given(points, st.floats(0, 1))
def test_a_penalty_is_read_one_way_or_the_other(value: float, credit: float) -> None:
    score = Score(state="scored", credit=credit, evidence="e")
    met, unmet = (earned_points(value, score, when) for when in ("met", "unmet"))
    if value < 0:
        assert abs(met + unmet - value) <= 2e-4
    else:
        assert met == unmet


@given(points, penalties)
def test_what_is_not_measured_earns_and_costs_nothing(value: float, when: PenaltyWhen) -> None:
    assert earned_points(value, Score(state="ungraded", evidence="e"), when) == 0
    invalid = earned_points(value, Score(state="invalid", evidence="e"), when)
    assert invalid == (value if value < 0 and when == "unmet" else 0)


@given(st.lists(st.tuples(points, scores), max_size=12), penalties, st.randoms())
def test_the_order_of_criteria_changes_no_total(
    entries: list[tuple[float, Score]], penalty: PenaltyWhen, shuffle: Any
) -> None:
    results = [result_of(criterion(value), score, penalty) for value, score in entries]
    before = totals(results)
    shuffle.shuffle(results)
    after = totals(results)
    assert before[:3] == after[:3]
    assert before[3] == after[3]


@given(st.lists(st.tuples(points, scores), min_size=1, max_size=12), st.floats(0, 1))
def test_better_work_never_lowers_the_score_of_a_rubric_without_penalties(
    entries: list[tuple[float, Score]], credit: float
) -> None:
    def total(first: Score) -> float:
        ours = [(abs(value), score) for value, score in entries]
        ours[0] = (ours[0][0], first)
        return totals([result_of(criterion(v), s, "met") for v, s in ours])[0]

    worse = Score(state="scored", credit=credit, evidence="e")
    assert total(worse) <= total(worse.model_copy(update={"credit": 1.0})) + 1e-3
