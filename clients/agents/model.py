"""A model with tools, over whatever provider LiteLLM speaks to.

The one file of the agents that knows litellm. It takes seconds to import, so that happens when a
model is wanted, in a thread. Keys are read from the environment, by litellm itself.
"""

import functools
import json
import os
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any, Literal

import anyio
from anyio.to_thread import run_sync
from pydantic import Field

from proctor.clients.agents.budget import UNKNOWN_USAGE, Budget, Rates, Reservation, Usage
from proctor.clients.agents.reply import Message, Reply, read_reply, refusal
from proctor.clients.agents.trouble import (
    is_filtered,
    is_for_good,
    is_lost,
    is_passing,
    is_unreached,
    said_by,
    status_of,
    wait_s,
)
from proctor.schemas.base import Value
from proctor.schemas.errors import BudgetSpentError, ModelError

CAPPED_REPLY_TOKENS = 16_384
"""How long a reply may be where tokens or money are capped and nobody said otherwise."""
LEAST_REPLY_TOKENS = 1024
LEAST_REASONED_TOKENS = 6144
"""A reply that must be shorter is not asked for; reasoning counts as part of it."""
UNSEEN_TOKENS = 2000
"""What a provider may add to a conversation: the form of its tools, the ends of its messages."""
UNBELIEVED_TOKENS = 50_000
"""What says that it is that much longer than its bytes is wrong."""
ASKED_ONCE = "Reply with the word OK."
ASKED_ONCE_TOKENS = 1024
ASKED_ONCE_WITHIN_S = 60.0
REFUSED_STATUS = frozenset({401, 403})
UNKNOWN_STATUS = 404
BAD_STATUS = 400


class ModelSettings(Value):
    """Which model, and how it is asked."""

    model: str = Field(min_length=1)
    """As LiteLLM names it: ``openai/gpt-5``."""
    api_base: str | None = None
    temperature: float | None = Field(default=None, ge=0, le=2)
    """None leaves the provider's own, as with all that follow."""
    seed: int | None = None
    max_tokens: int | None = Field(default=None, gt=0)
    """Of each reply."""
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    price: tuple[float, float] | None = None
    """US dollars per million tokens of prompt and of reply, over what LiteLLM knows."""
    timeout_s: float = Field(default=600.0, gt=0)
    attempts: int = Field(default=6, ge=1)
    """How often a call is made while the provider's trouble may pass."""
    first_wait_s: float = Field(default=1.0, gt=0)

    @property
    def own_rates(self) -> Rates | None:
        """The price that the user states."""
        return Rates(*(usd / 1e6 for usd in self.price)) if self.price else None

    @property
    def sampling(self) -> dict[str, Any]:
        """What of it the provider is told, as far as it is set."""
        names = ("temperature", "seed", "max_tokens", "reasoning_effort")
        chosen = {name: getattr(self, name) for name in names}
        return {name: value for name, value in chosen.items() if value is not None}

    @property
    def least_reply_tokens(self) -> int:
        """How long a reply must be allowed to be, for a call to be worth its prompt."""
        reasons = self.reasoning_effort not in (None, "none", "minimal")
        return LEAST_REASONED_TOKENS if reasons else LEAST_REPLY_TOKENS


class ContextOverflowError(ModelError):
    """The conversation is longer than the model can read."""


