"""What somebody wants of a competition: which table, which target, and what is not to be chosen."""

import re
from pathlib import Path
from typing import Literal

from pydantic import Field

from proctor.schemas.base import Value
from proctor.schemas.errors import TaskError
from proctor.tasks.competitions.definition import SourceSplit

ID = r"[a-z0-9]+(-[a-z0-9]+)*"


class Request(Value):
    """What is asked for; what is empty is chosen."""

    id: str
    data: Path
    target: str
    metric: str = ""
    positive: str = ""
    """The target's value that counts as 1."""
    ids: str = ""
    by: Literal["rows", "group", "time"] = "rows"
    column: str = ""
    """Of the groups, or of the time."""
    test: float = Field(default=0.3, gt=0, lt=1)
    seed: int = Field(ge=0)
    drop: tuple[str, ...] = ()
    title: str = ""
    summary: str = ""

    @property
    def split(self) -> SourceSplit:
        """Which rows the test has."""
        return SourceSplit(by=self.by, column=self.column, test=self.test, seed=self.seed)

    @property
    def used(self) -> list[str]:
        """The columns that it names, beside those to leave out."""
        return [each for each in (self.target, self.ids, self.column) if each]


def check_request(request: Request) -> None:
    """Check what can be checked without the table.

    Raises:
        TaskError: It contradicts itself.
    """
    if not re.fullmatch(ID, request.id):
        raise TaskError(
            f"--id {request.id!r}: an id has small letters, digits and single hyphens, as my-churn"
        )
    if (request.by == "rows") == bool(request.column):
        raise TaskError("--by COLUMN goes with --split group and --split time, and only with those")
    if twice := [each for each in request.used if each in request.drop]:
        raise TaskError(f"--drop {twice[0]}: that column is needed")
    if request.target in (request.ids, request.column):
        raise TaskError(f"--target {request.target}: ids and the split need another column")
