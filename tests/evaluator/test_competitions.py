"""From a submission's file to its report: strictly by id, and as MLE-bench does it."""

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor.evaluator.answers import check_answers
from proctor.evaluator.competitions import measure
from proctor.evaluator.earned import Measured, report
from proctor.evaluator.matching import matched_rows
from proctor.evaluator.metrics import METRICS
from proctor.evaluator.metrics.scores import roc_auc
from proctor.evaluator.submissions import aligned, read_csv
from proctor.evaluator.worker import in_worker
from proctor.schemas.competition import Compat, Competition, Form
from proctor.schemas.errors import SubmissionError, TaskError

NOW = datetime(2026, 1, 2, tzinfo=UTC)
ANSWERS = "id,target\na,1\nb,0\nc,1\nd,0\n"
NUMBERED = "id,target\n10,1.5\n2,2.5\n3,3.5\n"


def competition(metric: str = "roc_auc", /, **changes: Any) -> Competition:
    form = {"ids": ["id"], "targets": ["target"], **changes.pop("form", {})}
    settings = {"name": metric, **changes.pop("metric", {})}
    return Competition.model_validate(
        {
            "id": "some-competition",
            "name": "Some",
            "category": "tabular",
            "form": form,
            "metric": settings,
            "medals": {"gold": 0.9, "silver": 0.8, "bronze": 0.7, "median": 0.6, "teams": 5},
            "lower_is_better": False,
            **changes,
        }
    )


@pytest.fixture
def scored(tmp_path: Path) -> Any:
    def score(
        task: Competition, submission: str, answers: str = ANSWERS, compat: Compat = "strict"
    ) -> Measured:
        (tmp_path / "submission.csv").write_text(submission, "utf-8", newline="")
        (tmp_path / "answers.csv").write_text(answers, "utf-8")
        return measure(task, tmp_path / "submission.csv", tmp_path / "answers.csv", compat)

    return score


def test_rows_may_come_in_any_order_with_further_columns_and_blank_lines(scored: Any) -> None:
    found = scored(competition(), "note,target,id\nx,0.1,d\n\ny,0.9,a\n,0.2,b\n,0.1,c\n")
    assert found == Measured(0.625)


@pytest.mark.parametrize(
    ("submission", "reason"),
    [
        ("", "empty"),
        ("id\na\nb\nc\nd\n", "no column 'target'"),
        ("id,target,target\na,1,1\n", "'target' stands twice"),
        ("id,target\na,1\nb,1\nc,1\n", "missing id: 'd'"),
        ("id,target\na,1\nb,1\nc,1\nd,1\ne,1\n", "unknown id: 'e'"),
        ("id,target\na,1\nb,1\nc,1\nd,1\na,1\n", "id stands twice: 'a'"),
        ("id,target\na,1\nb,1\nc,1\nc,1\n", "id stands twice: 'c'"),
        ("id,target\na,1\nb,\nc,1\nd,1\n", "1 of 4 values of target .* of id 'b'"),
        ("id,target\na,1\nb,nan\nc,inf\nd,1\n", "2 of 4 values of target"),
        ("id,target\na,1\nb,high\nc,1\nd,1\n", "no finite numbers: 'high'"),
        ("id,target\na,1\nb,1,2\nc,1\nd,1\n", "not a CSV table"),
        ("id,target\ra,1\rb,1\rc,1\rd,1\r", "'target'; end lines with a line feed"),
        ('id,target\na,1\nb,"1\nc,1\nd,1\n', "not a CSV table|missing"),
        ("id,target\na,1\nb,2\nc,1\nd,1\n", "1 rows have values above 1"),
    ],
)
def test_what_is_wrong_makes_a_submission_invalid_with_the_reason(
    scored: Any, submission: str, reason: str
) -> None:
    task = competition(form={"low": 0, "high": 1})
    found = scored(task, submission)
    assert found.score is None
    assert found.exists
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(found.reason)


