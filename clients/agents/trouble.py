"""A provider's trouble: what may pass, how long to wait, and what to say of it."""

import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from proctor.schemas.retry_after import asked_wait_s

if TYPE_CHECKING:
    from tenacity import RetryCallState

PASSING_STATUS = frozenset({408, 409, 429})
SERVER_STATUS = 500
"""From here on, too, a status may pass."""
MAX_WAIT_S = 60.0
MAX_ASKED_S = 300.0
"""A provider that asks to wait longer is not waited for."""
SAID_CHARS = 500
FOR_GOOD = ("API_KEY", "insufficient_quota")
"""What litellm reports as passing though it does not: a key that is missing, an empty account."""
UNREACHED = "ConnectError"
"""httpx's error where there is no connection, and trying longer would not make one."""
UNSENT = frozenset({UNREACHED, "ConnectTimeout", "PoolTimeout"})
"""httpx's errors where nothing was sent."""
LOST = ("timed out", "Connection error", "nvalid response", "Expecting", "'choices'")
"""How litellm reports replies that were cut off or cannot be read."""
FILTERED = re.compile(r"content[ _](?:filter|management|policy)", re.IGNORECASE)
SECRET_FORM = re.compile(r"\bsk-[\w.*-]+|(?<=key=)[^&\s]+|(?<=Bearer )\S+", re.ASCII)
"""What could be a key in a provider's words."""
SECRET_NAME = re.compile(r"(?:_KEY|_TOKEN|_SECRET|_PASSWORD|_CREDENTIALS)$")
SECRET_CHARS = 12
HIDDEN = "[...]"


def is_passing(error: BaseException) -> bool:
    """Whether the same call may go well a little later."""
    if isinstance(error, TimeoutError):
        return True
    status = status_of(error)
    passing = status is not None and (status >= SERVER_STATUS or status in PASSING_STATUS)
    return passing and not is_for_good(error) and asked_s(error) <= MAX_ASKED_S


def is_for_good(error: BaseException) -> bool:
    """Whether it looks as if it may pass, but will not."""
    return any(words in str(error) for words in FOR_GOOD)


def is_lost(error: BaseException) -> bool:
    """Whether the provider may have answered, and may bill it, though nothing usable came."""
    if _causes(error) & UNSENT:
        return False
    return isinstance(error, TimeoutError) or any(words in str(error) for words in LOST)


def is_unreached(error: BaseException) -> bool:
    """Whether nothing listens where the provider should be, or no machine has that name."""
    return UNREACHED in _causes(error)


def is_filtered(error: BaseException) -> bool:
    """Whether a content filter refused the conversation."""
    return status_of(error) == 400 and bool(FILTERED.search(str(error)))  # noqa: PLR2004 - bad request


def status_of(error: BaseException) -> int | None:
    """The HTTP status, if it is one."""
    status = getattr(error, "status_code", None)
    return status if isinstance(status, int) else None


def asked_s(error: BaseException) -> float:
    """How long the provider asks to wait, in seconds; 0 where it does not."""
    headers: Any = getattr(error, "litellm_response_headers", None) or {}
    return asked_wait_s(str(headers.get("retry-after") or ""))


def wait_s(first_s: float, state: "RetryCallState") -> float:
    """Seconds until the next attempt: doubling, jittered, and no less than the provider asks."""
    from tenacity import wait_exponential, wait_random  # noqa: PLC0415 - only where there is a model

    backoff = wait_exponential(first_s, max=MAX_WAIT_S)(state) + wait_random(0, first_s)(state)
    error = state.outcome.exception() if state.outcome else None
    return max(backoff, asked_s(error) if error else 0.0)


def said_by(error: BaseException) -> str:
    """The provider's words, without anything that could be a key."""
    said, _, _ = str(error).partition("Traceback (most recent call last)")
    kind = type(error).__name__
    said = scrubbed(said.removeprefix(f"litellm.{kind}: ").removeprefix(f"{kind}: ").strip())
    asked = asked_s(error)
    late = f" (it asks to wait {asked:.0f} s)" if asked > MAX_ASKED_S else ""
    return f"{kind}: {said[:SAID_CHARS]}".rstrip(": ") + late


def scrubbed(text: str) -> str:
    """The same without the environment's secrets, and without what looks like one."""
    return SECRET_FORM.sub(HIDDEN, without_secrets(text))


def without_secrets(text: str) -> str:
    """The same without the values of the environment's keys and tokens."""
    for name, value in os.environ.items():
        if SECRET_NAME.search(name) and len(value) >= SECRET_CHARS:
            text = text.replace(value, HIDDEN)
    return text


def _causes(error: BaseException) -> set[str]:
    return {type(each).__name__ for each in _chain(error)}


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it came from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
