"""What ``competition.toml`` says, with the texts and numbers that lie beside it.

competition.toml   where rows come from, how they are split, what is handed in, how it is scored
description.md     the story and the columns; what is unsupported may be without
leaderboard.csv    what others reached: ``score,by``, best first
checksums.json     the SHA-256 of what its preparation makes
data.csv           the rows, where somebody made it of a table; or data.parquet

The rows are made here (`source`, `split` and a leaderboard), or come from raw files (`raw`, with
`recipe` or `module`, and `medals`), or nobody has said yet (`unsupported`, and `medals`).
"""

import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

from pydantic import Field, model_validator

from proctor.evaluator.medals import thresholds_of
from proctor.schemas.base import Value
from proctor.schemas.competition import Competition, Form, ScoredBy, Thresholds, Upstream
from proctor.schemas.errors import TaskError
from proctor.schemas.names import COMPETITION
from proctor.schemas.task import Limits, TaskCard, TaskKind
from proctor.tasks.competitions.leaderboards import read_scores
from proctor.tasks.competitions.recipe import RawFiles, Recipe
from proctor.tasks.competitions.usual import with_usual
from proctor.tasks.formats.reading import read_text, validated

FILE, DESCRIPTION, LEADERBOARD = "competition.toml", "description.md", "leaderboard.csv"
CHECKSUMS = "checksums.json"
PREPARED_BY = ("source", "split", "raw", "recipe", "module")
"""The keys of `CompetitionFile` that say what becomes of what."""


class Source(Value):
    """Where the rows come from."""

    kind: Literal["dataset", "tabular", "text", "images", "series", "table"]
    seed: int = Field(default=0, ge=0)
    """Of what is drawn; a table has none."""
    settings: Mapping[str, Any] = Field(default_factory=dict[str, Any])
    """What that kind of source asks for."""


class SourceSplit(Value):
    """Which of the rows that a source makes are the test's."""

    by: Literal["rows", "group", "time"] = "rows"
    """``rows``: any. ``group``: whole groups, none of which is in both. ``time``: the latest."""
    column: str = ""
    """What tells the group, or the time."""
    test: float = Field(gt=0, lt=1)
    """The share of the rows, of the groups, or of the points in time."""
    seed: int = Field(ge=0)

    @model_validator(mode="after")
    def _named(self) -> "SourceSplit":
        if (self.by == "rows") == bool(self.column):
            raise ValueError("column goes with by = 'group' and by = 'time', and only with those")
        return self


class Origin(NamedTuple):
    """Where rows come from that no raw files have, and how they are split."""

    source: Source
    split: SourceSplit


class CompetitionFile(Value):
    """What ``competition.toml`` holds."""

    id: str = Field(pattern=r"^[A-Za-z0-9]+(-[A-Za-z0-9]+)*$")
    title: str = Field(min_length=1)
    summary: str = Field(min_length=1)
    """One line for catalogs."""
    category: Literal["low", "medium", "high"]
    """How much work a good score takes, in MLE-bench's words."""
    splits: tuple[str, ...] = ()
    form: Form
    asked: str = Field(min_length=1)
    """What the values of a submission are, in a sentence."""
    metric: ScoredBy
    measures: str = Field(min_length=1)
    """What the metric is, and which way is better, in a sentence."""
    lower_is_better: bool
    source: Source | None = None
    """What makes the rows."""
    split: SourceSplit | None = None
    """How those are split."""
    raw: RawFiles | None = None
    """The raw files that the rows come from."""
    recipe: Recipe | None = None
    """What becomes of those."""
    module: str = Field(default="", pattern=r"^[a-z0-9_]*$")
    """In place of a recipe: a module of `competitions.kaggle_modules` that does it."""
    unsupported: str = ""
    """Why it can be neither prepared nor graded, if so."""
    medals: Thresholds | None = None
    """Kaggle's, where there is no leaderboard."""
    awards_medals: bool = True
    """Whether Kaggle itself did."""
    upstream: Upstream = Upstream()
    limits: Limits
    """As its kind usually has them, where nothing is said."""
    memory_bytes: int = Field(gt=0)
    """The sandbox's; as usual, where nothing is said."""
    workspace_bytes: int = Field(gt=0)
    """What an agent may leave in the workspace; as usual, where nothing is said."""
    cpus: float | None = Field(default=None, gt=0)
    """The sandbox's; None for all that the machine has."""
    gpus: int = Field(default=0, ge=0)
    """GPUs without which it cannot be worked."""
    issues: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _as_usual(cls, declared: Any) -> Any:  # noqa: ANN401 - TOML
        if not isinstance(declared, Mapping):
            return declared
        return with_usual(cast("Mapping[str, Any]", declared))

    @model_validator(mode="after")
    def _prepared_in_one_way(self) -> "CompetitionFile":
        made, ways = self.source is not None, (self.source, self.recipe, self.module)
        if made != (self.split is not None):
            raise ValueError("source and split go together")
        if sum(map(bool, (*ways, self.unsupported))) != 1:
            raise ValueError("say one of source, recipe, module and unsupported")
        if bool(self.recipe or self.module) and self.raw is None:
            raise ValueError("recipe and module need raw: the files they begin with")
        if made == (self.medals is not None):
            raise ValueError("medals are said where there is no source, and only there")
        return self

    @property
    def origin(self) -> Origin:
        """What makes its rows, and how they are split.

        Raises:
            TaskError: They come from raw files.
        """
        if self.source is None or self.split is None:
            raise TaskError(f"{self.id}: its rows come from raw files, not from a source")
        return Origin(self.source, self.split)


