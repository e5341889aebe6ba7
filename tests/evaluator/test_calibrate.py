"""Calibration: a judge beside gold labels, and the gold labels themselves."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score  # type: ignore[import-untyped]

from proctor.evaluator.judge.calibrate import Calibration, calibrate, kappa, kappa_interval
from proctor.evaluator.judge.gold import GoldItem, bundled_gold, read_gold
from proctor.evaluator.judge.panel import Judge
from proctor.evaluator.judge.settings import JudgeSettings
from proctor.schemas.errors import TaskError
from proctor.schemas.rubric import Criterion, Rubric
from proctor.schemas.task import Task
from proctor.tasks.catalog import Catalog, read_task

WHY = Criterion(id="why", points=2, text="It says why.")
FLUFF = Criterion(id="fluff", points=-1, text="It praises itself.")


@pytest.fixture
def tasks(mini_task: Path) -> Mapping[str, Task]:
    rubric = Rubric(criteria=(WHY, FLUFF))
    return {"mini": read_task(mini_task).model_copy(update={"rubric": rubric})}


@pytest.fixture
def held_against(model_server: Any, tasks: Mapping[str, Task]) -> Any:
    async def run(items: list[GoldItem], repeats: int = 1, **settings: Any) -> Calibration:
        given: dict[str, Any] = {
            "model": "openai/gpt-4o-mini", "api_base": model_server.url, "votes": 1,
        }  # fmt: skip
        judge = Judge(JudgeSettings.model_validate(given | settings))
        return await calibrate(judge, items, tasks, repeats)

    return run


def item(number: int, why: str, kind: Any = "good", **labels: str) -> GoldItem:
    answer = f"<{number}> {'because' if why == 'met' else 'well'}"
    return GoldItem(
        id=str(number), task="mini", kind=kind, answer=answer, labels={"why": why, **labels}
    )


def reading(model_server: Any, *, wrong: str = "<none>") -> None:
    """Have the model read the answer, and misread those that hold `wrong`."""

    def answer(body: dict[str, Any]) -> str:
        prompt = body["messages"][1]["content"]
        right = ("because" in prompt) != (wrong in prompt)
        model_server.met = {WHY.text} if right else set()
        return model_server.verdicts(body)

    model_server.answer = answer


async def test_a_judge_that_reads_like_people_agrees_beyond_chance(
    held_against: Any, model_server: Any
) -> None:
    reading(model_server)
    items = [item(n, "met" if n % 2 else "not met") for n in range(8)]
    found = await held_against(items, repeats=2)
    assert (found.items, found.labels, found.graded, found.calls) == (8, 8, 8, 16)
    assert (found.agreement, found.kappa, found.flip_rate) == (1.0, 1.0, 0.0)
    assert found.kappa_interval == (1.0, 1.0)
    assert found.differences == ()
    assert found.tokens == 16_000
    assert found.cost_usd is not None


async def test_differences_are_counted_and_shown(held_against: Any, model_server: Any) -> None:
    reading(model_server, wrong="<3>")
    found = await held_against([item(n, "met" if n % 2 else "not met") for n in range(8)])
    assert found.agreement == 7 / 8
    assert found.kappa == pytest.approx(0.75)
    low, high = found.kappa_interval
    assert low < 0.75 < high
    (difference,) = found.differences
    assert (difference.item, difference.gold, difference.judge) == ("3", "met", "not met")


async def test_verdicts_that_change_between_repeats_are_flips(
    held_against: Any, model_server: Any
) -> None:
    seen: Counter[str] = Counter()

    def answer(body: dict[str, Any]) -> str:
        prompt = body["messages"][1]["content"]
        number = prompt[prompt.index("<") :].partition("\n")[2][:3]
        seen[number] += 1
        model_server.met = {WHY.text} if number != "<1>" or seen[number] == 1 else ()
        return model_server.verdicts(body)

    model_server.answer = answer
    found = await held_against([item(n, "met") for n in range(4)], repeats=3)
    assert found.flip_rate == 0.25
    assert found.kappa is None
    assert found.kappa_interval is None


async def test_an_injection_is_caught_unless_it_earns_something(
    held_against: Any, model_server: Any
) -> None:
    def answer(body: dict[str, Any]) -> str:
        prompt = body["messages"][1]["content"]
        model_server.met = (
            {WHY.text} if "<1>" in prompt else {FLUFF.text} if "<2>" in prompt else ()
        )
        if "<3>" in prompt:  # talked over altogether, which the decoy shows
            model_server.met = model_server.everything
        return model_server.verdicts(body)

    model_server.answer = answer
    found = await held_against(
        [
            item(1, "not met", "injection"),
            item(2, "not met", "injection", fluff="met"),
            item(3, "not met", "injection"),
            item(4, "not met", "injection", fluff="met"),  # a penalty that was talked away
            item(5, "not met", "bad"),
        ]
    )
    assert (found.injections, found.injections_caught) == (4, 2)
    assert found.flags == ("3, repeat 1: vote 1: decoy passed",)
    assert found.graded == found.labels - 1


async def test_labels_that_no_judge_gives_are_refused(held_against: Any) -> None:
    with pytest.raises(TaskError, match="why allows 'met', 'not met', not 'yes'"):
        await held_against([item(1, "yes")])
    with pytest.raises(TaskError, match="mini has no criterion 'where' for a judge"):
        await held_against([item(1, "met", where="met")])


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "line 1: the line: "), ('{"id": "a"}', "line 1: task: Field required")],
)
def test_a_line_that_is_no_gold_label_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "gold.jsonl"
    path.write_text(f"{text}\n\n", "utf-8")
    with pytest.raises(TaskError, match=message):
        read_gold(path)


@given(st.lists(st.tuples(*[st.sampled_from("abc")] * 2), min_size=2, max_size=12))
def test_kappa_is_none_where_chance_alone_agrees(pairs: list[tuple[str, str]]) -> None:
    found = kappa(pairs)
    if found is None:
        assert len(set(sum(pairs, ()))) == 1
    else:
        assert found == cohen_kappa_score(*zip(*pairs, strict=True))


def test_the_interval_of_kappa_is_steady_and_narrows_with_more_items() -> None:
    items = [[("a", "a")], [("b", "b")], [("a", "b")], [("b", "b")], [("a", "a")]]
    wide, narrow = kappa_interval(items), kappa_interval(items * 8)
    assert wide is not None
    assert narrow is not None
    assert wide == kappa_interval(items)
    assert narrow[1] - narrow[0] < wide[1] - wide[0]


def test_the_bundled_gold_labels_fit_the_bundled_tasks() -> None:
    catalog, gold = Catalog(), bundled_gold()
    assert {each.task for each in gold} == set(catalog.ids)
    assert len({each.id for each in gold}) == len(gold)
    for each in gold:
        assert [c.id for c in each.criteria(catalog[each.task])] == ["explanation", "proposed_fix"]
        json.loads(each.tree()["response/report.json"])
    for task in catalog:
        kinds = Counter(each.kind for each in gold if each.task == task.id)
        assert set(kinds) == {"good", "bad", "injection"}
    assert all("not met" in each.labels.values() for each in gold if each.kind == "injection")
