"""A model with tools, over whatever provider LiteLLM speaks to.

The one file of the agents that knows litellm. It takes seconds to import, so that happens when a
model is wanted, in a thread. Keys are read from the environment, by litellm itself.
"""

import functools
import os
import re
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

import anyio
from anyio.to_thread import run_sync
from pydantic import Field

from proctor.schemas.base import Value
from proctor.schemas.errors import ModelError

if TYPE_CHECKING:
    from tenacity import RetryCallState

PASSING_STATUS = frozenset({408, 409, 429})
SERVER_STATUS = 500
"""From here on, too, a status may pass."""
MAX_WAIT_S = 60.0
SECRET = re.compile(r"\bsk-[\w.*-]+|(?<=key=)[^&\s]+|(?<=Bearer )\S+", re.ASCII)
"""What could be a key in a provider's words."""

Message = dict[str, Any]
"""As OpenAI's chat completions take it."""


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
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high"] | None = None
    timeout_s: float = Field(default=600.0, gt=0)
    attempts: int = Field(default=6, ge=1)
    """How often a call is made while the provider's trouble may pass."""
    first_wait_s: float = Field(default=1.0, gt=0)


class ToolCall(Value):
    """What the model wants called."""

    id: str
    name: str
    arguments: str
    """JSON, if the model wrote JSON."""


class Usage(Value):
    """What calls used; None where a provider does not say, or a price is unknown."""

    prompt_tokens: int | None = 0
    reply_tokens: int | None = 0
    cost_usd: float | None = 0.0

    def plus(self, other: "Usage") -> "Usage":
        """The two together: what is unknown of one is unknown of both."""
        return Usage(
            prompt_tokens=_sum(self.prompt_tokens, other.prompt_tokens),
            reply_tokens=_sum(self.reply_tokens, other.reply_tokens),
            cost_usd=_sum(self.cost_usd, other.cost_usd),
        )


class Reply(Value):
    """One turn of the model."""

    message: Message
    """To be sent back with the next turn, as the provider wants it."""
    text: str
    calls: tuple[ToolCall, ...]
    refused: bool
    """Whether the provider's filter or the model itself declined."""
    cut: bool
    """Whether it ended because it was too long."""
    usage: Usage


class ContextOverflowError(ModelError):
    """The conversation is longer than the model can read."""


