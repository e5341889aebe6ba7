"""A model behind faulty providers: the real LiteLLM, over real HTTP."""

import json
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import anyio
import pytest
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse

from proctor.clients.agents.budget import Budget
from proctor.clients.agents.model import (
    ContextOverflowError,
    Model,
    ModelSettings,
    rates_of,
    refusal_of,
)
from proctor.clients.agents.reply import Reply
from proctor.schemas.errors import BudgetSpentError, ModelError

USER = {"role": "user", "content": "Go."}
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
Ask = Callable[..., Any]


def body(**changes: Any) -> dict[str, Any]:
    """A response; `changes` are the message's, or whole parts of the body."""
    whole = {
        "id": "1", "object": "chat.completion", "created": 1, "model": "gpt-x",
        "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
    }  # fmt: skip
    parts = {name: changes.pop(name) for name in ("usage", "choices") if name in changes}
    finish = changes.pop("finish_reason", "stop")
    message = {"role": "assistant", "content": None, **changes}
    choice = {"index": 0, "finish_reason": finish, "message": message}
    return {**whole, "choices": [choice], **parts}


def wanted(*calls: dict[str, Any]) -> dict[str, Any]:
    """A response that wants these calls: each a function, or with an id of its own."""
    return body(
        tool_calls=[
            {"id": call.pop("id", f"c{n}"), "type": "function", "function": call}
            for n, call in enumerate(calls)
        ],
        finish_reason="tool_calls",
    )


@pytest.fixture
def ask(model_server: Any) -> Ask:
    """Asks a model whose server gives these replies, one for each attempt."""

    async def reply(
        *replies: Any, budget: Budget | None = None, messages: Any = None, **settings: Any
    ) -> Reply:
        model_server.first = list(replies)
        model_server.always = 500
        model = Model(
            ModelSettings.model_validate(
                {"model": "openai/gpt-x", "api_base": model_server.url, "first_wait_s": 0.001,
                 "attempts": 2, **settings}
            )
        )  # fmt: skip
        return await model.reply(messages or [USER], [TOOL], budget or Budget("session"))

    return reply


async def _half() -> AsyncIterator[bytes]:
    yield b'{"id": "1", "choi'
    raise ConnectionResetError


def cut_off() -> Response:
    return StreamingResponse(_half(), headers={"content-length": "1000"})


def cut_off_in_chunks() -> Response:
    return StreamingResponse(_half(), media_type="application/json")


@pytest.mark.parametrize(
    "broken",
    [
        cut_off,
        cut_off_in_chunks,
        lambda: Response(b"\xff\xfe no JSON", media_type="application/json"),
        lambda: HTMLResponse("<html>a gateway</html>"),
        lambda: Response(b""),
        lambda: JSONResponse(None),
        body(choices=None),
        body(choices=[{"index": 0, "finish_reason": "stop"}]),
        wanted({"name": "look", "arguments": "[" * 100_000}),
        429,
        503,
        408,
    ],
    ids=["cut", "cut in chunks", "garbage", "page", "nothing", "null", "no choices", "no message",
         "too deep", "429", "503", "408"],
)  # fmt: skip
async def test_what_cannot_be_read_is_asked_for_again(
    ask: Ask, model_server: Any, broken: Any
) -> None:
    assert (await ask(broken, body(content="here"))).text == "here"
    assert len(model_server.bodies) == 2
    with pytest.raises(ModelError, match="openai/gpt-x failed"):
        await ask(broken, broken)


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": "many", "completion_tokens": 1, "total_tokens": 1},
        [1],
        {"prompt_tokens": 1.5, "completion_tokens": 2, "total_tokens": 3},
    ],
)
async def test_a_reply_with_numbers_that_are_none_fails_in_words(ask: Ask, usage: Any) -> None:
    with pytest.raises(ModelError, match="Invalid response") as caught:
        await ask(body(usage=usage), body(usage=usage))
    assert "Traceback" not in str(caught.value)


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {"prompt_tokens": -5, "completion_tokens": -1, "total_tokens": -6},
        {"prompt_tokens": 10**30, "completion_tokens": 10**30, "total_tokens": 10**30},
        {"prompt_tokens": 1_000_000, "completion_tokens": 0, "total_tokens": 1},
    ],
)
async def test_numbers_that_cannot_be_true_are_unknown_and_settle_at_the_worst_case(
    ask: Ask, usage: Any
) -> None:
    budget = Budget("session", tokens=50_000)
    reply = await ask(body(content="x", usage=usage), budget=budget, max_tokens=2000)
    assert (reply.usage.prompt_tokens, reply.usage.reply_tokens) == (None, None)
    assert reply.usage.cost_usd is None
    assert 4000 < budget.used_tokens < 5000, "2000 for the reply, and what a prompt can have"