def test_a_reason_names_a_few_ids_and_counts_the_rest(scored: Any) -> None:
    answers = "id,target\n" + "".join(f"x{n},{n % 2}\n" for n in range(20))
    found = scored(competition(), "id,target\nx0,1\n", answers)
    assert found.reason == ("submission.csv: missing id: 'x1', 'x2', 'x3', 'x4', 'x5' and 14 more")


def test_whole_numbers_are_one_id_however_they_are_written(scored: Any) -> None:
    found = scored(competition("mae"), "id,target\n02,2.5\n10,1.5\n3,3\n", NUMBERED)
    assert found.score == pytest.approx(0.5 / 3, abs=1e-5)
    wrong = scored(competition("mae"), "id,target\n02,2.5\nx,1.5\n3,3\n", NUMBERED)
    assert wrong.reason == "submission.csv: missing id: '10'"


def test_labels_that_are_numbers_or_booleans_are_compared_as_such(scored: Any) -> None:
    task = competition("accuracy")
    assert scored(task, "id,target\na,1.0\nb,0\nc,0\nd,00\n").score == 0.75
    truths = "id,target\na,True\nb,False\n"
    assert scored(task, "id,target\na,true\nb,TRUE\n", truths).score == 0.5
    words = "id,target\na,cat\nb,dog\n"
    assert scored(task, "id,target\na,cat\nb,Dog\n", words).score == 0.5
    assert "1 rows have no target: 'b'" in scored(task, "id,target\na,cat\nb,\n", words).reason


def test_rows_of_one_id_are_matched_in_their_order_where_ids_repeat(scored: Any) -> None:
    task = competition("mae", form={"repeated": "in order"})
    answers = "id,target\nx,1\ny,5\nx,2\n"
    assert scored(task, "id,target\nx,1\nx,2\ny,5\n", answers).score == 0
    assert scored(task, "id,target\nx,2\nx,1\ny,5\n", answers).score == pytest.approx(
        2 / 3, abs=1e-5
    )
    assert "missing id: 'x'" in scored(task, "id,target\nx,1\ny,5\ny,5\n", answers).reason


def test_further_ids_are_passed_over_where_they_may_be(scored: Any) -> None:
    task = competition("map_at_k", form={"unknown": "ignored"}, metric={"settings": {"k": 2}})
    answers = "id,target\na,x y\nb,z\n"
    found = scored(task, "id,target\nq,x\nb,y z\na,x y\n", answers)
    assert found.score == 0.75


def test_probabilities_add_up_and_the_truth_may_be_a_label(scored: Any) -> None:
    task = competition(
        "log_loss",
        form={"targets": ["cat", "dog"], "truth": ["breed"], "one_hot": True, "row_sum": 1},
        metric={"settings": {"clip": 2.220446049250313e-16}},
    )
    answers = "id,breed\na,dog\nb,cat\n"
    found = scored(task, "id,dog,cat\nb,0.5,0.5\na,0.25,0.75\n", answers)
    assert found.score == round(math.log(8) / 2, 5)
    assert "do not add up to 1" in scored(task, "id,dog,cat\nb,0.5,0.6\na,1,0\n", answers).reason


def test_a_metric_takes_further_columns_of_the_answers(scored: Any) -> None:
    task = competition("masked_mae", metric={"columns": {"masked": "u_out"}})
    answers = "id,target,u_out\na,1,0\nb,2,1\n"
    assert scored(task, "id,target\nb,9\na,3\n", answers).score == 2
    shaped = competition(
        "mean_dice", metric={"columns": {"height": "h", "width": "w"}}, form={"truth": ["real"]}
    )
    answers = "id,real,h,w\na,1 2,2,2\nb,,2,2\n"
    assert scored(shaped, "id,target\nb,\na,2 2\n", answers).score == 0.75
    assert "beyond the image" in scored(shaped, "id,target\nb,\na,4 2\n", answers).reason
    loose = shaped.model_copy(
        update={"upstream": shaped.upstream.model_copy(update={"settings": {"beyond": True}})}
    )
    assert scored(loose, "id,target\na,4 2\nb,\n", answers, "upstream").score == 0.5


