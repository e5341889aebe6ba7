"""Budgets: the cap holds however many calls are under way, and nobody waits for ever."""

import itertools
from collections.abc import Sequence
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor.clients.agents.budget import Budget, Rates, Usage
from proctor.schemas.errors import BudgetSpentError, ModelError

RATES = Rates(prompt_usd=1e-6, reply_usd=1e-5)


def used(prompt: int, reply: int) -> Usage:
    return Usage(prompt_tokens=prompt, reply_tokens=reply, cost_usd=RATES.usd(prompt, reply))


calls = st.lists(
    st.tuples(
        st.integers(1, 400),  # tokens of the prompt
        st.integers(1, 400),  # most tokens of the reply
        st.floats(0, 1),  # how much of that is used
        st.sampled_from(["settles", "says nothing", "fails"]),
        st.integers(0, 3),  # how long it takes, in turns of the loop
    ),
    min_size=1,
    max_size=25,
)


@given(
    calls=calls,
    sessions=st.integers(1, 4),
    tokens=st.none() | st.integers(0, 3000),
    usd=st.none() | st.floats(0, 0.02),
    session_tokens=st.none() | st.integers(0, 1000),
)
def test_no_cap_is_passed_at_any_concurrency_and_every_call_ends(
    calls: Sequence[tuple[int, int, float, str, int]],
    sessions: int,
    tokens: int | None,
    usd: float | None,
    session_tokens: int | None,
) -> None:
    run = Budget("run", tokens=tokens, usd=usd)
    own = [Budget("session", tokens=session_tokens, parent=run) for _ in range(sessions)]
    settled: list[tuple[int, float]] = []

    refused: set[str] = set()

    async def call(budget: Budget, one: tuple[int, int, float, str, int]) -> None:
        prompt, reply, share, how, turns = one
        try:
            async with budget.reserving(prompt, reply, RATES) as held:
                assert 1 <= held.reply_tokens <= reply
                for _ in range(turns):
                    await anyio.lowlevel.checkpoint()
                if how == "fails":
                    return
                said = used(prompt, max(1, int(share * held.reply_tokens)))
                held.settle(said if how == "settles" else Usage(prompt_tokens=None, cost_usd=None))
                settled.append(held.used)
        except BudgetSpentError as error:
            refused.add(error.limit)

    async def all_at_once() -> None:
        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                for budget, one in zip(itertools.cycle(own), calls, strict=False):
                    tasks.start_soon(call, budget, one)

    anyio.run(all_at_once)
    assert refused <= {"run_tokens", "run_usd", "session_tokens"}
    assert run.used_tokens == sum(each for each, _ in settled)
    assert run.used_usd == pytest.approx(sum(each for _, each in settled))
    assert tokens is None or run.used_tokens <= tokens
    assert usd is None or run.used_usd <= usd + 1e-12
    assert session_tokens is None or all(each.used_tokens <= session_tokens for each in own)
    assert not any(level.held for level in run.levels)


async def test_a_call_that_others_stand_in_the_way_of_waits_until_they_have_settled() -> None:
    budget = Budget("session", tokens=1000)
    order: list[str] = []

    async def second() -> None:
        async with budget.reserving(100, 700, None) as held:
            order.append(f"second: {held.reply_tokens}")

    async with anyio.create_task_group() as tasks, budget.reserving(100, 700, None) as held:
        tasks.start_soon(second)
        await anyio.wait_all_tasks_blocked()
        held.settle(used(50, 50))
        order.append("first settles")
    assert order == ["first settles", "second: 700"]


async def test_a_reply_is_shortened_to_what_is_left_and_refused_below_the_least() -> None:
    budget = Budget("session", tokens=1000)
    async with budget.reserving(100, 5000, None, least=200) as held:
        assert held.reply_tokens == 900
        held.settle(used(100, 650))
    with pytest.raises(BudgetSpentError, match="the session's 1000 tokens are spent"):
        async with budget.reserving(100, 5000, None, least=200):
            pass
    assert budget.tokens_left == 250


async def test_what_is_unknown_counts_as_reserved_and_what_failed_as_nothing() -> None:
    budget = Budget("session", usd=1.0)
    with pytest.raises(ZeroDivisionError):
        async with budget.reserving(100, 100, RATES):
            _ = 1 / 0
    assert (budget.used_tokens, budget.used_usd) == (0, 0)
    async with budget.reserving(100, 100, RATES) as held:
        held.settle(Usage(prompt_tokens=None, reply_tokens=None, cost_usd=None))
    assert (budget.used_tokens, budget.used_usd) == (200, pytest.approx(0.0011))


async def test_money_cannot_be_counted_at_an_unknown_price() -> None:
    with pytest.raises(ModelError, match="price"):
        async with Budget("session", parent=Budget("run", usd=1.0)).reserving(1, 1, None):
            pass


async def test_a_model_that_costs_nothing_is_never_too_dear() -> None:
    async with Budget("session", usd=0.0).reserving(100, 100, Rates(0.0, 0.0)) as held:
        assert held.reply_tokens == 100


async def test_what_runs_when_the_time_is_over_is_cancelled() -> None:
    run = Budget("run", seconds=0.01)
    with pytest.raises(BudgetSpentError) as caught, Budget("session", parent=run).in_time():
        await anyio.sleep_forever()
    assert caught.value.limit == "run_time"
    with pytest.raises(BudgetSpentError), run.in_time():
        pytest.fail("there is no time left")


@pytest.mark.parametrize(
    ("own", "above", "left"),
    [((None, None), (None, None), (None, None)), ((10, None), (7, 2.0), (7, 2.0)),
     ((5, 1.0), (7, None), (5, 1.0))],
)  # fmt: skip
def test_what_is_left_is_that_of_the_tightest_cap(own: Any, above: Any, left: Any) -> None:
    run = Budget("run", tokens=above[0], usd=above[1])
    session = Budget("session", tokens=own[0], usd=own[1], parent=run)
    assert (session.tokens_left, session.usd_left) == left
