"""How far a number may lie from the one expected."""

from math import isfinite

from pydantic import Field

from proctor.schemas.base import Value

ROUNDING = 1e-9
"""By this share bounds are wider: 2.02 is within 1 % of 2, although no float is 2.02."""


class Tolerance(Value):
    """Within the greater of the two, bounds included."""

    absolute: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    relative: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """As a share of the value expected."""

    def admits(self, found: float, expected: float) -> bool:
        """Whether a number is near enough; NaN and infinity never are."""
        room = max(self.absolute, self.relative * abs(expected)) * (1 + ROUNDING)
        return isfinite(found) and abs(found - expected) <= room
