"""The report that an error-analysis task asks for: ``response/report.json``."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, field_validator


class Claim(BaseModel):
    """A frozen record that an agent wrote: what it says beside the fields asked for is ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class ErrorCode(StrEnum):
    """The kinds of machine-learning error that an error-analysis task plants."""

    DATA_LEAKAGE = "DATA_LEAKAGE"
    OUTLIER = "OUTLIER"
    SCALING_ERROR = "SCALING_ERROR"
    ENCODING_ERROR = "ENCODING_ERROR"
    IMBALANCE = "IMBALANCE"
    OVERFITTING = "OVERFITTING"
    UNDERFITTING = "UNDERFITTING"
    NONE = "NONE"


class Location(Claim):
    """Where a fault lies: lines, a function, or both."""

    file: str = Field(min_length=1)
    """Relative to the workspace."""
    lines: tuple[int, int] | None = None
    """First and last line, 1-based, both included."""
    function: str | None = None
    """The enclosing function, as ``name`` or ``Class.name``."""

    @field_validator("lines")
    @classmethod
    def _lines_are_ordered(cls, lines: tuple[int, int] | None) -> tuple[int, int] | None:
        if lines is not None and not 1 <= lines[0] <= lines[1]:
            raise ValueError(f"lines {list(lines)} are not [first, last] counted from 1")
        return lines


class Verification(Claim):
    """How the agent convinced itself that its fix works."""

    command: str = Field(min_length=1)
    before: float = Field(allow_inf_nan=False)
    """The headline metric that the command prints on the code as it was."""
    after: float = Field(allow_inf_nan=False)


class ErrorAnalysisReport(Claim):
    """What the agent found."""

    issue_type: ErrorCode
    locations: tuple[Location, ...]
    """The fault's lines as they were before any change; empty where nothing is wrong."""
    explanation: str = Field(min_length=1)
    proposed_fix: str = Field(min_length=1)
    verification: Verification