@pytest.mark.parametrize(
    ("given", "arguments", "problem"),
    [
        ("{not json", {}, "are not JSON"),
        ("[1]", {}, "must be a JSON object"),
        ('{"n": NaN}', {}, "are not JSON"),
        (None, {}, ""),
        ('{"x": null, "y": "\\ud800"}', {"x": None, "y": "?"}, ""),
        ({"x": 1}, {"x": 1}, ""),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
async def test_arguments_are_an_object_whatever_the_model_wrote(
    ask: Ask, given: Any, arguments: Any, problem: str
) -> None:
    reply = await ask(wanted({"name": "look", "arguments": given}))
    (call,) = reply.calls
    assert call.arguments == arguments
    assert call.problem.startswith(problem)
    assert bool(call.problem) == bool(problem)
    (sent,) = reply.message["tool_calls"]
    assert isinstance(json.loads(sent["function"]["arguments"]), dict), "as some providers demand"


async def test_calls_without_ids_or_with_the_same_get_their_own(ask: Ask) -> None:
    look = {"name": "look", "arguments": "{}"}
    reply = await ask(
        wanted({**look, "id": "a"}, {**look, "id": "a"}, {**look, "id": None}, {"id": "b"})
    )
    ids = [call.id for call in reply.calls]
    assert len(set(ids)) == 4
    assert ids[0] == "a"
    assert [call["id"] for call in reply.message["tool_calls"]] == ids
    assert reply.calls[3].name == "unnamed"


async def test_a_turn_without_words_is_sent_back_with_some(ask: Ask) -> None:
    reply = await ask(body())
    assert (reply.text, reply.message["content"]) == ("", "[no text]")
    assert (await ask(body(choices=[]))).refused


@pytest.mark.parametrize(
    "declined",
    [
        body(finish_reason="content_filter"),
        body(refusal="I will not."),
        (400, {"error": {"message": "Refused by the content management policy",
                         "code": "content_filter"}}),
    ],
)  # fmt: skip
async def test_refusals_and_filters_are_turns_that_say_nothing(ask: Ask, declined: Any) -> None:
    assert (await ask(declined)).refused


async def test_a_huge_reply_is_read_and_counted(ask: Ask) -> None:
    text = "x" * 3_000_000
    reply = await ask(body(content=text, finish_reason="length"))
    assert reply.text == text
    assert reply.cut


async def test_a_conversation_that_is_too_long_is_told_apart(ask: Ask) -> None:
    said = "This model's maximum context length is 100 tokens."
    error = {"message": said, "code": "context_length_exceeded"}
    with pytest.raises(ContextOverflowError):
        await ask((400, {"error": error}))


def refusing(status: int, message: str, **headers: str) -> Callable[[], Response]:
    return lambda: JSONResponse({"error": {"message": message}}, status, headers)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (refusing(401, "bad key sk-abcdefghijklmnop0123456789"), "refuses the key"),
        (refusing(403, "not yours"), "refuses the key"),
        (refusing(404, "The model `gpt-x` does not exist"), "knows no model openai/gpt-x.*gpt-x"),
        (refusing(400, "temperature is wrong"), "temperature is wrong"),
        (refusing(429, "tomorrow", **{"retry-after": "7200"}), "asks to wait 7200 s"),
        (refusing(429, "tomorrow", **{"retry-after": "Fri, 21 Oct 2095 07:28:00 GMT"}), "to wait"),
        (refusing(429, "insufficient_quota: no money"), "no money"),
    ],
)
async def test_what_will_not_pass_fails_at_once_in_the_providers_words(
    ask: Ask, model_server: Any, answer: Any, said: str
) -> None:
    with pytest.raises(ModelError, match=said) as caught:
        await ask(answer)
    assert len(model_server.bodies) == 1
    assert "sk-abcdef" not in str(caught.value)


@pytest.mark.parametrize("stated", ["0.01", "soon", "-5", "nan", "Mon, 01 Jan 2001 00:00:00 GMT"])
async def test_a_wait_that_is_asked_for_is_taken_as_far_as_it_can_be(ask: Ask, stated: str) -> None:
    answer = refusing(429, "later", **{"retry-after": stated})
    assert (await ask(answer, body(content="now"))).text == "now"


