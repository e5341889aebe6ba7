"""How far a judge can be believed: its verdicts beside those that people gave."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import anyio
import numpy as np
from sklearn.metrics import cohen_kappa_score  # type: ignore[import-untyped]

from proctor.evaluator.judge.gold import GoldItem
from proctor.evaluator.judge.material import Material
from proctor.evaluator.judge.panel import Judge, Judgement
from proctor.evaluator.judge.prompt import labels_of
from proctor.sandbox_backends.concurrency import task_group
from proctor.schemas.base import Value
from proctor.schemas.rubric import Criterion
from proctor.schemas.task import Task

ITEMS_AT_ONCE = 4
RESAMPLES = 1000
CONFIDENCE = 0.95
UNGRADED = "ungraded"


class Difference(Value):
    """A verdict that is not the one that people gave."""

    item: str
    criterion: str
    gold: str
    judge: str
    evidence: str


class Calibration(Value):
    """A judge held against gold labels."""

    model: str
    prompt_version: str
    items: int
    labels: int
    repeats: int
    graded: int
    """Labels to which the judge gave a verdict, in the first repeat; the others count nowhere but
    in `flip_rate` and, as caught, among the injections."""
    agreement: float | None
    """The share of the graded labels that it gives as people did."""
    kappa: float | None
    """Cohen's: the agreement beyond what chance would give; None where one side never varies."""
    kappa_interval: tuple[float, float] | None
    """95 %, by a bootstrap over items, since the criteria of one hand-in hang together."""
    flip_rate: float | None
    """The share of labels on which the repeats do not all say the same; None for one repeat."""
    injections: int
    injections_caught: int
    """Those that earned nothing beyond what they deserve, in any repeat."""
    calls: int
    tokens: int | None
    cost_usd: float | None
    flags: tuple[str, ...]
    differences: tuple[Difference, ...]
    """Of the first repeat."""


@dataclass(frozen=True)
class _Judged:
    """One item with what the judge made of it, once per repeat."""

    item: GoldItem
    criteria: tuple[Criterion, ...]
    judgements: tuple[Judgement, ...]

    def verdicts(self, repeat: int) -> dict[str, str]:
        """By the criterion's id."""
        scores = self.judgements[repeat].scores
        return {c.id: _verdict(c, scores[c.id].state, scores[c.id].credit) for c in self.criteria}

    @property
    def earned_too_much(self) -> bool:
        """Whether any repeat gave points that the labels do not."""
        return any(
            judgement.scores[c.id].state == "scored"
            and judgement.scores[c.id].credit * c.points
            > labels_of(c)[self.item.labels[c.id]] * c.points
            for judgement in self.judgements
            for c in self.criteria
        )


async def calibrate(
    judge: Judge, items: Sequence[GoldItem], tasks: Mapping[str, Task], repeats: int
) -> Calibration:
    """Judge every item `repeats` times, and compare.

    Raises:
        TaskError: An item's labels are not of its task.
        GradingError: The model's name is wrong.
    """
    criteria = [item.criteria(tasks[item.task]) for item in items]
    done: dict[tuple[int, int], Judgement] = {}
    limit = anyio.CapacityLimiter(ITEMS_AT_ONCE)

    async def judge_one(number: int, repeat: int) -> None:
        item = items[number]
        material = Material.of_files(tasks[item.task], item.answer, item.tree())
        async with limit:
            done[number, repeat] = await judge.judge(criteria[number], material)

    async with task_group() as group:
        for number in range(len(items)):
            for repeat in range(repeats):
                group.start_soon(judge_one, number, repeat)
    judged = [
        _Judged(item, criteria[n], tuple(done[n, repeat] for repeat in range(repeats)))
        for n, item in enumerate(items)
    ]
    return _compared(judged, repeats)


def _compared(judged: Sequence[_Judged], repeats: int) -> Calibration:
    records = [judgement.record for each in judged for judgement in each.judgements]
    pairs = [_pairs(each) for each in judged]
    graded = [pair for of_item in pairs for pair in of_item]
    injections = [each for each in judged if each.item.kind == "injection"]
    tokens, costs = [r.tokens for r in records], [r.cost_usd for r in records]
    return Calibration(
        model=records[0].model,
        prompt_version=records[0].prompt_version,
        items=len(judged),
        labels=sum(len(each.criteria) for each in judged),
        repeats=repeats,
        graded=len(graded),
        agreement=sum(a == b for a, b in graded) / len(graded) if graded else None,
        kappa=kappa(graded),
        kappa_interval=kappa_interval(pairs),
        flip_rate=_flip_rate(judged) if repeats > 1 else None,
        injections=len(injections),
        injections_caught=sum(not each.earned_too_much for each in injections),
        calls=sum(record.calls for record in records),
        tokens=None if None in tokens else sum(filter(None, tokens)),
        cost_usd=None if None in costs else sum(filter(None, costs)),
        flags=tuple(_flags(judged)),
        differences=tuple(difference for each in judged for difference in _differences(each)),
    )


def kappa(pairs: Sequence[tuple[str, str]]) -> float | None:
    """Cohen's kappa of (gold, judge) labels; None where it is undefined."""
    if len({label for pair in pairs for label in pair}) < 2:  # noqa: PLR2004 - chance alone agrees
        return None
    gold, judge = zip(*pairs, strict=True)
    return float(cohen_kappa_score(gold, judge))


def kappa_interval(items: Sequence[Sequence[tuple[str, str]]]) -> tuple[float, float] | None:
    """The percentile interval of kappa over resampled items; None where it is undefined.

    Resamples in which kappa is undefined are left out.
    """
    if len(items) < 2 or kappa([pair for item in items for pair in item]) is None:  # noqa: PLR2004
        return None
    shape = (RESAMPLES, len(items))
    chosen: list[list[int]] = np.random.default_rng(0).integers(len(items), size=shape).tolist()
    drawn = [kappa([pair for number in row for pair in items[number]]) for row in chosen]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile([each for each in drawn if each is not None], [tail, 1 - tail])
    return float(low), float(high)


def _pairs(each: _Judged) -> list[tuple[str, str]]:
    """Gold and judge's label of every criterion that was graded."""
    verdicts = each.verdicts(0)
    return [(each.item.labels[i], said) for i, said in verdicts.items() if said != UNGRADED]


def _flip_rate(judged: Sequence[_Judged]) -> float:
    flips = [
        len({each.verdicts(repeat)[criterion.id] for repeat in range(len(each.judgements))}) > 1
        for each in judged
        for criterion in each.criteria
    ]
    return sum(flips) / len(flips)


def _differences(each: _Judged) -> list[Difference]:
    scores = each.judgements[0].scores
    return [
        Difference(
            item=each.item.id,
            criterion=id_,
            gold=each.item.labels[id_],
            judge=said,
            evidence=scores[id_].evidence,
        )
        for id_, said in each.verdicts(0).items()
        if said != each.item.labels[id_]
    ]


def _flags(judged: Sequence[_Judged]) -> list[str]:
    return [
        f"{each.item.id}, repeat {number}: {flag}"
        for each in judged
        for number, judgement in enumerate(each.judgements, start=1)
        for flag in judgement.record.flags
    ]


def _verdict(criterion: Criterion, state: str, credit: float) -> str:
    if state != "scored":
        return UNGRADED
    return next(label for label, worth in labels_of(criterion).items() if worth == credit)
