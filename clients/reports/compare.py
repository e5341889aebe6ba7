"""Two runs, compared by pairs: the same task and epoch on both sides.

The difference is B's score less A's: a mean of the tasks' mean differences, so that a task's own
difficulty cancels. Interval and standard error are over tasks, as in reports. What has no score on
one side makes no pair; it is named.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TypeAlias

from proctor.clients.reports.rows import Row
from proctor.clients.reports.statistics import (
    Estimate,
    estimate,
    mean,
    sign_flip_test,
    smallest_p,
)

Place: TypeAlias = tuple[str, int]
"""A task and an epoch."""


@dataclass(frozen=True)
class Side:
    """One side: the sessions of one agent and model."""

    agent: str
    model: str | None
    rows: Mapping[Place, Row]

    @classmethod
    def of(cls, rows: Sequence[Row]) -> "Side":
        """A side of these sessions.

        Raises:
            ValueError: They are of several agents or models, or two are of one task and epoch.
        """
        everyone = sorted({row.who for row in rows})
        if len(everyone) > 1:
            named = ", ".join(f"{model} ({agent})" if model else agent for agent, model in everyone)
            raise ValueError(f"holds the sessions of {named}; name a directory that holds one's")
        found: dict[Place, Row] = {}
        for row in rows:
            if (row.task, row.epoch) in found:
                raise ValueError(
                    f"holds two sessions of {row.task!r}, epoch {row.epoch}; name one run"
                )
            found[row.task, row.epoch] = row
        return cls(rows[0].agent, rows[0].model, found)

    @property
    def label(self) -> str:
        """The model, or the agent where none took part."""
        return self.model or self.agent


@dataclass(frozen=True)
class TaskDifference:
    """A task's pairs."""

    task: str
    pairs: int
    a: float
    """The mean of A's scores, as those of B over the pairs alone."""
    b: float
    difference: float


@dataclass(frozen=True)
class Comparison:
    """What two sides differ by."""

    a: Side
    b: Side
    tasks: tuple[TaskDifference, ...]
    difference: Estimate
    """Over tasks."""
    p: float | None
    """Of the sign-flip test; None with fewer than two tasks."""
    least_p: float | None
    """The smallest that so few tasks allow."""
    unpaired: tuple[tuple[Place, str], ...]
    """Tasks and epochs that make no pair, and why."""
    cautions: tuple[str, ...]
    """What makes pairs less comparable than they look."""

    @property
    def pairs(self) -> int:
        """How many there are."""
        return sum(task.pairs for task in self.tasks)

    @property
    def means(self) -> tuple[float | None, float | None]:
        """Of A and B: means of the task means, over the pairs alone."""
        return mean([t.a for t in self.tasks]), mean([t.b for t in self.tasks])


def compare(a: Side, b: Side) -> Comparison:
    """Compare two sides."""
    both: defaultdict[str, list[tuple[Row, Row]]] = defaultdict(list)
    unpaired: list[tuple[Place, str]] = []
    for place in sorted({*a.rows, *b.rows}):
        left, right = a.rows.get(place), b.rows.get(place)
        if left and right and left.score is not None and right.score is not None:
            both[place[0]].append((left, right))
        else:
            unpaired.append((place, _why_unpaired(left, right)))
    tasks = tuple(_difference(task, pairs) for task, pairs in both.items())
    differences = [task.difference for task in tasks]
    p = sign_flip_test(differences)
    return Comparison(
        a=a,
        b=b,
        tasks=tasks,
        difference=estimate(differences),
        p=p,
        least_p=None if p is None else smallest_p(len(differences)),
        unpaired=tuple(unpaired),
        cautions=tuple(_cautions(both)),
    )


def _difference(task: str, pairs: Sequence[tuple[Row, Row]]) -> TaskDifference:
    a = fmean(left.score or 0.0 for left, _ in pairs)
    b = fmean(right.score or 0.0 for _, right in pairs)
    return TaskDifference(task, len(pairs), a, b, b - a)


def _why_unpaired(left: Row | None, right: Row | None) -> str:
    sides = (("A", left), ("B", right))
    whys = [f"not in {name}" for name, row in sides if row is None]
    whys += [f"{row.outcome} in {name}" for name, row in sides if row and row.score is None]
    return ", ".join(whys)


def _cautions(both: Mapping[str, Sequence[tuple[Row, Row]]]) -> Iterable[str]:
    other = sorted(t for t, pairs in both.items() if any(_digests_differ(*p) for p in pairs))
    if other:
        yield f"Another version of the task on the two sides: {', '.join(other)}"
    unlike = sorted(
        task
        for task, pairs in both.items()
        if any(left.points_graded != right.points_graded for left, right in pairs)
    )
    if unlike:
        yield f"Not equally many points were graded on the two sides: {', '.join(unlike)}"


def _digests_differ(left: Row, right: Row) -> bool:
    return left.task_digest != right.task_digest