class Model:
    """A model, as one agent asks it in one conversation that grows."""

    def __init__(self, settings: ModelSettings) -> None:
        self.settings = settings
        self.unreported_calls = 0
        """Calls whose tokens the provider did not say."""
        self.troubles: list[str] = []
        """What went wrong and was tried again, since somebody last took it."""
        self._known = (0, 0)
        """How many messages were once counted by the provider, and their tokens."""

    async def reply(
        self,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]],
        budget: Budget,
        held: Callable[[], None] = lambda: None,
    ) -> Reply:
        """The model's next turn. A provider's passing trouble is waited out.

        Args:
            messages: The conversation; those that were there before may have become shorter.
            tools: What the model may call.
            budget: What the call is held against, each attempt by itself.
            held: Called before each attempt that is held against a cap, so that it is not forgotten
                should this process end before the reply.

        Raises:
            ContextOverflowError: The messages are too long for the model.
            BudgetSpentError: The call does not fit, or the time is over.
            ModelError: The provider refuses the key or the model, or failed too often.
        """
        litellm = await run_sync(load_litellm)
        try:
            with budget.in_time():
                reply = await self._retrying(litellm, messages, tools, budget, held)
        except (BudgetSpentError, ModelError):
            raise
        except litellm.ContextWindowExceededError as error:
            raise ContextOverflowError(said_by(error)) from error
        except Exception as error:  # litellm's hundred providers raise anything
            if is_filtered(error) or isinstance(error, litellm.ContentPolicyViolationError):
                return refusal(said_by(error))
            raise ModelError(failure(self.settings, error)) from error
        if reply.usage.prompt_tokens and reply.usage.reply_tokens:
            counted = reply.usage.prompt_tokens + reply.usage.reply_tokens
            self._known = (len(messages) + 1, counted)
        return reply

    async def _retrying(
        self,
        litellm: ModuleType,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]],
        budget: Budget,
        tell: Callable[[], None],
    ) -> Reply:
        from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt  # noqa: PLC0415 - with litellm

        rates = await run_sync(rates_of, self.settings) if budget.counts_money else None
        longest = _bytes([messages, tools]) + UNBELIEVED_TOKENS
        arguments = {**_arguments(self.settings), "messages": list(messages), "tools": list(tools)}

        async def attempt() -> Reply:
            async with budget.reserving(*self._most(messages, tools, budget), rates,
                                        self.settings.least_reply_tokens) as held:  # fmt: skip
                if budget.is_capped:
                    arguments["max_tokens"] = held.reply_tokens
                    tell()
                try:
                    with anyio.fail_after(self.settings.timeout_s):
                        response = await litellm.acompletion(**arguments)
                except anyio.get_cancelled_exc_class():  # perhaps answered, and billed
                    self._settle(held, UNKNOWN_USAGE)
                    raise
                except Exception as error:
                    self._note(error, held)
                    raise
                reply = read_reply(response, self.settings.own_rates, longest)
                self._settle(held, reply.usage)
                return reply

        retrying = AsyncRetrying(
            stop=stop_after_attempt(self.settings.attempts),
            wait=functools.partial(wait_s, self.settings.first_wait_s),
            retry=retry_if_exception(is_passing),
            reraise=True,
        )
        return await retrying(attempt)

    def _most(
        self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]], budget: Budget
    ) -> tuple[int, int]:
        """The most tokens that prompt and reply can have.

        What the provider has counted once is taken from there; what came since has at most one
        token for each of its bytes, whatever the tokenizer.
        """
        if not budget.is_capped:
            return 0, 0
        counted, tokens = self._known
        new: list[Any] = [messages[counted:], [] if counted else tools]
        most_reply = self.settings.max_tokens or CAPPED_REPLY_TOKENS
        return tokens + _bytes(new) + UNSEEN_TOKENS, most_reply

    def _note(self, error: Exception, held: Reservation) -> None:
        """Remember an attempt that failed; one that was perhaps answered counts as a whole call."""
        self.troubles.append(said_by(error))
        if is_lost(error):
            self._settle(held, UNKNOWN_USAGE)

    def _settle(self, held: Reservation, usage: Usage) -> None:
        held.settle(usage)
        self.unreported_calls += usage.prompt_tokens is None or usage.reply_tokens is None


