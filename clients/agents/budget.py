"""What calls of a model may use: reserved before each call, settled after it.

A budget may have a parent: a session's has its run's. A call is held against both with all that it
may use, so that neither cap is passed, however many calls are under way. A reservation that others
stand in the way of waits for them to settle; one that can never fit ends the work.
"""

import math
import time
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import anyio

from proctor.schemas.base import Value
from proctor.schemas.errors import BudgetSpentError, ModelError


@dataclass(frozen=True)
class Rates:
    """What a model costs, in US dollars per token."""

    prompt_usd: float
    reply_usd: float

    def usd(self, prompt_tokens: float, reply_tokens: float) -> float:
        """The price of a call."""
        return prompt_tokens * self.prompt_usd + reply_tokens * self.reply_usd


class Usage(Value):
    """What calls used; None where a provider does not say, or a price is unknown."""

    prompt_tokens: int | None = 0
    """Those from the provider's cache included."""
    reply_tokens: int | None = 0
    """Those of its reasoning included."""
    cost_usd: float | None = 0.0
    cached_tokens: int | None = None
    """Those of the prompt that came from the provider's cache."""

    def plus(self, other: "Usage") -> "Usage":
        """The two together: what is unknown of one is unknown of both."""
        return Usage(
            prompt_tokens=_sum(self.prompt_tokens, other.prompt_tokens),
            reply_tokens=_sum(self.reply_tokens, other.reply_tokens),
            cost_usd=_sum(self.cost_usd, other.cost_usd),
        )


UNKNOWN_USAGE = Usage(prompt_tokens=None, reply_tokens=None, cost_usd=None)


class Reservation:
    """What one call may use, until it is known what it did."""

    def __init__(self, prompt_tokens: int, reply_tokens: int, usd: float) -> None:
        self.reply_tokens = reply_tokens
        """How long the reply may be; perhaps less than was asked for."""
        self.tokens = prompt_tokens + reply_tokens
        self.usd = usd
        self._used: tuple[int, float] = (0, 0.0)

    @property
    def used(self) -> tuple[int, float]:
        """Tokens and dollars; nothing until it is settled."""
        return self._used

    def settle(self, usage: Usage) -> None:
        """Take what the call used; what is unknown of it counts as all that was reserved."""
        known = usage.prompt_tokens is not None and usage.reply_tokens is not None
        tokens = (usage.prompt_tokens or 0) + (usage.reply_tokens or 0)
        usd = self.usd if usage.cost_usd is None else usage.cost_usd
        self._used = (tokens if known else self.tokens, usd)


class Level:
    """The caps of one budget without its parents, what was used of them, and what is held."""

    def __init__(
        self, name: str, tokens: int | None, usd: float | None, seconds: float | None
    ) -> None:
        self.name = name
        self.max_tokens = tokens
        self.max_usd = usd
        self.max_seconds = seconds
        self.ends_at = math.inf if seconds is None else time.monotonic() + seconds
        self.used_tokens = 0
        self.used_usd = 0.0
        self.held: set[Reservation] = set()

    def room(self, prompt_tokens: int, rates: Rates | None) -> "Room":
        """How long a reply may be, as far as these caps go, after a prompt of that length."""
        rooms = [Room(math.inf, math.inf)]
        if self.max_tokens is not None:
            ever: float = self.max_tokens - self.used_tokens - prompt_tokens
            now: float = ever - sum(each.tokens for each in self.held)
            rooms.append(Room(ever, now, self.spent("tokens", f"{self.max_tokens} tokens")))
        if self.max_usd is not None and rates is not None:
            usd = self.max_usd - self.used_usd - rates.usd(prompt_tokens, 0)
            now_usd = usd - sum(each.usd for each in self.held)
            ever, now = (_tokens_for(each, rates.reply_usd) for each in (usd, now_usd))
            rooms.append(Room(ever, now, self.spent("usd", f"{self.max_usd:g} USD")))
        return Room.tightest(rooms)

    def spent(self, of: str, cap: str) -> BudgetSpentError:
        """What is raised where nothing is left, or too little for a call."""
        less = "" if of == "time" else ", or what is left does not do for another call"
        return BudgetSpentError(f"{self.name}_{of}", f"the {self.name}'s {cap} are spent{less}")


@dataclass(frozen=True)
class Room:
    """How long a reply may be, in tokens."""

    ever: float
    """Were no other call under way."""
    now: float
    error: BudgetSpentError | None = None
    """What to say where that is too little."""

    @classmethod
    def tightest(cls, rooms: Sequence["Room"]) -> "Room":
        """What all of them allow."""
        first = min(rooms, key=lambda room: room.ever)
        return cls(first.ever, min(room.now for room in rooms), first.error)


