"""The one file of the judge that knows litellm: a call of a model, over whatever provider.

litellm takes seconds to import, so that happens when a judge is wanted, in a thread. It reads
keys from the environment itself; they pass through here only inside providers' messages, which
may quote them and are scrubbed.
"""

import functools
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

import anyio

from proctor.evaluator.judge.purse import Bill, Rates
from proctor.evaluator.judge.settings import JudgeSettings
from proctor.schemas.errors import GradingError
from proctor.schemas.retry_after import asked_wait_s

if TYPE_CHECKING:
    from tenacity import RetryCallState

ATTEMPTS = 5
MAX_WAIT_S = 20.0
MAX_ASKED_WAIT_S = 60.0
"""How far a provider's ``Retry-After`` is followed."""
MAX_REPLY_TOKENS = 8192
PASSING_STATUS = frozenset({408, 409, 429})
SERVER_STATUS = 500
"""From here on, too, a status may pass."""
REFUSED_STATUS = frozenset({401, 403})
SECRET = re.compile(
    r"(?=[\w.~+/=*-]*\d)[\w.~+/=*-]{16,}|\bsk-[\w.*-]+|(?<=key=)[^&\s]+|(?<=Bearer )\S+", re.ASCII
)
"""What could be a key, or the half of one that a provider shows."""


@dataclass(frozen=True)
class Answer:
    """What came of a call."""

    text: str | None
    """None where there is no answer; `problem` says why."""
    problem: str = ""
    final: bool = False
    """Whether another call would meet the same problem: no key, no such model."""


class Model:
    """One model, with the settings that it is called with."""

    def __init__(self, settings: JudgeSettings, traits: "Traits") -> None:
        self._settings = settings
        self._traits = traits

    async def ask(
        self,
        messages: Sequence[Mapping[str, str]],
        schema: Mapping[str, Any],
        *,
        vote: int,
        max_tokens: int,
        bill: Bill,
    ) -> Answer:
        """Ask once; a provider's passing trouble is waited out, with back-off and jitter.

        Args:
            messages: The conversation.
            schema: The JSON Schema of the reply, for providers that can be held to one.
            vote: The vote's number from 0, by which its seed differs from the others'.
            max_tokens: How long the reply may be.
            bill: Where what the call used is noted.
        """
        from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt  # noqa: PLC0415 - as litellm, only where there is a judge

        arguments = self._arguments(schema, vote) | {
            "messages": [dict(message) for message in messages],
            "max_tokens": max_tokens,
        }

        async def call() -> Any:  # noqa: ANN401 - litellm's response, of many providers' forms
            bill.requests += 1
            with anyio.fail_after(self._settings.timeout_s):
                return await self._traits.litellm.acompletion(**arguments)

        retrying = AsyncRetrying(
            stop=stop_after_attempt(ATTEMPTS),
            wait=functools.partial(_wait, self._settings.first_wait_s),
            retry=retry_if_exception(self._traits.is_passing),
            reraise=True,
        )
        try:
            response: Any = await retrying(call)
        except Exception as error:  # noqa: BLE001 - litellm's hundred providers raise anything
            return _failed(error, self._traits)
        return _answer(response, bill)

    def _arguments(self, schema: Mapping[str, Any], vote: int) -> dict[str, Any]:
        settings, traits = self._settings, self._traits
        arguments: dict[str, Any] = {
            "model": settings.model,
            "timeout": settings.timeout_s,
            "max_retries": 0,  # of the provider's client; its retries know nothing of the purse
        }
        if settings.api_base is not None:
            arguments["api_base"] = settings.api_base
        if (temperature := traits.temperature(settings)) is not None:
            arguments["temperature"] = temperature
        if (seed := traits.seed(settings)) is not None:
            arguments["seed"] = seed + vote
        if traits.takes_schema:
            form = {"name": "verdicts", "strict": True, "schema": schema}
            arguments["response_format"] = {"type": "json_schema", "json_schema": form}
        return arguments


