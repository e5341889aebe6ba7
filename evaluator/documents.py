"""JSON that an agent handed in, read strictly: what is ambiguous is refused."""

import json
import math
from collections import Counter
from collections.abc import Iterable
from typing import Any, cast

from proctor.schemas.errors import SubmissionError

MAX_DEPTH = 64
SHOWN_CHARS = 80


def parse_json(data: bytes, name: str) -> Any:  # noqa: ANN401 - JSON
    """Read a JSON document as RFC 8259 means it, with finite numbers and each key once.

    Raises:
        SubmissionError: It is not that, or is nested deeper than `MAX_DEPTH`.
    """
    try:
        document = json.loads(
            data.decode("utf-8-sig"),
            parse_constant=_refuse,
            parse_float=_finite,
            object_pairs_hook=_each_once,
        )
    except RecursionError:
        raise SubmissionError(f"{name} is nested too deeply") from None
    except ValueError as error:
        raise SubmissionError(f"{name} is not JSON in UTF-8: {error}") from error
    if _is_deeper(document, MAX_DEPTH):
        raise SubmissionError(f"{name} is nested too deeply: beyond {MAX_DEPTH} levels")
    return document


def shown(value: object) -> str:
    """A value of the agent's as a message may repeat it: bounded, with odd characters escaped."""
    text = ascii(value[:SHOWN_CHARS] if isinstance(value, str) else value)
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}..."


def listed(values: Iterable[object], most: int = 5) -> str:
    """Values as a message may repeat them, the first few of them."""
    every = list(values)
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(map(shown, every[:most])) + more


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a JSON value")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits[:20]} is beyond the range of numbers")
    return number


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        raise ValueError(f"the key {shown(counts.most_common(1)[0][0])} stands twice in an object")
    return made


def _is_deeper(document: object, limit: int) -> bool:
    level: list[object] = [document]
    for _ in range(limit):
        level = [child for value in level for child in _children(value)]
        if not level:
            return False
    return True


def _children(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return cast("dict[str, object]", value).values()
    return cast("list[object]", value) if isinstance(value, list) else ()
