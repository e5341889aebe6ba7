"""How far a preparation has come, for whoever watches it."""

import time
from typing import Literal, Protocol

from typing_extensions import override

Unit = Literal["bytes", "files", ""]


class Progress(Protocol):
    """What a preparation tells as it goes. Each method may raise, which ends the preparation."""

    def step(self, name: str, total: int | None = None, unit: Unit = "") -> None:
        """The next step begins; None where nobody knows how much there is to do."""
        ...

    def advance(self, amount: int) -> None:
        """So much more of the step is done."""
        ...

    def wait(self, seconds: float) -> None:
        """Let that time pass."""
        ...


class Unwatched(Progress):
    """For nobody."""

    @override
    def step(self, name: str, total: int | None = None, unit: Unit = "") -> None:
        pass

    @override
    def advance(self, amount: int) -> None:
        pass

    @override
    def wait(self, seconds: float) -> None:
        time.sleep(seconds)


UNWATCHED = Unwatched()
