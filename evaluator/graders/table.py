"""``table``: a table that the agent filled in, cell by cell against the truth."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field

from proctor.evaluator.work import Work
from proctor.evaluator.worker import in_worker
from proctor.schemas.base import Value
from proctor.schemas.errors import SubmissionError, TaskError
from proctor.schemas.grade import Score
from proctor.schemas.task import Task

MAX_BYTES = 256 << 20


class Tolerance(Value):
    """How far a number may lie from the truth: within the greater of the two."""

    absolute: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    relative: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """As a share of the truth."""


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


def check(task: Task, options: Options) -> None:
    """Check that the truth is there, and a table as the options describe it.

    Raises:
        TaskError: It is not.
    """
    if options.truth not in task.grading:
        raise TaskError(f"there is no grading/{options.truth}")
    truth = task.grading[options.truth]
    try:
        _right_cells(options, truth, truth, options.truth)
    except SubmissionError as error:
        raise TaskError(f"grading/{error}") from error


async def measure(work: Work, options: Options) -> Score:
    """The share that is right."""
    right, cells = await _compared(work, options)
    whole = sum(row == cells for row in right)
    if options.credit == "rows":
        credit, said = whole / len(right), f"{whole} of {len(right)} rows"
    else:
        credit = sum(right) / (len(right) * cells)
        said = f"{sum(right)} of {len(right) * cells} cells"
    if options.credit == "all":
        credit = float(whole == len(right))
    return Score(state="scored", credit=credit, evidence=f"{said} are right", value=credit)


async def validate(work: Work, options: Options) -> None:
    """Check the form of the table: its columns, its ids, and what is a number.

    Raises:
        SubmissionError: It is not the one asked for.
    """
    await _compared(work, options)


async def _compared(work: Work, options: Options) -> tuple[list[int], int]:
    truth = work.task.grading[options.truth]
    async with work.file(options.path, max_bytes=MAX_BYTES) as file:
        right = await in_worker(_right_cells, options, truth, file, options.path)
    return right, len(options.columns)


def _right_cells(options: Options, truth: bytes, source: Path | bytes, name: str) -> list[int]:
    from proctor.evaluator.cells import right_cells  # noqa: PLC0415 - slow to import

    return right_cells(options, truth, source, name)