def test_rows_of_an_id_are_gathered_where_the_answers_list_boxes(scored: Any) -> None:
    task = competition(
        "coco_map",
        metric={"settings": {"iou": 0.4}},
        form={"gathered": ["c", "x", "y", "x2", "y2"]},
    )
    answers = "id,c,x,y,x2,y2\na,0,0,0,9,9\nb,1,5,5,8,8\na,1,2,2,4,4\n"
    submission = "id,target\na,1 0.9 2 2 4 4 0 0.8 0 0 9 9\nb,1 0.7 5 5 8 8\n"
    for compat in ("strict", "upstream"):
        assert scored(task, submission, answers, compat).score == pytest.approx(1)


def test_answers_in_natural_questions_form_are_read(tmp_path: Path) -> None:
    marked: dict[str, Any] = {
        "long_answer": {"start_token": 1, "end_token": 9},
        "short_answers": [{"start_token": 2, "end_token": 3}],
        "yes_no_answer": "YES",
    }
    none: dict[str, Any] = {
        "long_answer": {"start_token": -1, "end_token": -1},
        "short_answers": [],
        "yes_no_answer": "NONE",
    }
    lines = [
        json.dumps({"example_id": str(n), "annotations": [each]})
        for n, each in ((7, marked), (-8, none))
    ]
    (tmp_path / "test.jsonl").write_text("\n".join(lines), "utf-8")
    rows = "7_long,1:9\n7_short,YES\n-8_long,\n-8_short,1:2\n"
    (tmp_path / "s.csv").write_text(f"id,target\n{rows}", "utf-8")
    for compat in ("strict", "upstream"):
        found = measure(
            competition("span_accuracy"), tmp_path / "s.csv", tmp_path / "test.jsonl", compat
        )
        assert found.score == 0.75


async def test_a_worker_scores_a_submission_within_its_bounds(tmp_path: Path) -> None:
    rows = "".join(f"img{n},{n % 7}\n" for n in range(50_000))
    for name in ("answers.csv", "submission.csv"):
        (tmp_path / name).write_text(f"id,target\n{rows}", "utf-8")
    files = tmp_path / "submission.csv", tmp_path / "answers.csv"
    assert await in_worker(measure, competition("mae"), *files) == Measured(0.0)


# Upstream


def test_upstream_compares_by_position_where_mle_bench_does(scored: Any) -> None:
    task = competition("mae", upstream={"align": "position"})
    reversed_ = "id,target\n3,3.5\n2,2.5\n10,1.5\n"
    assert scored(task, reversed_, NUMBERED).score == 0
    assert scored(task, reversed_, NUMBERED, "upstream").score == pytest.approx(4 / 3, abs=1e-5)


def test_upstream_takes_columns_by_their_place_where_mle_bench_does(scored: Any) -> None:
    task = competition(
        "mean_column_roc_auc", form={"targets": ["x", "y"]}, upstream={"by_place": True}
    )
    answers = "id,x,y\na,0,1\nb,1,0\n"
    other = "y,id,x\n1,a,0\n0,b,1\n"
    assert scored(task, other, answers).score == 1
    assert scored(task, other, answers, "upstream").score == 0
    assert scored(task, answers, answers, "upstream").score == 1
    more = "id,x,y,z\na,0,1,0\nb,1,0,0\n"
    assert "3 columns instead of 2" in scored(task, more, answers, "upstream").reason


def test_upstream_masks_by_position_before_sorting(scored: Any) -> None:
    task = competition(
        "mcrmse",
        form={"targets": ["x", "y"]},
        metric={"columns": {"kept": "keep"}},
        upstream={"mask_by_position": True},
    )
    answers = "id,x,y,keep\na,1,1,True\nb,2,2,True\nc,3,3,False\n"
    same, other = "id,x,y\na,1,1\nb,2,2\nc,3,3\n", "id,x,y\nc,3,3\nb,2,2\na,1,1\n"
    assert scored(task, same, answers, "upstream").score == 0
    assert scored(task, other, answers, "upstream").score == 1
    assert scored(task, other, answers).score == 0