@dataclass(frozen=True)
class Traits:
    """What litellm knows of a model."""

    litellm: ModuleType
    parameters: frozenset[str]
    """What the provider understands, by OpenAI's names."""
    takes_schema: bool
    rates: Rates | None
    """None where the price is unknown; a price of nothing is none that can be known."""
    max_reply_tokens: int
    missing_keys: tuple[str, ...]
    """Variables of the environment without which the provider will refuse."""

    def temperature(self, settings: JudgeSettings) -> float | None:
        """What is sent; None where the provider takes none."""
        return settings.temperature if "temperature" in self.parameters else None

    def seed(self, settings: JudgeSettings) -> int | None:
        """The first vote's; None where the provider takes none."""
        return settings.seed if "seed" in self.parameters else None

    def lacks_key(self, error: BaseException) -> bool:
        """Whether a call failed before it was made, in an environment without the key for it."""
        return bool(self.missing_keys) and not getattr(error, "litellm_response_headers", None)

    def is_passing(self, error: BaseException) -> bool:
        """Whether the same call may go well a little later."""
        status = getattr(error, "status_code", None)
        if self.lacks_key(error):
            return False
        if isinstance(error, TimeoutError):
            return True
        return isinstance(status, int) and (status >= SERVER_STATUS or status in PASSING_STATUS)


@functools.cache
def load_litellm() -> ModuleType:
    """Import litellm, quietly: no prices are fetched, no ``.env`` is read, nothing is printed."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    os.environ.setdefault("LITELLM_MODE", "PRODUCTION")
    import litellm  # noqa: PLC0415 - takes seconds

    litellm.suppress_debug_info = True
    litellm.disable_aiohttp_transport = True  # it leaves its sessions open
    return litellm


def traits_of(name: str) -> Traits:
    """What litellm knows of a model. Blocks, the first time for seconds.

    Raises:
        GradingError: The name says no provider that litellm knows.
    """
    litellm = load_litellm()
    try:
        model, provider, _, _ = litellm.get_llm_provider(name)
    except litellm.exceptions.BadRequestError as error:
        raise GradingError(
            f"{name!r} names no provider; write it as provider/model, such as openai/gpt-5"
        ) from error
    supported = litellm.get_supported_openai_params(model=model, custom_llm_provider=provider)
    known: Mapping[str, Any] = litellm.model_cost.get(name) or litellm.model_cost.get(model) or {}
    most = known.get("max_output_tokens")
    missing = litellm.validate_environment(name)
    return Traits(
        litellm=litellm,
        parameters=frozenset(supported or ()),
        takes_schema=litellm.supports_response_schema(name),
        rates=_rates(known),
        max_reply_tokens=min(MAX_REPLY_TOKENS, most) if isinstance(most, int) else MAX_REPLY_TOKENS,
        missing_keys=()
        if missing["keys_in_environment"]
        else tuple(each for each in missing["missing_keys"] if each.endswith("_API_KEY")),
    )


def _rates(known: Mapping[str, Any]) -> Rates | None:
    prompt, reply = known.get("input_cost_per_token"), known.get("output_cost_per_token")
    return Rates(prompt, reply) if prompt and reply else None


def _answer(response: Any, bill: Bill) -> Answer:  # noqa: ANN401 - litellm's
    bill.answered = True
    usage = getattr(response, "usage", None)
    bill.tokens = getattr(usage, "total_tokens", None) or None
    bill.prompt_tokens = getattr(usage, "prompt_tokens", None) or None
    bill.usd = getattr(response, "_hidden_params", {}).get("response_cost") or None
    choice = response.choices[0] if response.choices else None
    text = choice.message.content if choice else None
    return Answer(text if isinstance(text, str) else "")


def _failed(error: Exception, traits: Traits) -> Answer:
    """What a failure means for other votes, told without anything that could be a key."""
    status = getattr(error, "status_code", None)
    if traits.lacks_key(error):
        return Answer(None, f"no key: set {' or '.join(traits.missing_keys)}", final=True)
    if status in REFUSED_STATUS:
        return Answer(None, f"the provider refused the key (HTTP {status})", final=True)
    said = f"{type(error).__name__}: {SECRET.sub('[...]', str(error))[:300]}".rstrip(": ")
    return Answer(None, f"the provider failed: {said}", final=not traits.is_passing(error))


def _wait(first_s: float, state: "RetryCallState") -> float:
    """Seconds until the next attempt: doubling, jittered, and no less than the provider asks."""
    from tenacity import wait_exponential, wait_random  # noqa: PLC0415

    backoff = wait_exponential(first_s, max=MAX_WAIT_S)(state) + wait_random(0, first_s)(state)
    error = state.outcome.exception() if state.outcome else None
    headers: Any = getattr(error, "litellm_response_headers", None) or {}
    asked_s = asked_wait_s(str(headers.get("retry-after") or ""))
    return max(backoff, min(asked_s, MAX_ASKED_WAIT_S))
