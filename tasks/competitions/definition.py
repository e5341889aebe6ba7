"""What ``competition.toml`` says, with the texts and numbers that lie beside it.

competition.toml   where rows come from, how they are split, what is handed in, how it is scored
description.md     the story and the columns
leaderboard.csv    what others reached: ``score,by``, best first
checksums.json     the SHA-256 of what its preparation makes
"""

import csv
import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from proctor.evaluator.medals import thresholds_of
from proctor.schemas.base import Value
from proctor.schemas.competition import Competition, Form, ScoredBy
from proctor.schemas.errors import TaskError
from proctor.schemas.sandbox import MEBIBYTE
from proctor.schemas.task import Limits, TaskKind
from proctor.tasks.formats.reading import read_text, validated

FILE, DESCRIPTION, LEADERBOARD = "competition.toml", "description.md", "leaderboard.csv"
CHECKSUMS = "checksums.json"


class Source(Value):
    """Where the rows come from."""

    kind: Literal["dataset", "tabular", "text", "images", "series"]
    seed: int = Field(ge=0)
    settings: Mapping[str, Any] = Field(default_factory=dict[str, Any])
    """What that kind of source asks for."""


class Split(Value):
    """Which rows are the test's."""

    by: Literal["rows", "group", "time"] = "rows"
    """``rows``: any. ``group``: whole groups, none of which is in both. ``time``: the latest."""
    column: str = ""
    """What tells the group, or the time."""
    test: float = Field(gt=0, lt=1)
    """The share of the rows, of the groups, or of the points in time."""
    seed: int = Field(ge=0)

    @model_validator(mode="after")
    def _named(self) -> "Split":
        if (self.by == "rows") == bool(self.column):
            raise ValueError("column goes with by = 'group' and by = 'time', and only with those")
        return self


class CompetitionFile(Value):
    """What ``competition.toml`` holds."""

    id: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
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
    source: Source
    split: Split
    limits: Limits = Limits()
    memory_bytes: int = Field(default=4096 * MEBIBYTE, gt=0)
    issues: tuple[str, ...] = ()


class Definition(Value):
    """A competition as it is declared."""

    place: Path
    file: CompetitionFile
    description: str
    leaderboard: tuple[float, ...]
    """Best first; empty where none was made yet."""
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
        return f"competition/{self.file.id}"


def read_definition(place: Path, *, ranked: bool = True) -> Definition:
    """Read a competition from its directory.

    Args:
        place: The directory.
        ranked: Whether it must have a leaderboard.

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
    if ranked:
        leaderboard = read_leaderboard(place / LEADERBOARD, lower_is_better=file.lower_is_better)
    return Definition(
        place=place,
        file=file,
        description=read_text(place / DESCRIPTION),
        leaderboard=leaderboard,
        checksums=_checksums(place / CHECKSUMS),
    )


def read_leaderboard(path: Path, *, lower_is_better: bool) -> tuple[float, ...]:
    """The scores of a leaderboard.

    Raises:
        TaskError: It has none, or the best is not first.
    """
    try:
        scores = [float(row["score"]) for row in csv.DictReader(read_text(path).splitlines())]
    except (KeyError, ValueError, TypeError) as error:
        raise TaskError(f"{path}: not a table with numbers as score: {error}") from error
    if not scores or scores != sorted(scores, reverse=not lower_is_better):
        raise TaskError(f"{path}: it must have scores, the best one first")
    return tuple(scores)


def competition_of(file: CompetitionFile, leaderboard: Sequence[float]) -> Competition:
    """What grading knows of a competition with that leaderboard."""
    return Competition(
        id=file.id,
        name=file.title,
        category=file.category,
        splits=file.splits,
        form=file.form,
        metric=file.metric,
        medals=thresholds_of(leaderboard),
        lower_is_better=file.lower_is_better,
        prepare={"source": file.source.model_dump(), "split": file.split.model_dump()},
        issues=file.issues,
    )


def _checksums(path: Path) -> dict[str, str]:
    return json.loads(read_text(path)) if path.exists() else {}
