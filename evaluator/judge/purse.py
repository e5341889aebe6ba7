"""What one grade may spend on its judge, and what it has spent."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Rates:
    """What a model costs, in US dollars per token."""

    prompt_usd: float
    reply_usd: float


@dataclass
class Bill:
    """What a call used: filled in by whoever makes it."""

    requests: int = 0
    """Sent in all, repetitions included."""
    answered: bool = False
    tokens: int | None = None
    """None where the provider does not say."""
    prompt_tokens: int | None = None
    """Those of them that were the prompt's."""
    usd: float | None = None
    """None where the price is unknown."""


class Purse:
    """Tokens and dollars. A call under way counts with all that it may use."""

    def __init__(self, max_tokens: int, max_usd: float | None, rates: Rates | None) -> None:
        self._max_tokens = max_tokens
        self._max_usd = max_usd
        self._rates = rates
        self._held_tokens = 0
        self._held_usd = 0.0
        self.requests = 0
        self.tokens: int | None = 0
        """Used in all; None where a provider did not say."""
        self.usd: float | None = None
        """Spent in all; None where a price is unknown, and before anything is spent."""
        self._priced = True

    def room_for_reply(self, prompt_tokens: int, calls: int = 1) -> int:
        """How many tokens each of so many replies may have; 0 or less where there is no money."""
        room = (self._max_tokens - self._held_tokens) // calls - prompt_tokens
        if self._max_usd is None:
            return room
        if self._rates is None:
            return 0
        usd = (self._max_usd - self._held_usd) / calls - prompt_tokens * self._rates.prompt_usd
        return min(room, int(usd / self._rates.reply_usd)) if self._rates.reply_usd else room

    @property
    def caps(self) -> str:
        """What bounds it, in words."""
        if self._max_usd is None:
            return f"the cap of {self._max_tokens} tokens per grade"
        unknown = " (the model's price is unknown)" if self._rates is None else ""
        return f"the cap of {self._max_tokens} tokens or {self._max_usd:g} USD{unknown} per grade"

    @contextmanager
    def paying(self, prompt_tokens: int, reply_tokens: int) -> Generator[Bill]:
        """Make a call: what it may use is set aside, and what it used then takes its place."""
        bill = Bill()
        most = prompt_tokens + reply_tokens
        usd = 0.0
        if self._rates is not None:
            usd = prompt_tokens * self._rates.prompt_usd + reply_tokens * self._rates.reply_usd
        self._hold(most, usd)
        try:
            yield bill
        finally:
            self._hold(-most, -usd)
            self.requests += bill.requests
            if bill.answered:
                self._hold(bill.tokens or most, bill.usd or usd)
                self._note(bill)

    def _hold(self, tokens: int, usd: float) -> None:
        self._held_tokens += tokens
        self._held_usd += usd

    def _note(self, bill: Bill) -> None:
        """Add to the totals; one call of unknown price makes the sum unknown."""
        self._priced = self._priced and bool(bill.usd)
        self.usd = (self.usd or 0.0) + (bill.usd or 0.0) if self._priced else None
        known = self.tokens is not None and bill.tokens
        self.tokens = (self.tokens or 0) + (bill.tokens or 0) if known else None