class Budget:
    """Tokens, dollars and hours, and what is left of them."""

    def __init__(
        self,
        name: str,
        *,
        tokens: int | None = None,
        usd: float | None = None,
        seconds: float | None = None,
        parent: "Budget | None" = None,
    ) -> None:
        """Make a budget; its time runs from now on.

        Args:
            name: Whose it is, as its limits are named by: ``session``, ``run``.
            tokens: Of prompts and replies together; None sets no cap, as with the others.
            usd: US dollars.
            seconds: Of wall-clock.
            parent: What it is a part of.
        """
        self.levels: tuple[Level, ...] = (
            Level(name, tokens, usd, seconds),
            *(parent.levels if parent else ()),
        )
        """Its own caps, its parent's, and so on."""
        self.bell: Bell = parent.bell if parent else Bell()

    @property
    def used_tokens(self) -> int:
        """Used in all; where a provider did not say, all that was reserved."""
        return self.levels[0].used_tokens

    @property
    def used_usd(self) -> float:
        """Spent in all; where it is unknown, all that was reserved."""
        return self.levels[0].used_usd

    @property
    def charged(self) -> tuple[int, float]:
        """Tokens and dollars used, and those held for calls under way, as if all will be used."""
        own = self.levels[0]
        tokens = own.used_tokens + sum(each.tokens for each in own.held)
        return tokens, own.used_usd + sum(each.usd for each in own.held)

    @property
    def is_capped(self) -> bool:
        """Whether tokens or money are limited, here or above."""
        return self.counts_money or any(each.max_tokens is not None for each in self.levels)

    @property
    def counts_money(self) -> bool:
        """Whether money is limited, here or above, so that the price must be known."""
        return any(each.max_usd is not None for each in self.levels)

    @property
    def tokens_left(self) -> int | None:
        """Tokens not used yet, of the tightest cap; None where there is none."""
        left = [b.max_tokens - b.used_tokens for b in self.levels if b.max_tokens is not None]
        return max(0, min(left)) if left else None

    @property
    def usd_left(self) -> float | None:
        """Dollars not spent yet, of the tightest cap; None where there is none."""
        left = [b.max_usd - b.used_usd for b in self.levels if b.max_usd is not None]
        return max(0.0, min(left)) if left else None

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the earliest end; None where there is none."""
        ends_at = min(each.ends_at for each in self.levels)
        return None if math.isinf(ends_at) else max(0.0, ends_at - time.monotonic())

    @contextmanager
    def in_time(self) -> Generator[None]:
        """Do something before the time is over.

        Raises:
            BudgetSpentError: The time is over; what was being done is cancelled.
        """
        first = min(self.levels, key=lambda each: each.ends_at)
        over = first.spent("time", f"{first.max_seconds or 0:g} s")
        if self.seconds_left == 0:
            raise over
        with anyio.move_on_after(self.seconds_left) as scope:
            yield
        if scope.cancelled_caught:
            raise over

    @asynccontextmanager
    async def reserving(
        self, prompt_tokens: int, reply_tokens: int, rates: Rates | None, least: int = 1
    ) -> AsyncGenerator[Reservation]:
        """Make a call: hold what it may use, here and above, until it is settled.

        A call that ends without being settled has used nothing.

        Args:
            prompt_tokens: An upper bound.
            reply_tokens: How long the reply is to be at most; less is reserved where no more is
                left.
            rates: None where the price is unknown.
            least: A reply that must be shorter than this is not worth the call.

        Raises:
            BudgetSpentError: Not even the least fits, whatever becomes of other calls.
            ModelError: Money is limited, and the price is unknown.
        """
        held = await self._reserve(prompt_tokens, reply_tokens, rates, min(least, reply_tokens))
        try:
            yield held
        finally:
            for each in self.levels:
                each.held.discard(held)
            self.charge(*held.used)

    def charge(self, tokens: int, usd: float) -> None:
        """Note what was used, here and above; those who wait for room look again."""
        for each in self.levels:
            each.used_tokens += tokens
            each.used_usd += usd
        self.bell.ring()

    async def _reserve(
        self, prompt_tokens: int, reply_tokens: int, rates: Rates | None, least: int
    ) -> Reservation:
        if self.counts_money and rates is None:
            raise ModelError("money is limited, but the price of the model is unknown")
        while True:
            room = Room.tightest([each.room(prompt_tokens, rates) for each in self.levels])
            if room.ever < least and room.error:
                raise room.error
            wanted = int(min(reply_tokens, room.ever))
            if room.now >= wanted:  # nothing is awaited from here on until it is held
                usd = rates.usd(prompt_tokens, wanted) if rates else 0.0
                held = Reservation(prompt_tokens, wanted, usd)
                for each in self.levels:
                    each.held.add(held)
                return held
            await self.bell.wait()


class Bell:
    """Wakes all who wait, as often as it is rung."""

    def __init__(self) -> None:
        self._next = anyio.Event()

    def ring(self) -> None:
        """Wake those who wait now."""
        self._next.set()
        self._next = anyio.Event()

    async def wait(self) -> None:
        """Wait until it is rung."""
        await self._next.wait()


def _tokens_for(usd: float, rate: float) -> float:
    if usd < 0:
        return -1.0
    return math.floor(usd / rate) if rate else math.inf


def _sum(one: float | None, other: float | None) -> Any:  # noqa: ANN401 - int or float, as given
    return None if one is None or other is None else one + other
