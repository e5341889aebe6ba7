"""``numbers``: named values in a JSON file, within tolerances of the truth."""

from collections.abc import Iterator
from typing import Any

from jsonpointer import JsonPointerException, resolve_pointer
from pydantic import Field

from proctor.evaluator.tolerance import Tolerance
from proctor.evaluator.work import Work
from proctor.schemas.base import Value
from proctor.schemas.errors import SubmissionError
from proctor.schemas.grade import Score


class Expected(Tolerance):
    """One value."""

    pointer: str = Field(pattern=r"^(/.*)?$")
    """An RFC 6901 pointer."""
    value: float = Field(allow_inf_nan=False)
    relative: float = Field(default=1e-9, ge=0, allow_inf_nan=False)
    """As a share of the value."""


class Options(Value):
    """Which file, and which values."""

    path: str = "response/report.json"
    values: tuple[Expected, ...] = Field(min_length=1)
    all_or_nothing: bool = False


async def measure(work: Work, options: Options) -> Score:
    """The share of the values that are right."""
    document = await work.read_json(options.path)
    wrong: list[str] = []
    for expected in options.values:
        try:
            found = _number(document, expected.pointer)
        except SubmissionError as error:
            wrong.append(str(error))
            continue
        if not expected.admits(found, expected.value):
            wrong.append(f"{expected.pointer} is {found:g}, which is not near enough")
    right = len(options.values) - len(wrong)
    credit = right / len(options.values)
    if options.all_or_nothing:
        credit = float(not wrong)
    evidence = "; ".join([f"{right} of {len(options.values)} values are right", *wrong])[:1000]
    return Score(state="scored", credit=credit, evidence=evidence, value=credit)


async def validate(work: Work, options: Options) -> None:
    """Check that every value is there and a number.

    Raises:
        SubmissionError: One is not.
    """
    document = await work.read_json(options.path)
    if problems := list(_problems(document, options)):
        raise SubmissionError(f"{options.path}: {'; '.join(problems)}"[:1000])


def _problems(document: Any, options: Options) -> Iterator[str]:  # noqa: ANN401 - JSON
    for expected in options.values:
        try:
            _number(document, expected.pointer)
        except SubmissionError as error:
            yield str(error)


def _number(document: Any, pointer: str) -> float:  # noqa: ANN401 - JSON
    try:
        found = resolve_pointer(document, pointer)
    except (JsonPointerException, TypeError) as error:
        raise SubmissionError(f"{pointer} does not exist") from error
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise SubmissionError(f"{pointer} is {found!r:.80}, no number")
    try:
        return float(found)
    except OverflowError:
        raise SubmissionError(f"{pointer} is too large for a number") from None
