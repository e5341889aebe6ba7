"""Failures that pass are waited out; the others are told in a sentence.

No error here has the one that it came from as its cause: those of `requests` carry addresses that
are signed, and headers with the user's key.
"""

from collections.abc import Callable
from typing import TypeVar

import requests
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    wait_exponential,
    wait_random,
)

from proctor.schemas.errors import TaskError
from proctor.schemas.retry_after import asked_wait_s
from proctor.tasks.competitions.progress import Progress

TRIES = 6
"""In a row, without a byte that is new."""
MAX_WAIT_S = 60.0
MAX_ASKED_S = 900.0
"""Longer than that nobody waits, even if asked to."""
TOO_MANY = 429
NO_ANSWER = (408, 425, TOO_MANY)
SERVER_FAILED = 500

T = TypeVar("T")


class ExpiredError(Exception):
    """An address to download from is not valid any more; a new one may be."""


class Patience:
    """Tries again what failed, as long as it helps."""

    def __init__(self, what: str, progress: Progress, first_wait_s: float) -> None:
        """Make one.

        Args:
            what: What is asked of Kaggle, as in "the files of ID".
            progress: Where waiting is done.
            first_wait_s: How long to wait at first; that doubles, up to `MAX_WAIT_S`.
        """
        self._what = what
        self._progress = progress
        self._backoff = wait_exponential(first_wait_s, max=MAX_WAIT_S) + wait_random(
            0, first_wait_s
        )

    def __call__(self, action: Callable[[], T], got: Callable[[], int] = lambda: 0) -> T:
        """What `action` returns in the end.

        Args:
            action: May fail, and be called again.
            got: How much there is of what it is for; where that grows, it is worth another try.

        Raises:
            TaskError: It fails for too long.
        """
        most, since = got(), 0

        def is_over(state: RetryCallState) -> bool:
            nonlocal most, since
            if (now := got()) > most:
                most, since = now, 0
            since += 1
            return since >= TRIES or _asked_s(_error_of(state)) > MAX_ASKED_S

        tries = Retrying(
            retry=retry_if_exception(is_passing),
            stop=is_over,
            wait=self._wait_s,
            sleep=self._progress.wait,
            reraise=True,
        )
        try:
            return tries(action)
        except (requests.RequestException, ExpiredError) as error:
            raise TaskError(f"{self._what}: {_told(error)}") from None

    def _wait_s(self, state: RetryCallState) -> float:
        return _asked_s(_error_of(state)) or self._backoff(state)


def is_passing(error: BaseException) -> bool:
    """Whether it may go well the next time."""
    if isinstance(error, requests.HTTPError) and (status := status_of(error)):
        return status in NO_ANSWER or status >= SERVER_FAILED
    return isinstance(error, (requests.RequestException, ExpiredError))


def status_of(error: BaseException) -> int | None:
    """The HTTP status that came, if one did."""
    response = getattr(error, "response", None)
    return response.status_code if isinstance(response, requests.Response) else None


def _told(error: BaseException) -> str:
    status, asked = status_of(error), _asked_s(error)
    if status == TOO_MANY:
        later = f"wait {asked:.0f} s, and" if asked else "wait some minutes, and"
        return f"Kaggle takes no more requests for now (HTTP 429); {later} try again"
    if status is not None:
        return f"Kaggle answers with HTTP {status}, again and again; try again later"
    if isinstance(error, ExpiredError):
        return "Kaggle's storage does not give it out, again and again; try again later"
    kind = type(error).__name__
    return (
        f"the connection to Kaggle fails ({kind}); look at the network, and try again: "
        "what has come is kept"
    )


def _error_of(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _asked_s(error: BaseException | None) -> float:
    """How long the server asks to wait; 0 where it does not."""
    response = getattr(error, "response", None)
    return asked_wait_s(response.headers.get("Retry-After", "")) if response is not None else 0.0