@functools.cache
def load_litellm() -> ModuleType:
    """Import litellm, quietly: no prices are fetched, no ``.env`` is read, nothing is printed."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    os.environ.setdefault("LITELLM_MODE", "PRODUCTION")
    import litellm  # noqa: PLC0415 - takes seconds

    litellm.suppress_debug_info = True
    litellm.disable_aiohttp_transport = True  # it leaves its sessions open
    return litellm


def rates_of(settings: ModelSettings) -> Rates | None:
    """The price of a model, the highest where it depends; None where it is unknown."""
    if settings.price:
        return settings.own_rates
    litellm = load_litellm()
    model, *_ = litellm.get_llm_provider(settings.model)
    known: Mapping[str, Any] = litellm.model_cost.get(settings.model) or (
        litellm.model_cost.get(model) or {}
    )
    prompt = _highest(known, ("input_cost_per_token", "cache_creation_input_token_cost"))
    reply = _highest(known, ("output_cost_per_token", "output_cost_per_reasoning_token"))
    return Rates(prompt, reply) if prompt and reply else None


def model_problem(settings: ModelSettings) -> str | None:
    """Why a model cannot be asked: no such provider, no key, no tools. Blocks, for seconds."""
    litellm = load_litellm()
    try:
        model, provider, *_ = litellm.get_llm_provider(settings.model)
    except litellm.exceptions.BadRequestError:
        name = settings.model
        return f"{name!r} names no provider; write it as provider/model, such as openai/gpt-5"
    missing = litellm.validate_environment(settings.model)
    keys = [each for each in missing["missing_keys"] if each.endswith("_API_KEY")]
    if keys and not missing["keys_in_environment"]:
        own = " (to anything, if your server wants no key)" if settings.api_base else ""
        return f"set {' or '.join(keys)}{own}, in the environment or in .env"
    if "tools" not in _parameters(litellm, model, provider):
        return "LiteLLM knows of no tool calls there, and the tasks are worked with tools"
    return None


def unheeded(settings: ModelSettings) -> tuple[str, ...]:
    """The settings that the provider does not take, so that they are left out."""
    litellm = load_litellm()
    model, provider, *_ = litellm.get_llm_provider(settings.model)
    taken = _parameters(litellm, model, provider)
    return tuple(name for name in settings.sampling if name not in taken)


def refusal_of(settings: ModelSettings, budget: Budget | None = None) -> str | None:
    """Why the provider will not serve this model; None where it does, or cannot say just now.

    Asks it for one word, so that a wrong key, or a model that does not exist, is known before any
    session is opened. Blocks.
    """
    litellm = load_litellm()
    arguments = _arguments(settings) | {
        "messages": [{"role": "user", "content": ASKED_ONCE}],
        "max_tokens": min(settings.max_tokens or ASKED_ONCE_TOKENS, ASKED_ONCE_TOKENS),
        "timeout": min(settings.timeout_s, ASKED_ONCE_WITHIN_S),
    }
    try:
        response = litellm.completion(**arguments)
    except Exception as error:  # noqa: BLE001 - litellm's hundred providers raise anything
        if is_unreached(error):
            return f"nothing answers at {settings.api_base or 'the provider'}: {said_by(error)}"
        refused = status_of(error) in {*REFUSED_STATUS, UNKNOWN_STATUS, BAD_STATUS}
        if "max_tokens" in str(error) or not (refused or is_for_good(error)):
            return None
        return failure(settings, error)
    usage = read_reply(response, settings.own_rates, UNBELIEVED_TOKENS).usage
    if budget is not None:
        tokens = (usage.prompt_tokens or 0) + (usage.reply_tokens or 0)
        budget.charge(tokens, usage.cost_usd or 0.0)
    return None


def failure(settings: ModelSettings, error: BaseException) -> str:
    """What to say of a provider that failed, in its own words."""
    status, said = status_of(error), said_by(error)
    if status in REFUSED_STATUS:
        return f"the provider of {settings.model} refuses the key: {said}"
    if status == UNKNOWN_STATUS:
        return f"the provider knows no model {settings.model}: {said}"
    return f"the model {settings.model} failed: {said}"


def _arguments(settings: ModelSettings) -> dict[str, Any]:
    return {
        "model": settings.model,
        **({"api_base": settings.api_base} if settings.api_base else {}),
        **settings.sampling,
        "timeout": settings.timeout_s,
        "max_retries": 0,  # of the provider's client: ours know what may pass
        "drop_params": True,  # what a provider does not take, such as a seed
    }


def _parameters(litellm: ModuleType, model: str, provider: str) -> frozenset[str]:
    supported = litellm.get_supported_openai_params(model=model, custom_llm_provider=provider)
    return frozenset(supported or ())


def _highest(known: Mapping[str, Any], names: tuple[str, ...]) -> float | None:
    """The highest of a price's steps, without those of other services."""
    steps = [
        price
        for name, price in known.items()
        if name.startswith(names)
        and not name.endswith(("_batches", "_flex", "_priority"))
        and isinstance(price, int | float)
    ]
    return max(steps, default=None)


def _bytes(value: Sequence[Any]) -> int:
    return len(json.dumps(value, ensure_ascii=False).encode())