class Definition(Value):
    """A competition as it is declared."""

    place: Path
    file: CompetitionFile
    description: str
    leaderboard: tuple[float, ...]
    """Best first; empty where none was made yet, or only medals are known."""
    checksums: Mapping[str, str]
    """By file; empty where nobody has written them down."""

    @property
    def competition(self) -> Competition:
        """What grading knows of it."""
        return competition_of(self.file, self.leaderboard)

    @property
    def kind(self) -> TaskKind:
        """Its task's."""
        return "competition"

    @property
    def category(self) -> str:
        """Its task's."""
        return self.file.category

    @property
    def splits(self) -> tuple[str, ...]:
        """Its task's."""
        return self.file.splits

    @property
    def task_id(self) -> str:
        """What its task is called."""
        return f"{COMPETITION}{self.file.id}"

    def check_supported(self) -> None:
        """Check that it can be prepared and graded.

        Raises:
            TaskError: It cannot; the message says why.
        """
        if self.file.unsupported:
            raise TaskError(f"{self.task_id} is not supported yet: {self.file.unsupported}")

    def card(self) -> TaskCard:
        """Its task's, as far as it is known before its files are made."""
        return TaskCard(
            id=self.task_id,
            title=self.file.title,
            kind=self.kind,
            category=self.category,
            splits=self.splits,
            digest="",
            limits=self.file.limits,
            description=self.file.summary,
        )


def read_definition(place: Path, *, ranked: bool = True) -> Definition:
    """Read a competition from its directory.

    Args:
        place: The directory.
        ranked: Whether it must have a leaderboard, if it has no medals.

    Raises:
        TaskError: Something in it is wrong; the message names file and key.
    """
    source = place / FILE
    try:
        document = tomllib.loads(read_text(source))
    except tomllib.TOMLDecodeError as error:
        raise TaskError(f"{source}: not TOML: {error}") from error
    file = validated(CompetitionFile, document, source)
    if file.id != place.name:
        raise TaskError(f"{source}: id: {file.id!r} is not the directory's name")
    leaderboard: tuple[float, ...] = ()
    if ranked and file.medals is None:
        leaderboard = read_scores(place / LEADERBOARD, lower_is_better=file.lower_is_better)
    return Definition(
        place=place,
        file=file,
        description=_description(file, place / DESCRIPTION),
        leaderboard=leaderboard,
        checksums=_checksums(place / CHECKSUMS),
    )


def competition_of(file: CompetitionFile, leaderboard: Sequence[float]) -> Competition:
    """What grading knows of a competition with that leaderboard."""
    return Competition(
        id=file.id,
        name=file.title,
        category=file.category,
        splits=file.splits,
        awards_medals=file.awards_medals,
        form=file.form,
        metric=file.metric,
        medals=file.medals or thresholds_of(leaderboard),
        lower_is_better=file.lower_is_better,
        upstream=file.upstream,
        prepare=file.model_dump(mode="json", include=set(PREPARED_BY), exclude_none=True),
        issues=file.issues,
    )


def _description(file: CompetitionFile, path: Path) -> str:
    """Its story, which only those that are not supported may lack."""
    return file.summary if file.unsupported and not path.exists() else read_text(path)


def _checksums(path: Path) -> dict[str, str]:
    return json.loads(read_text(path)) if path.exists() else {}
