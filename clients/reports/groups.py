"""What groups of sessions come to: the rows of a report, by task, kind, category or model."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import fsum
from typing import Literal, TypeAlias

from proctor.clients.reports.rows import MEDALS, Medal, Row
from proctor.clients.reports.statistics import Estimate, estimate, mean, pass_at_k, pass_hat_k

By: TypeAlias = Literal["model", "kind", "category", "task"]
EVERY_BY: tuple[By, ...] = ("model", "kind", "category", "task")
TOLERANCE = 1e-9
"""What a score may lack of the one that passes, since both are rounded."""


@dataclass(frozen=True)
class Settings:
    """What a report is to tell."""

    by: tuple[By, ...] = EVERY_BY
    k: tuple[int, ...] | None = None
    """For pass@k; None takes those of 1, 2, 4, 8 that some task has enough attempts for."""
    pass_at: float = 1.0
    """The score from which on a session passes."""


@dataclass(frozen=True)
class Passing:
    """pass@k and pass^k, each a mean over the tasks that were attempted at least k times."""

    tasks: int
    at_least_one: float | None
    """pass@k; None where no task was attempted that often."""
    every_one: float | None
    """pass^k."""


@dataclass(frozen=True)
class Amount:
    """A sum of which parts may be unknown; nothing unknown is taken for 0."""

    known: float | None
    """None where nothing is known, or nothing was used."""
    unknown: int
    """Of how many sessions with a model it is not known."""

    def told(self, form: str) -> str:
        """The sum for people, in a format of `format`."""
        if self.known is None:
            return "unknown" if self.unknown else "-"
        return ("≥ " if self.unknown else "") + format(self.known, form)


@dataclass(frozen=True)
class Group:
    """Sessions of one agent and model that belong together."""

    by: By
    name: str
    """The task, kind or category; of a group by model, empty."""
    who: tuple[str, str]
    """Agent and model; the model is empty where none took part."""
    sessions: int
    tasks: int
    """With and without a score."""
    scored: int
    ungraded: int
    invalid: int
    criteria: int
    """Of the sessions with a score, as the two that follow."""
    criteria_ungraded: int
    criteria_invalid: int
    score: Estimate
    """Over tasks; of a group by task, over its epochs."""
    mean_with_invalid_as_0: float | None
    """What the mean would be if invalid hand-ins had a score, and it were 0."""
    passing: Mapping[int, Passing]
    """By k."""
    medals: Mapping[Medal, int] | None
    """None where no result names one."""
    tokens: Amount
    cost_usd: Amount
    time_s: float
    """Of all sessions together, graded or not, as with tokens and cost."""

    @property
    def cost_per_session(self) -> float | None:
        """None where the cost of any session is unknown."""
        known = self.cost_usd.known
        return None if known is None or self.cost_usd.unknown else known / self.sessions


def groups_of(rows: Sequence[Row], settings: Settings) -> list[Group]:
    """The groups that `settings` ask for, agents and models always apart."""
    attempts = [attempts for _, attempts in _attempts(rows, settings.pass_at)]
    most = max(attempts, default=0)
    k = settings.k or tuple(k for k in (1, 2, 4, 8) if k <= max(most, 1))
    found: list[Group] = []
    for by in settings.by:
        parts: defaultdict[tuple[str, tuple[str, str]], list[Row]] = defaultdict(list)
        for row in rows:
            name = "" if by == "model" else getattr(row, by)
            parts[name, row.who].append(row)
        found += [_group(by, key[0], parts[key], k, settings.pass_at) for key in sorted(parts)]
    return found


def labels_of(groups: Iterable[Group]) -> dict[tuple[str, str], str]:
    """Short names: the model, or the agent where none took part; both where one is not enough."""
    everyone = {group.who for group in groups}
    short = {who: who[1] or who[0] for who in everyone}
    taken = list(short.values())
    return {
        who: f"{who[1]} ({who[0]})" if taken.count(name) > 1 and who[1] else name
        for who, name in short.items()
    }


def _group(
    by: By,
    name: str,
    rows: Sequence[Row],
    ks: tuple[int, ...],
    pass_at: float,
) -> Group:
    scored = [row for row in rows if row.outcome == "scored"]
    outcomes = Counter(row.outcome for row in rows)
    units = scores_of(scored)
    epochs = [score for scores in units.values() for score in scores]
    return Group(
        by=by,
        name=name,
        who=rows[0].who,
        sessions=len(rows),
        tasks=len({row.task for row in rows}),
        scored=len(scored),
        ungraded=outcomes["ungraded"],
        invalid=outcomes["invalid"],
        criteria=sum(row.criteria for row in scored),
        criteria_ungraded=sum(row.criteria_ungraded for row in scored),
        criteria_invalid=sum(row.criteria_invalid for row in scored),
        score=estimate(epochs if by == "task" else task_means(units)),
        mean_with_invalid_as_0=mean(task_means(scores_of(rows, invalid=0.0))),
        passing={k: _passing(rows, k, pass_at) for k in ks},
        medals=_medals(rows),
        tokens=_amount((row.tokens, row) for row in rows),
        cost_usd=_amount((row.cost_usd, row) for row in rows),
        time_s=fsum(row.duration_s for row in rows),
    )


def scores_of(rows: Iterable[Row], invalid: float | None = None) -> dict[str, list[float]]:
    """The scores of each task that has any.

    Args:
        rows: Sessions.
        invalid: What an invalid hand-in counts for; None leaves it out.
    """
    scores: defaultdict[str, list[float]] = defaultdict(list)
    for row in rows:
        score = invalid if row.outcome == "invalid" else row.score
        if score is not None:
            scores[row.task].append(score)
    return dict(scores)


def task_means(scores: Mapping[str, Sequence[float]]) -> list[float]:
    """The mean of each task, in the order of their ids."""
    means = (mean(scores[task]) for task in sorted(scores))
    return [each for each in means if each is not None]


def _attempts(rows: Iterable[Row], pass_at: float) -> list[tuple[int, int]]:
    """How many attempts at each task passed, and how many were made."""
    made: Counter[tuple[tuple[str, str], str]] = Counter()
    passed: Counter[tuple[tuple[str, str], str]] = Counter()
    for row in rows:
        if row.outcome != "ungraded":
            made[row.who, row.task] += 1
            passed[row.who, row.task] += row.score is not None and row.score >= pass_at - TOLERANCE
    return [(passed[key], made[key]) for key in sorted(made)]


def _passing(rows: Iterable[Row], k: int, pass_at: float) -> Passing:
    enough = [(passed, made) for passed, made in _attempts(rows, pass_at) if made >= k]
    at_least_one = [pass_at_k(made, passed, k) for passed, made in enough]
    every_one = [pass_hat_k(made, passed, k) for passed, made in enough]
    return Passing(
        tasks=len(enough),
        at_least_one=mean([p for p in at_least_one if p is not None]),
        every_one=mean([p for p in every_one if p is not None]),
    )


def _medals(rows: Iterable[Row]) -> dict[Medal, int] | None:
    counts = Counter(row.medal for row in rows if row.medal is not None)
    return {medal: counts[medal] for medal in MEDALS} if counts else None


def _amount(values: Iterable[tuple[float | None, Row]]) -> Amount:
    """A sum over the sessions in which a model took part."""
    used = [value for value, row in values if value is not None or row.model is not None]
    known = [value for value in used if value is not None]
    return Amount(fsum(known) if known else None, len(used) - len(known))