@pytest.mark.parametrize(
    ("align", "submission", "valid"),
    [
        ("sorted", "id,target\n3,1\n2,1\n4,1\n", False),
        ("sorted unchecked", "id,target\n3,1\n2,1\n4,1\n", True),
        ("sorted unchecked", "id,target\n3,1\n2,1\n", False),
        ("merged", "id,target\n3,1\n2,1\n10,1\n2,7\n", True),
        ("merged", "id,target\n3,1\n2,1\n", False),
        ("superset", "id,target\n3,1\n2,1\n10,1\n99,5\n", True),
        ("subset", "id,target\n3,1\n", True),
        ("subset", "id,target\n99,1\n", False),
        ("sorted", "id,target\n3,1\n2,\n10,1\n", False),
        ("sorted", "id,other\n3,1\n2,1\n10,1\n", False),
        ("sorted", "", False),
    ],
)
def test_upstream_takes_and_refuses_what_mle_bench_does(
    scored: Any,
    align: str,
    submission: str,
    valid: bool,  # noqa: FBT001 - a column of the table
) -> None:
    task = competition("mae", upstream={"align": align})
    found = scored(task, submission, NUMBERED, "upstream")
    assert (found.score is not None) == valid
    assert (found.reason is None) == valid


def test_groups_are_compared_in_their_own_order_upstream(scored: Any) -> None:
    task = competition(
        "mean_haversine",
        form={"ids": ["trip", "time"], "targets": ["lat", "lon"]},
        metric={"columns": {"trips": "trip"}},
        upstream={"align": "position in group"},
    )
    answers = "trip,time,lat,lon\nq,1,0,0\nq,2,1,0\np,1,2,0\n"
    found = "trip,time,lat,lon\np,9,2,0\nq,2,0,0\nq,1,1,0\n"
    assert scored(task, found, answers, "upstream").score == 0
    assert "missing trip/time: 'p/1'" in scored(task, found, answers).reason


def test_an_undefined_score_is_valid_upstream_and_says_why_it_is_not_here(scored: Any) -> None:
    flat = "id,target\na,1\nb,1\nc,1\nd,1\n"
    answers = "id,target\na,1\nb,2\nc,3\nd,4\n"
    task = competition("pearson")
    assert math.isnan(scored(task, flat, answers, "upstream").score)
    assert "undefined" in scored(task, flat, answers).reason


def test_pandas_words_for_nothing_are_one_label_upstream(scored: Any) -> None:
    task = competition("accuracy", upstream={"as_text": True})
    answers = "id,target\na,NA\nb,two\n"
    assert scored(task, "id,target\na,nan\nb,two\n", answers, "upstream").score == 1
    assert scored(task, "id,target\na,nan\nb,two\n", answers).score == 0.5


# Reports


def test_a_report_says_what_was_won_and_by_which_rule(tmp_path: Path) -> None:
    won = report(
        competition(), tmp_path / "s.csv", Measured(0.8), NOW, leaderboard=[0.95, 0.9, 0.8, 0.1]
    )
    assert (won.silver_medal, won.gold_medal, won.any_medal, won.above_median) == (
        True,
        False,
        True,
        True,
    )
    assert (won.rank, won.percentile, won.compat) == (3, 25.0, "strict")
    lost = report(competition(), tmp_path / "s.csv", Measured(None, "why"), NOW, compat="upstream")
    assert not lost.valid_submission
    assert (lost.reason, lost.rank, lost.compat) == ("why", None, "upstream")


@pytest.mark.parametrize("score", [math.nan, -math.inf])
def test_a_report_survives_json_whatever_the_score(tmp_path: Path, score: float) -> None:
    made = report(competition(), tmp_path / "s.csv", Measured(score), NOW, compat="upstream")
    assert made.valid_submission
    assert not made.any_medal
    assert json.loads(made.model_dump_json(), parse_constant=pytest.fail)["score"] in (
        "NaN",
        "-Infinity",
    )


