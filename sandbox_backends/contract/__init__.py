"""The contract that every backend keeps, as checks that its author can run.

Each check is a coroutine function that takes a backend and raises `AssertionError` where the
contract is broken, or `NotApplicableError` where the backend does not claim what it is about:

    import pytest

    pytest.register_assert_rewrite("proctor.sandbox_backends.contract")
    from proctor.sandbox_backends.contract import CHECKS

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    async def test_my_backend(check):
        await check(open_sandbox)
"""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from proctor.sandbox_backends.base import Backend
from proctor.sandbox_backends.contract import commands, files, jobs, machines
from proctor.sandbox_backends.contract.checking import NotApplicableError

__all__ = ["CHECKS", "Check", "NotApplicableError"]

Check: TypeAlias = Callable[[Backend], Awaitable[None]]
CHECKS: tuple[Check, ...] = (
    *machines.CHECKS,
    *commands.CHECKS,
    *files.CHECKS,
    *jobs.CHECKS,
)
