"""``file_exists``: the workspace that was handed in holds a file, not an empty one."""

from pydantic import Field

from proctor.evaluator.work import Work
from proctor.schemas.base import Value
from proctor.schemas.errors import SubmissionError
from proctor.schemas.grade import Score


class Options(Value):
    """Which file, and how much must be in it."""

    path: str = Field(min_length=1)
    """Relative to the workspace."""
    min_bytes: int = Field(default=1, ge=0)


async def validate(work: Work, options: Options) -> None:
    """Check that the file is there.

    Raises:
        SubmissionError: It is not.
    """
    if not (score := await measure(work, options)).credit:
        raise SubmissionError(score.evidence)


async def measure(work: Work, options: Options) -> Score:
    """Full credit if the file is there."""
    try:
        data = await work.read(options.path)
    except SubmissionError:  # larger than a document may be, so it does exist
        return Score(state="scored", credit=1.0, evidence=f"{options.path} exists")
    if data is None:
        return Score(state="scored", evidence=f"there is no {options.path}")
    enough = len(data) >= options.min_bytes
    evidence = f"{options.path} holds {len(data)} bytes (at least {options.min_bytes})"
    return Score(state="scored", credit=float(enough), evidence=evidence)
