"""The grader ``competition``: from a submission to steps, and what may be told before the end."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from proctor.evaluator.feedback import standing
from proctor.evaluator.grade import grade
from proctor.evaluator.graders import check_options
from proctor.schemas.competition import Competition
from proctor.schemas.errors import TaskError
from proctor.schemas.rubric import Criterion, Message, Rubric
from proctor.schemas.task import Task

STEPS = ("valid", "above_median", "bronze", "silver", "gold")
BOARD = [0.9, 0.8, 0.7, 0.6, 0.5]
ANSWERS = "id,kind\n1,cat\n2,dog\n3,cat\n4,dog\n5,dog\n6,cat\n7,dog\n8,cat\n9,dog\n10,cat\n"
SAMPLE = "id,kind\n" + "".join(f"{n},dog\n" for n in range(1, 11))


def task(**changes: Any) -> Task:
    competition = Competition.model_validate(
        {
            "id": "pets",
            "name": "Pets",
            "category": "low",
            "form": {"ids": ["id"], "targets": ["kind"]},
            "metric": {"name": "accuracy"},
            "medals": {"gold": 0.9, "silver": 0.8, "bronze": 0.7, "median": 0.65, "teams": 5},
            "lower_is_better": False,
        }
    )
    grading: dict[str, str] = {
        "answers.csv": ANSWERS,
        "sample_submission.csv": SAMPLE,
        "competition.json": competition.model_dump_json(),
        "leaderboard.json": json.dumps(BOARD),
        **changes,
    }
    return Task(
        id="competition/pets",
        title="Pets",
        kind="competition",
        prompt=(Message(content="Tell cats from dogs."),),
        grading={name: text.encode() for name, text in grading.items() if text},
        rubric=Rubric(
            criteria=tuple(
                Criterion(
                    id=step, points=1, text=step, grader="competition", options={"step": step}
                )
                for step in STEPS
            )
        ),
    )


def submission(right: int) -> str:
    """So many of ten rows as they are."""
    header, *rows = ANSWERS.splitlines()
    wrong = {"cat": "dog", "dog": "cat"}
    said = [row.split(",") for row in rows]
    told = [(id_, kind if n < right else wrong[kind]) for n, (id_, kind) in enumerate(said)]
    return "\n".join([header, *(",".join(each) for each in reversed(told))]) + "\n"


@pytest.mark.parametrize(
    ("right", "steps", "place"),
    [
        (10, STEPS, "rank 1 beside 5 teams, percentile 100, beats the median, gold medal"),
        (9, STEPS, "rank 1 beside 5 teams, percentile 80, beats the median, gold medal"),
        (8, STEPS[:4], "rank 2 beside 5 teams, percentile 60, beats the median, silver medal"),
        (7, STEPS[:3], "rank 3 beside 5 teams, percentile 40, beats the median, bronze medal"),
        (6, STEPS[:1], "rank 4 beside 5 teams, percentile 20, does not beat the median, no medal"),
        (0, STEPS[:1], "rank 6 beside 5 teams, percentile 0, does not beat the median, no medal"),
    ],
)
async def test_a_score_takes_every_step_up_to_its_medal(
    work_of: Any, right: int, steps: tuple[str, ...], place: str
) -> None:
    found = await grade(work_of(task(), {"submission.csv": submission(right)}))
    assert [each.id for each in found.results if each.passed] == list(steps)
    assert {each.reasoning for each in found.results} == {f"accuracy: {place}"}
    assert {each.value for each in found.results} == {right / 10}


WRONG: Mapping[str, tuple[str, str]] = {
    "missing ids": ("id,kind\n1,cat\n", "missing id: '2'"),
    "unknown ids": (submission(9) + "11,cat\n", "unknown id: '11'"),
    "repeated ids": (submission(9) + "10,cat\n", "id stands twice: '10'"),
    "another column": (SAMPLE.replace("kind", "sort"), "has no column 'kind'"),
    "empty cells": (SAMPLE.replace("\n4,dog", "\n4,"), "1 rows have no kind: '4'"),
    "nothing": ("", "is empty"),
    "no text": ("\xff\xfe", "no header|no column"),
}


@pytest.mark.parametrize("case", WRONG)
async def test_a_bad_submission_is_invalid_throughout_with_the_reason(
    work_of: Any, case: str
) -> None:
    text, reason = WRONG[case]
    data = text.encode("latin-1") if case == "no text" else text
    work = work_of(task(), {"submission.csv": data})
    found = await grade(work)
    assert {each.state for each in found.results} == {"invalid"}
    assert found.percentage == 0
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(found.results[0].reasoning)
    before = await standing(work, "validity")
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(before)


async def test_without_a_submission_it_is_invalid(work_of: Any) -> None:
    found = await grade(work_of(task(), {}))
    assert {each.state for each in found.results} == {"invalid"}
    assert "submission.csv: it does not exist" in found.results[0].reasoning


@pytest.mark.parametrize("before", ["validity", "validation", "graded"])
async def test_what_is_told_before_the_end_is_the_same_whatever_is_right(
    work_of: Any, before: Any
) -> None:
    told = [
        await standing(work_of(task(), {"submission.csv": submission(n)}), before)
        for n in (0, 5, 10)
    ]
    assert told[0] == told[1] == told[2]
    assert "has the form asked for" in told[0][0]
    assert "accuracy" not in " ".join(told[0])


async def test_the_form_is_judged_without_the_answers(work_of: Any) -> None:
    odd = task(**{"answers.csv": "id,kind\n99,cat\n"})
    work = work_of(odd, {"submission.csv": submission(3)})
    assert "has the form asked for" in (await standing(work, "validity"))[0]


async def test_code_in_a_submission_is_text(work_of: Any) -> None:
    text = (
        submission(10).replace("1,cat", "1,\"=cmd('rm')\"").replace("2,dog", "2,__import__('os')")
    )
    found = await grade(work_of(task(), {"submission.csv": text}))
    assert {each.value for each in found.results} == {0.8}


async def test_without_a_leaderboard_medals_are_won_and_no_rank_is_said(work_of: Any) -> None:
    bare = task(**{"leaderboard.json": "[]"})
    check_options(bare)
    found = await grade(work_of(bare, {"submission.csv": submission(8)}))
    assert {each.reasoning for each in found.results} == {
        "accuracy: beats the median, silver medal"
    }
    assert [each.id for each in found.results if each.passed] == list(STEPS[:4])


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"answers.csv": ""}, "there is no grading/answers.csv"),
        ({"sample_submission.csv": ""}, "there is no grading/sample_submission.csv"),
        ({"competition.json": "{}"}, "no competition and leaderboard"),
        ({"leaderboard.json": "{}"}, "no competition and leaderboard"),
    ],
)
def test_what_a_competition_lacks_is_found_as_it_is_loaded(
    changes: dict[str, str], problem: str
) -> None:
    with pytest.raises(TaskError, match=problem):
        check_options(task(**changes))
