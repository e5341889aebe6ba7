"""``Retry-After``: how long whoever answers over HTTP asks to wait."""

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def asked_wait_s(stated: str) -> float:
    """Seconds that a header's text asks to wait: its number, or until its date.

    Returns:
        0 where it asks nothing, or makes no sense.
    """
    try:
        seconds = float(stated)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(stated) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):  # neither a number nor a date with its zone
            return 0.0
    return max(0.0, seconds) if math.isfinite(seconds) else 0.0
