"""``judge``: prose, which only a model can read. No judge is built in yet: always ungraded."""

from proctor.evaluator.work import Work
from proctor.schemas.base import Value
from proctor.schemas.grade import Score


class Options(Value):
    """A judge needs nothing but the criterion's text."""


async def measure(work: Work, options: Options) -> Score:
    """Leave the criterion ungraded: neither passed nor failed."""
    del work, options
    return Score(state="ungraded", evidence="needs a judge, and none is configured")
