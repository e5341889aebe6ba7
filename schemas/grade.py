"""A grade: one score per criterion with its evidence, and the points they come to."""

from collections.abc import Mapping
from typing import Literal, TypeAlias

from pydantic import Field, field_validator

from proctor.schemas.base import Value
from proctor.schemas.competition import Compat, Earned
from proctor.schemas.rubric import Points
from proctor.schemas.sandbox import Isolation

ScoreState: TypeAlias = Literal["scored", "ungraded", "invalid"]
"""``scored``: measured. ``ungraded``: the instrument is missing or failed, which says nothing of
the work. ``invalid``: the hand-in cannot be graded, which counts as no credit."""


class Score(Value):
    """What one grader found."""

    state: ScoreState
    credit: float = Field(default=0.0, ge=0.0, le=1.0)
    """The share of the criterion's points that was earned; 0 unless scored."""
    evidence: str
    """What was measured and against which bound, or why nothing was."""
    value: float | None = None
    """What was measured, as a number, where it is one: for the owner, never told to an agent."""
    broken: bool = False
    """Whether the instrument failed, rather than being absent; only where ungraded."""

    @field_validator("evidence")
    @classmethod
    def _can_be_written_down(cls, evidence: str) -> str:
        """Halves of characters, which JSON may hold and no file can, are escaped."""
        return evidence.encode("utf-8", "backslashreplace").decode("utf-8")


class CriterionResult(Value):
    """A criterion with its score, as reported."""

    id: str
    name: str
    criterion: str
    """The criterion's text."""
    points: Points
    earned: Points
    passed: bool | None
    """Whether the credit is full; None where it is ungraded."""
    reasoning: str
    """The score's evidence, under AfterQuery's name."""
    state: ScoreState
    credit: float
    value: float | None = None
    """For the owner: agents are not told, since labels can be computed from exact scores."""
    broken: bool = False


class Machine(Value):
    """A kind of sandbox that a grading used."""

    backend: str
    isolation: Isolation
    image: str | None = None
    """With its digest, where there is one."""


class Signature(Value):
    """That whoever holds a key vouches for the document that this is part of."""

    key: str
    """The first 16 hex digits of the SHA-256 of the public key."""
    value: str
    """Base64."""


class JudgeRecord(Value):
    """The model that judged, how it was asked, and what that took."""

    model: str
    votes: int
    """Asked for."""
    temperature: float | None
    """As sent; None where the provider's own was left."""
    seed: int | None
    """Of the first vote, the others counting on from it; None where none was sent."""
    prompt_version: str
    calls: int
    """Requests to the provider, repetitions included."""
    tokens: int | None
    """Of prompts and replies; None where the provider did not say."""
    cost_usd: float | None
    """None where the price is unknown."""
    flags: tuple[str, ...] = ()
    """What went wrong: votes without a verdict, a decoy that was passed."""


class Grade(Value):
    """The verdict on a submission, with what it came from: equal origins give equal grades."""

    score: Points
    """Points earned among the criteria that were graded, penalties included."""
    total_possible: Points
    """The sum of all positive points."""
    points_graded: Points
    """The sum of the positive points that were graded: what `percentage` is a share of."""
    percentage: float | None
    """100 * score / points_graded, not below 0; None where nothing was graded."""
    results: tuple[CriterionResult, ...]
    task_digest: str
    snapshot_sha256: str | None
    answer_sha256: str = ""
    seed: int | None = None
    """What the graders' random inputs were drawn from."""
    graders: Mapping[str, str] = Field(default_factory=dict[str, str])
    """The graders that measured, each with the digest of its code."""
    machines: tuple[Machine, ...] = ()
    """The kinds of sandbox that the agent's code and the verdict code ran in."""
    grader_version: str
    judge: JudgeRecord | None = None
    """None where no model was asked."""
    competition: Earned | None = None
    """Score, rank, percentile and medal of a competition's submission: for the owner, never told to
    an agent. None of other tasks, and where nothing could be looked at."""

    @property
    def compat(self) -> Compat:
        """Which of the two rules for competitions it is by."""
        return self.competition.compat if self.competition else "strict"

    @property
    def ungraded(self) -> tuple[str, ...]:
        """The ids of the criteria that nothing could measure."""
        return tuple(result.id for result in self.results if result.state == "ungraded")