class Model:
    """A model, as an agent asks it."""

    def __init__(self, settings: ModelSettings) -> None:
        self.settings = settings

    async def reply(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]]) -> Reply:
        """The model's next turn. A provider's passing trouble is waited out.

        Raises:
            ContextOverflowError: The messages are too long for the model.
            ModelError: The provider refuses the key or the model, or failed too often.
        """
        from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt  # noqa: PLC0415 - with litellm

        litellm = await run_sync(load_litellm)
        arguments = self._arguments(messages, tools)

        async def call() -> Any:  # noqa: ANN401 - litellm's response, of many providers' forms
            with anyio.fail_after(self.settings.timeout_s):
                return await litellm.acompletion(**arguments)

        retrying = AsyncRetrying(
            stop=stop_after_attempt(self.settings.attempts),
            wait=functools.partial(_wait, self.settings.first_wait_s),
            retry=retry_if_exception(_is_passing),
            reraise=True,
        )
        try:
            response: Any = await retrying(call)
        except litellm.ContextWindowExceededError as error:
            raise ContextOverflowError(_said(error)) from error
        except litellm.ContentPolicyViolationError as error:
            return _refusal(_said(error))
        except Exception as error:  # litellm's hundred providers raise anything
            raise ModelError(f"the model {self.settings.model} failed: {_said(error)}") from error
        return _reply(response)

    def _arguments(
        self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        names = ("model", "api_base", "temperature", "seed", "max_tokens", "reasoning_effort")
        chosen = {name: getattr(self.settings, name) for name in names}
        return {
            **{name: value for name, value in chosen.items() if value is not None},
            "messages": list(messages),
            "tools": list(tools),
            "timeout": self.settings.timeout_s,
            "max_retries": 0,  # of the provider's client: ours know what may pass
            "drop_params": True,  # what a provider does not take, such as a seed
        }


@functools.cache
def load_litellm() -> ModuleType:
    """Import litellm, quietly: no prices are fetched, nothing is printed."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    os.environ.setdefault("LITELLM_MODE", "PRODUCTION")
    import litellm  # noqa: PLC0415 - takes seconds

    litellm.suppress_debug_info = True
    litellm.disable_aiohttp_transport = True  # it leaves its sessions open
    return litellm


def model_problem(name: str) -> str | None:
    """Why a model cannot be asked: no such provider, or no key. Blocks, for seconds at first."""
    litellm = load_litellm()
    try:
        litellm.get_llm_provider(name)
    except litellm.exceptions.BadRequestError:
        return f"{name!r} names no provider; write it as provider/model, such as openai/gpt-5"
    missing = litellm.validate_environment(name)
    keys = [each for each in missing["missing_keys"] if each.endswith("_API_KEY")]
    if keys and not missing["keys_in_environment"]:
        return f"set {' or '.join(keys)}"
    return None


def _reply(response: Any) -> Reply:  # noqa: ANN401 - litellm's
    usage, hidden = getattr(response, "usage", None), getattr(response, "_hidden_params", {})
    spent = Usage(
        prompt_tokens=getattr(usage, "prompt_tokens", None) or None,
        reply_tokens=getattr(usage, "completion_tokens", None) or None,
        cost_usd=hidden.get("response_cost") or None,
    )
    if not response.choices:
        return _refusal("an empty reply", spent)
    choice = response.choices[0]
    message = choice.message.model_dump(exclude_none=True)
    calls = tuple(map(_call, message.get("tool_calls") or ()))
    text = message.get("content")
    return Reply(
        message=message,
        text=text if isinstance(text, str) else "",
        calls=calls,
        refused=choice.finish_reason == "content_filter" or bool(message.get("refusal")),
        cut=choice.finish_reason == "length",
        usage=spent,
    )


def _call(call: dict[str, Any]) -> ToolCall:
    wanted = call["function"]
    return ToolCall(
        id=call["id"], name=wanted.get("name") or "", arguments=wanted.get("arguments") or ""
    )


def _refusal(why: str, usage: Usage | None = None) -> Reply:
    message = {"role": "assistant", "content": f"[no reply: {why}]"}
    unknown = Usage(prompt_tokens=None, reply_tokens=None, cost_usd=None)
    return Reply(
        message=message, text="", calls=(), refused=True, cut=False, usage=usage or unknown
    )


def _is_passing(error: BaseException) -> bool:
    status = getattr(error, "status_code", None)
    if isinstance(error, TimeoutError):
        return True
    passing = isinstance(status, int) and (status >= SERVER_STATUS or status in PASSING_STATUS)
    return passing and "API_KEY" not in str(error)  # which litellm reports as a 500


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {SECRET.sub('[...]', str(error))[:500]}".rstrip(": ")


def _wait(first_s: float, state: "RetryCallState") -> float:
    """Seconds until the next attempt: doubling, jittered, and no less than the provider asks."""
    from tenacity import wait_exponential, wait_random  # noqa: PLC0415

    backoff = wait_exponential(first_s, max=MAX_WAIT_S)(state) + wait_random(0, first_s)(state)
    error = state.outcome.exception() if state.outcome else None
    headers: Any = getattr(error, "litellm_response_headers", None)
    try:
        asked = float(headers["retry-after"]) if headers else 0.0
    except (KeyError, ValueError):  # none, or a date: the back-off will do
        asked = 0.0
    return max(backoff, min(asked, MAX_WAIT_S))


def _sum(one: float | None, other: float | None) -> Any:  # noqa: ANN401 - int or float, as given
    return None if one is None or other is None else one + other
