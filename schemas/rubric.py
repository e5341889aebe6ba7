"""A rubric: the criteria of a task with their points, and which grader measures each."""

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import ConfigDict, Field, StrictInt, field_validator, model_validator

from proctor.schemas.base import Value

Points: TypeAlias = StrictInt | Annotated[float, Field(strict=True, allow_inf_nan=False)]
"""Points of a criterion; negative ones are a penalty."""

PenaltyWhen: TypeAlias = Literal["met", "unmet"]
"""When negative points apply: as the criterion is met, or (the older reading) is not."""


class Message(Value):
    """One part of a prompt or of a criterion's text."""

    type: str = "text"
    content: str


class Outcome(Value):
    """One of the discrete results that a criterion allows, as AfterQuery's format writes them."""

    model_config = ConfigDict(extra="allow", frozen=True)

    label: str = ""
    score: float = Field(default=0.0, allow_inf_nan=False)
    """The credit of this outcome, as a share of the criterion's points."""


class Criterion(Value):
    """One check with its points."""

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    """Unique in its rubric."""
    name: str = ""
    """The category, shared by related criteria, such as ``LOCATE_ISSUES``."""
    points: Points
    text: str = Field(min_length=1)
    """What must be true for full credit, in one sentence."""
    justification: str = ""
    """Why the criterion is there, for the author and a judge."""
    grader: str = "judge"
    """The grader that measures it; ``judge`` asks a model."""
    options: Mapping[str, Any] = Field(default_factory=dict[str, Any])
    """The grader's own settings, validated by it when the task is loaded."""
    outcomes: tuple[Outcome, ...] = ()
    """The credits that are possible, where only some are; empty means any in [0, 1]."""
    requires: tuple[str, ...] = ()
    """Ids of criteria without whose full credit this one earns nothing."""
    free: bool = False
    """Whether the untouched workspace may earn this criterion."""

    @property
    def category(self) -> str:
        """The name, or the id where it has none."""
        return self.name or self.id


class Rubric(Value):
    """All criteria of a task, in the order in which they are reported."""

    criteria: tuple[Criterion, ...] = ()
    penalty_when: PenaltyWhen = "met"

    @field_validator("criteria")
    @classmethod
    def _ids_are_unique(cls, criteria: tuple[Criterion, ...]) -> tuple[Criterion, ...]:
        counts = Counter(criterion.id for criterion in criteria)
        if repeated := [id_ for id_, count in counts.items() if count > 1]:
            raise ValueError(f"duplicate criterion {repeated[0]!r}: give each its own id")
        return criteria

    @model_validator(mode="after")
    def _required_criteria_stand_before(self) -> Self:
        seen: set[str] = set()
        for criterion in self.criteria:
            for required in criterion.requires:
                if required not in seen:
                    raise ValueError(
                        f"criterion {criterion.id!r} requires {required!r}, "
                        "which is not a criterion listed before it"
                    )
            seen.add(criterion.id)
        return self

    def only(self, ids: Collection[str]) -> Self:
        """The part that holds these criteria and whatever they require."""
        wanted = set(ids)
        for criterion in reversed(self.criteria):
            if criterion.id in wanted:
                wanted.update(criterion.requires)
        kept = tuple(criterion for criterion in self.criteria if criterion.id in wanted)
        return self.model_copy(update={"criteria": kept})

    @property
    def points_possible(self) -> Points:
        """The sum of all positive points."""
        return sum(criterion.points for criterion in self.criteria if criterion.points > 0)
