"""Finds one number in what a command printed or wrote: text that agent code may have chosen."""

import json
import re
from math import isfinite
from typing import Any

from jsonpointer import JsonPointerException, resolve_pointer
from pydantic import Field, field_validator

from proctor.schemas.base import Value

NUMBER = r"(?<![\w.])([-+]?(?:\d++(?:\.\d*+)?+|\.\d++)(?:[eE][-+]?\d++)?+)(?![\w.]*\w)"
"""A number that stands by itself; what was matched once is never tried otherwise."""
MAX_LINE_CHARS = 500
"""Longer lines are not searched: the time of a search may grow with their square."""


class Reading(Value):
    """Where a number is found."""

    path: str | None = None
    """A file of the workspace that the command writes; None stands for what it prints."""
    pattern: str = NUMBER
    """A regular expression with one group, for each line; the last match counts."""
    pointer: str | None = Field(default=None, pattern=r"^(/.*)?$")
    """Instead of a pattern, where the text is JSON: RFC 6901."""

    @field_validator("pattern")
    @classmethod
    def _has_one_group(cls, pattern: str) -> str:
        try:
            groups = re.compile(pattern).groups
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from error
        if groups != 1:
            raise ValueError(f"{pattern!r} has {groups} groups; mark the number with one")
        return pattern

    def number_in(self, text: str) -> float | None:
        """The number; None where there is none, or none that is finite."""
        if self.pointer is None:
            return _matched(text, self.pattern)
        try:
            return as_number(resolve_pointer(json.loads(text), self.pointer))
        except (JsonPointerException, RecursionError, TypeError, ValueError):
            return None


def as_number(value: Any) -> float | None:  # noqa: ANN401 - JSON
    """A JSON value as a finite number; None where it is none. Neither true nor "1" is one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if isfinite(number) else None


def _matched(text: str, pattern: str) -> float | None:
    lines = [line for line in text.splitlines() if len(line) <= MAX_LINE_CHARS]
    found = [match.group(1) for line in lines for match in re.finditer(pattern, line)]
    try:
        return as_number(float(found[-1])) if found else None
    except (TypeError, ValueError):  # the group took no part in the match, or holds no number
        return None
