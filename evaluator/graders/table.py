"""``table``: a table that the agent filled in, cell by cell against the truth."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import Field

from proctor.evaluator.tolerance import Tolerance
from proctor.evaluator.work import Work
from proctor.evaluator.worker import in_worker
from proctor.schemas.base import Value
from proctor.schemas.errors import SubmissionError, TaskError
from proctor.schemas.grade import Score
from proctor.schemas.task import Task

MAX_BYTES = 256 << 20


class Options(Value):
    """Which table, which truth, and how its cells compare."""

    path: str = "response/table.csv"
    """CSV with a header, or a JSON array of objects."""
    truth: str = "table.csv"
    """Below ``grading/``: a table of the same columns."""
    id: str = "id"
    """The column that rows are matched by, in whatever order they stand."""
    columns: Mapping[str, Tolerance | Literal["exact"]] = Field(min_length=1)
    """The columns beside the id: numbers within a tolerance, or text that must be equal."""
    credit: Literal["cells", "rows", "all"] = "cells"
    """The share of cells or of whole rows that are right, or all or nothing."""
    partial: bool = False
    """Whether rows may be missing, which then count as wrong; else that is invalid."""
    unknown: Literal["invalid", "wrong"] = "invalid"
    """What rows of other ids are; ``wrong``: each counts as one more row of the truth, missed."""
    repeated: Literal["invalid", "wrong"] = "invalid"
    """What several rows of one id are; ``wrong``: as if they were missing."""
    ids: str | None = None
    """A CSV table of the workspace with all ids that may occur, in a column of that name, for who
    asks before the end. Without it nothing is told of ids then: they may be the very answer."""


class Compared(NamedTuple):
    """How many cells are right in each row of the truth, and how many rows belong to none."""

    right: list[int]
    n_stray: int


def check(task: Task, options: Options) -> None:
    """Check that the truth is there, and a table as the options describe it.

    Raises:
        TaskError: It is not.
    """
    from proctor.evaluator.cells import check_ids  # noqa: PLC0415 - slow to import

    if options.truth not in task.grading:
        raise TaskError(f"there is no grading/{options.truth}")
    if options.ids is not None and options.ids not in task.workspace:
        raise TaskError(f"there is no workspace/{options.ids}")
    truth = task.grading[options.truth]
    try:
        _right_cells(options, truth, truth, options.truth)
    except SubmissionError as error:
        raise TaskError(f"grading/{error}") from error
    if options.ids is not None:
        check_ids(options, truth, task.workspace[options.ids])


async def measure(work: Work, options: Options) -> Score:
    """The share that is right."""
    truth = work.task.grading[options.truth]
    async with work.file(options.path, max_bytes=MAX_BYTES) as file:
        right, n_stray = await in_worker(_right_cells, options, truth, file, options.path)
    cells, rows = len(options.columns), len(right) + n_stray
    whole = sum(row == cells for row in right)
    if options.credit == "rows":
        credit, said = whole / rows, f"{whole} of {rows} rows"
    else:
        credit = sum(right) / (rows * cells)
        said = f"{sum(right)} of {rows * cells} cells"
    if options.credit == "all":
        credit = float(whole == rows)
    return Score(state="scored", credit=credit, evidence=f"{said} are right", value=credit)


async def validate(work: Work, options: Options) -> None:
    """Check the form of the table: its columns, what is a number, and ids that are public.

    Raises:
        SubmissionError: It is not the one asked for.
    """
    public = None if options.ids is None else work.task.workspace[options.ids]
    async with work.file(options.path, max_bytes=MAX_BYTES) as file:
        await in_worker(_check_form, options, public, file, options.path)


def _right_cells(options: Options, truth: bytes, source: Path | bytes, name: str) -> Compared:
    from proctor.evaluator.cells import right_cells  # noqa: PLC0415 - slow to import

    return right_cells(options, truth, source, name)


def _check_form(options: Options, public: bytes | None, file: Path, name: str) -> None:
    from proctor.evaluator.cells import check_form  # noqa: PLC0415 - slow to import

    check_form(options, public, file, name)