@pytest.mark.parametrize("name", ["nothing.csv", "table.txt"])
def test_what_is_no_csv_file_is_missing(tmp_path: Path, name: str) -> None:
    (tmp_path / "table.txt").write_text("id,target\n")
    found = measure(competition(), tmp_path / name, tmp_path / "answers.csv")
    assert (found.score, found.exists) == (None, False)


def test_answers_that_cannot_be_scored_are_the_tasks_fault(tmp_path: Path) -> None:
    (tmp_path / "answers.csv").write_text("id,target\na,1\na,2\n")
    with pytest.raises(TaskError, match="an id twice"):
        check_answers(competition(), tmp_path / "answers.csv")
    (tmp_path / "s.csv").write_text("id,target\na,1\n")
    (tmp_path / "answers.csv").write_text("id,other\na,1\n")
    with pytest.raises(TaskError, match="no column 'target'"):
        measure(competition(), tmp_path / "s.csv", tmp_path / "answers.csv")


# Alignment


@given(
    st.lists(st.text('ab\u00e9,"\n 0129-', min_size=1, max_size=4), min_size=1, unique=True),
    st.randoms(use_true_random=False),
)
def test_any_order_of_any_ids_comes_back_into_that_of_the_answers(
    ids: list[str], random: Any
) -> None:
    ids = [each for each in ids if each.strip()] or ["x"]
    shuffled = random.sample(range(len(ids)), len(ids))

    def table(order: list[int]) -> bytes:
        cells = (ids[n].replace('"', '""') for n in order)
        rows = (f'"{cell}",{n}' for cell, n in zip(cells, order, strict=True))
        return ("id,target\n" + "\n".join(rows) + "\n").encode()

    answers = read_csv(table(list(range(len(ids)))), "answers", ["id", "target"], 1000)
    found = read_csv(table(shuffled), "table", ["id", "target"], 1000)
    form = Form(ids=("id",), targets=("target",))
    wanted = [str(n) for n in range(len(ids))]
    if len({int(i) if i.removeprefix("-").isdecimal() else i for i in ids}) == len(ids):
        assert aligned(found, answers, form, "table")["target"].to_list() == wanted


@pytest.mark.parametrize("kind", ["text", "number"])
def test_many_rows_are_aligned_exactly(kind: str) -> None:
    rng = np.random.default_rng(0)
    n = 30_000
    numbers = (rng.choice(10**7, n, replace=False) - 5 * 10**6).tolist()
    ids = [f"img_{i:07}" for i in range(n)] if kind == "text" else numbers
    order = rng.permutation(n)

    def table(rows: np.ndarray) -> bytes:
        return ("id,target\n" + "".join(f"{ids[r]},{r}\n" for r in rows)).encode()

    answers = read_csv(table(np.arange(n)), "answers", ["id", "target"], n)
    found = read_csv(table(order), "table", ["id", "target"], n)
    form = Form(ids=("id",), targets=("target",))
    assert aligned(found, answers, form, "table")["target"].cast(int).to_list() == list(range(n))
    twice = read_csv(table(np.append(order[1:], order[5])), "table", ["id", "target"], n)
    with pytest.raises(SubmissionError, match="stands twice"):
        aligned(twice, answers, form, "table")


def test_a_table_of_too_many_rows_is_refused() -> None:
    with pytest.raises(SubmissionError, match="more than 2 rows"):
        read_csv(b"id\n1\n2\n3\n", "table", ["id"], 2)


# Fast ways, and slow ones beside them


