"""A competition of Kaggle's as MLE-bench offers it: what is handed in, and what it is worth."""

from collections.abc import Mapping
from math import isfinite, isnan
from typing import Any, Literal, TypeAlias

from pydantic import AwareDatetime, Field, field_serializer, model_validator

from proctor.schemas.base import Value

Compat: TypeAlias = Literal["strict", "upstream"]
"""``strict``: rows are aligned by id, and what is wrong with a submission makes it invalid.
``upstream``: as MLE-bench reads and aligns it, for comparison with published results."""

UpstreamAlign: TypeAlias = Literal[
    "sorted", "sorted unchecked", "merged", "position", "position in group", "superset", "subset"
]
"""How MLE-bench brings rows together. ``sorted``: both tables sorted by id, which must then be
equal. ``sorted unchecked``: the same, and ids are not compared. ``merged``: the ids' sets must be
equal; joined on them. ``position``: row by row as they come. ``position in group``: the same within
each value of the first id column. ``superset``: further ids are dropped. ``subset``: so may ids be
missing."""


Setting: TypeAlias = bool | int | float | str
Settings: TypeAlias = Mapping[str, Setting]


class ScoredBy(Value):
    """The metric, and what it asks for."""

    name: str
    settings: Settings = Field(default_factory=dict[str, Setting])
    columns: Mapping[str, str | tuple[str, ...]] = Field(
        default_factory=dict[str, str | tuple[str, ...]]
    )
    """Further columns of the answers, by the metric's name for them."""

    @property
    def answer_columns(self) -> tuple[str, ...]:
        """The further columns, each once."""
        lists = ([each] if isinstance(each, str) else each for each in self.columns.values())
        return tuple(dict.fromkeys(name for one in lists for name in one))


class Form(Value):
    """What a submission must look like."""

    ids: tuple[str, ...] = Field(min_length=1)
    targets: tuple[str, ...] = Field(min_length=1)
    truth: tuple[str, ...] = ()
    """The answers' columns that hold what is true; as the targets are called, if empty."""
    gathered: tuple[str, ...] = ()
    """In place of `truth`: columns whose cells, over all rows of an id, make one cell of tokens."""
    low: float | None = None
    high: float | None = None
    row_sum: float | None = None
    """What the numbers of a row add up to, within `sum_within`."""
    sum_within: float = 1e-6
    first_token: bool = False
    """Whether of several labels in a cell only the first counts."""
    one_hot: bool = False
    """Whether the truth is a label, and each target is a class."""
    unknown: Literal["invalid", "ignored"] = "invalid"
    """What a row of an id is that the answers do not have."""
    repeated: Literal["invalid", "in order"] = "invalid"
    """Rows of one id: refused, or the n-th is compared with the n-th of the answers."""

    @model_validator(mode="after")
    def _one_truth(self) -> "Form":
        if self.truth and self.gathered:
            raise ValueError("truth and gathered exclude each other")
        return self

    @property
    def true_columns(self) -> tuple[str, ...]:
        """What holds the truth, once it has one row for each row of a submission."""
        return self.truth or self.targets

    @property
    def answer_columns(self) -> tuple[str, ...]:
        """The answers' columns, ids first, each once."""
        return tuple(dict.fromkeys((*self.ids, *(self.gathered or self.true_columns))))


class Thresholds(Value):
    """The scores from which on a medal is won, with all their digits, of so many teams."""

    gold: float
    silver: float
    bronze: float
    median: float
    teams: int = Field(gt=0)


class Upstream(Value):
    """Where MLE-bench differs from what is strict."""

    align: UpstreamAlign = "sorted"
    settings: Settings = Field(default_factory=dict[str, Setting])
    """In place of, or besides, the metric's."""
    mask_by_position: bool = False
    """Whether the mask of the answers' n-th row falls on the submission's n-th, before sorting."""
    by_place: bool = False
    """Whether columns that are no ids are the targets in their order, whatever they are called."""
    as_text: bool = False
    """Whether labels are compared as Python writes them, an empty one as ``nan``."""
    nan: float | None = None
    """What an empty number counts as; None where it makes a submission invalid."""


class Competition(Value):
    """One competition."""

    id: str = Field(pattern=r"^[A-Za-z0-9-]+$")
    name: str
    category: str
    splits: tuple[str, ...] = ()
    """The lists of MLE-bench that it is on."""
    awards_medals: bool = True
    form: Form
    metric: ScoredBy
    medals: Thresholds
    lower_is_better: bool
    upstream: Upstream = Upstream()
    prepare: Mapping[str, Any] = Field(default_factory=dict[str, Any])
    """The source's files and how they are split, as facts."""
    issues: tuple[str, ...] = ()
    """What is known to be wrong with it."""


class Earned(Value):
    """What a submission earned: MLE-bench's fields, and some more.

    NaN and infinities are valid scores upstream; in JSON they are text.
    """

    competition_id: str
    score: float | None
    """Rounded to five digits; None where the submission is missing or invalid."""
    gold_threshold: float
    silver_threshold: float
    bronze_threshold: float
    median_threshold: float
    any_medal: bool
    gold_medal: bool
    silver_medal: bool
    bronze_medal: bool
    above_median: bool
    submission_exists: bool
    valid_submission: bool
    is_lower_better: bool
    compat: Compat
    """Which of the two rules it was graded by."""
    reason: str | None = None
    """Why it is invalid."""
    rank: int | None = None
    """On the leaderboard, had it been there; None where that is not known in full."""
    percentile: float | None = None
    """The share of the leaderboard's teams whose score is worse, from 0 to 100."""

    @field_serializer("score", when_used="json")
    def _as_json(self, score: float | None) -> float | str | None:
        """Also within documents that are written by others than pydantic."""
        if score is None or isfinite(score):
            return score
        return "NaN" if isnan(score) else "Infinity" if score > 0 else "-Infinity"


class CompetitionReport(Earned):
    """The same, with where the file lay, and when it was graded."""

    created_at: AwareDatetime
    submission_path: str | None
    """None where no submission was made."""


class UngradedLine(Value):
    """A line of a list for which there is no report: nothing is known of its submission."""

    line: int
    """From 1."""
    competition_id: str | None
    """None where the line does not say."""
    error: str


class GradingReport(Value):
    """The reports on a list of submissions, with MLE-bench's totals."""

    total_runs: int
    """Reports, of submissions that are missing or invalid, too; ungraded lines are no runs."""
    total_runs_with_submissions: int
    total_valid_submissions: int
    total_medals: int
    total_gold_medals: int
    total_silver_medals: int
    total_bronze_medals: int
    total_above_median: int
    total_ungraded: int
    competition_reports: tuple[CompetitionReport, ...]
    """In the order of the list."""
    ungraded: tuple[UngradedLine, ...]
    compat: Compat
    proctor_version: str
