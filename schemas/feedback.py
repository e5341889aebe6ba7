"""What an agent may learn of how it stands: before it submits, and afterwards."""

import re
from typing import Literal, Self, TypeAlias

from pydantic import Field

from proctor.schemas.base import Value

Before: TypeAlias = Literal["none", "validity", "validation", "graded"]
"""``validity``: whether the hand-in has the form that the instructions ask for. ``validation``:
also a score on a part of the data that is not the test's. ``graded``: also the points that it
would get, without those that labels decide."""

After: TypeAlias = Literal["none", "score", "full"]
"""``score``: the points. ``full``: every criterion with its evidence, which may name the answer."""

WRITTEN = re.compile(
    r"(?P<before>none|validity|validation|(?P<tries>[1-9]\d{0,3})(?:@(?P<cooldown>\d{1,6}))?)"
    r"/(?P<after>none|score|full)"
)
NOTATION = "BEFORE/AFTER: none, validity, validation or N[@SECONDS] tries, then none, score or full"


class Feedback(Value):
    """A policy of two phases."""

    before: Before = "none"
    tries: int = Field(default=1, ge=1, le=9999)
    """How often ``graded`` answers with points."""
    cooldown_s: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """Seconds that must pass between two of those."""
    after: After = "none"

    @classmethod
    def written(cls, text: str) -> Self:
        """A policy from the notation of the command line, such as ``3@600/score``.

        Raises:
            ValueError: It is not in that notation.
        """
        found = WRITTEN.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is no feedback policy; write {NOTATION}")
        if not found["tries"]:
            return cls.model_validate({"before": found["before"], "after": found["after"]})
        return cls.model_validate(
            {
                "before": "graded",
                "tries": int(found["tries"]),
                "cooldown_s": float(found["cooldown"] or 0),
                "after": found["after"],
            }
        )