async def test_a_provider_that_says_nothing_times_out(ask: Ask, model_server: Any) -> None:
    budget = Budget("session", tokens=100_000)
    settings = {"timeout_s": 0.2, "attempts": 1, "max_tokens": 1000}
    with pytest.raises(ModelError, match=r"openai/gpt-x failed: Time"):
        await ask(model_server.silence, budget=budget, **settings)
    assert budget.used_tokens > 3000, "it may have answered, and may bill it"


async def test_a_server_that_is_not_there_costs_nothing(ask: Ask) -> None:
    budget = Budget("session", tokens=100_000)
    with pytest.raises(ModelError, match="Connection error"):
        await ask(budget=budget, api_base="http://127.0.0.1:9/v1")
    assert budget.used_tokens == 0


def test_a_server_that_is_not_there_is_known_before_a_run_begins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "unused")
    nowhere = ModelSettings(model="openai/gpt-x", api_base="http://127.0.0.1:9/v1")
    assert "nothing answers at http://127.0.0.1:9/v1" in (refusal_of(nowhere) or "")


async def test_a_call_that_is_cancelled_midway_counts_as_a_whole_one(
    ask: Ask, model_server: Any
) -> None:
    budget = Budget("session", tokens=100_000)
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(ask, model_server.silence, budget=budget))
            while not model_server.bodies:
                await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()
    assert budget.used_tokens > model_server.bodies[0]["max_tokens"] > 0


async def test_a_capped_reply_is_no_longer_than_what_is_left(ask: Ask, model_server: Any) -> None:
    budget = Budget("session", tokens=10_000)
    await ask(body(content="x"), budget=budget)
    assert 7000 < model_server.bodies[0]["max_tokens"] < 10_000 - 2000
    assert budget.used_tokens == 110
    with pytest.raises(BudgetSpentError):
        await ask(body(content="x"), budget=Budget("session", tokens=3000))
    assert len(model_server.bodies) == 1


async def test_a_stated_price_is_what_it_costs(ask: Ask) -> None:
    reply = await ask(body(content="x"), price=(3.0, 15.0), budget=Budget("session", usd=1.0))
    assert reply.usage.cost_usd == pytest.approx(100 * 3e-6 + 10 * 15e-6)


async def test_money_is_reserved_at_the_highest_price_that_litellm_knows() -> None:
    rates = rates_of(ModelSettings(model="gemini/gemini-2.5-pro"))
    assert rates is not None
    assert (rates.prompt_usd, rates.reply_usd) == (2.5e-6, 1.5e-5), "that of long prompts"
    assert rates_of(ModelSettings(model="openai/gpt-x")) is None


async def test_thinking_is_shown_and_sent_back_as_the_provider_wants_it(
    ask: Ask, model_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-of-nobody")
    thought = {"type": "thinking", "thinking": "I shall look.", "signature": "signed-by-them"}
    nothing: dict[str, Any] = {}
    call = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": nothing}
    said = {
        "id": "1", "type": "message", "role": "assistant", "model": "claude",
        "content": [thought, call], "stop_reason": "tool_use",
        "usage": {"input_tokens": 100, "output_tokens": 10, "cache_read_input_tokens": 40},
    }  # fmt: skip
    settings = {
        "model": "anthropic/claude-opus-4-5",
        "api_base": model_server.url.removesuffix("/v1"),
        "reasoning_effort": "low",
    }
    reply = await ask(said, **settings)
    assert reply.reasoning == "I shall look."
    assert reply.usage.cached_tokens == 40
    assert reply.usage.cost_usd, "LiteLLM knows it"
    result = {"role": "tool", "tool_call_id": reply.calls[0].id, "content": "nothing there"}
    await ask(said, messages=[USER, reply.message, result], **settings)
    again = model_server.bodies[-1]["messages"][1]["content"]
    assert [each["type"] for each in again] == ["thinking", "tool_use"]
    assert again[0]["signature"] == "signed-by-them"


async def test_reasoning_of_compatible_servers_is_sent_back_too(ask: Ask) -> None:
    reply = await ask(body(content="x", reasoning_content="because"))
    assert reply.reasoning == "because"
    assert reply.message == {"role": "assistant", "content": "x", "reasoning_content": "because"}