@given(
    st.lists(
        st.tuples(st.booleans(), st.sampled_from([-2.0, -0.0, 0.0, 0.25, 0.5, 1e-300, 7.0])),
        min_size=2,
        max_size=30,
    ),
    st.sampled_from([abs, float]),
)
def test_the_roc_curves_area_counts_pairs_with_any_sign_and_any_ties(
    rows: list[tuple[bool, float]], kept: Callable[[float], float]
) -> None:
    scores = [kept(score) for _, score in rows]
    good = [score for (positive, _), score in zip(rows, scores, strict=True) if positive]
    bad = [score for (positive, _), score in zip(rows, scores, strict=True) if not positive]
    if good and bad:
        pairs = sum((a > b) + (a == b) / 2 for a in good for b in bad)
        found = roc_auc(np.array([float(each) for each, _ in rows]), np.array(scores))
        assert found == pytest.approx(pairs / len(good) / len(bad))


@pytest.mark.parametrize("metric", ["f1_macro", "balanced_accuracy", "matthews_corrcoef"])
@given(
    st.lists(
        st.tuples(st.sampled_from([-5, 0, 3, 10**12]), st.sampled_from([-5, 0, 7, 10**12])),
        min_size=2,
        max_size=20,
    )
)
def test_whole_numbers_as_labels_count_as_their_names_would(
    metric: str, rows: list[tuple[int, int]]
) -> None:
    truth, said = np.array(rows).T
    score = METRICS[metric].score
    named = [np.array([str(each) for each in side], dtype=object) for side in (truth, said)]
    assert score(truth, said) == pytest.approx(score(*named))
    near = [np.where(side > 7, 9, side) for side in (truth, said)]
    assert score(*near) == pytest.approx(score(truth, said))


LABELLED = "id,target\n1,3\n2,4\n3,4\n"


@pytest.mark.parametrize(
    ("submission", "score"),
    [
        ("id,target\n3,4\n2,4\n1,3\n", 1.0),
        ("id,target\n3,4.0\n2,4\n1,3\n", 1.0),
        ("id,target\n3, 4\n2,04\n1,3\n", 1.0),
        ("id,target\n03,4\n2,4\n1,9\n", 0.66667),
    ],
)
def test_labels_that_are_numbers_are_compared_as_such(
    scored: Any, submission: str, score: float
) -> None:
    assert scored(competition("accuracy"), submission, LABELLED) == Measured(score)


@pytest.mark.parametrize(
    ("submission", "reason"),
    [
        ("id,target\n3,4\n2,\n1,3\n", "of id '2'|have no target"),
        ("id,target\n3,4\n2,cat\n1,3\n", "'cat'"),
        ("id,target\n3,4\n,4\n1,3\n", "missing id: '2'"),
        ("id,target\n3,4\n5,4\n1,3\n", "missing id: '2'"),
        ("id,target\n3,4\n3,4\n1,3\n", "id stands twice: '3'"),
        ("id,target\n3,4\n99999999999999999999,4\n1,3\n", "missing id: '2'"),
    ],
)
def test_what_is_no_label_or_id_among_numbers_is_named(
    scored: Any, submission: str, reason: str
) -> None:
    found = scored(competition("accuracy"), submission, LABELLED)
    assert found.score is None
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(found.reason)


def test_an_empty_label_of_the_answers_is_a_label(scored: Any) -> None:
    answers = "id,target\n1,3\n2,\n3,4\n"
    assert scored(competition("accuracy"), answers, answers) == Measured(1.0)


@given(st.data(), st.sampled_from([1, 1000, 10**15]), st.integers(1, 60))
def test_places_are_found_however_far_apart_numbers_lie(data: Any, step: int, n: int) -> None:
    ours = data.draw(st.lists(st.integers(-n, n), min_size=1, max_size=n, unique=True))
    theirs = data.draw(st.permutations(ours))
    tables = [pl.DataFrame({"id": [each * step for each in side]}) for side in (theirs, ours)]
    found = matched_rows(*tables)
    assert found is not None
    assert [theirs[row] for row in found] == ours
    other = tables[0].with_columns(pl.col("id").replace(ours[0] * step, 2 * n * step + 7))
    assert matched_rows(other, tables[1]) is None
