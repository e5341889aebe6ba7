"""The checks that every backend must pass, for whoever writes one.

A check is a coroutine that takes a backend, and raises `AssertionError`, saying what was
expected, where a promise of `proctor.sandbox_backends.base` is not kept. Under pytest with
pytest-asyncio::

    from proctor.sandbox_backends.contract import CHECKS, NotApplicableError

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    async def test_my_backend(check):
        try:
            await check(my_backend)
        except NotApplicableError as reason:
            pytest.skip(str(reason))

They need what tasks need in a sandbox as well: bash, the GNU tools, and Python with NumPy, pandas,
SciPy and scikit-learn.
"""

from inspect import iscoroutinefunction
from typing import Protocol

from proctor.sandbox_backends.base import Backend
from proctor.sandbox_backends.contract import commands, endings, files, jobs, machine, snapshots
from proctor.sandbox_backends.contract.kit import NotApplicableError

__all__ = ["CHECKS", "Check", "NotApplicableError"]


class Check(Protocol):
    """One promise, put to the test; its name is the sentence."""

    __name__: str

    async def __call__(self, backend: Backend, /) -> None:
        """Open sandboxes of `backend` and see.

        Raises:
            AssertionError: The promise is not kept.
            NotApplicableError: The backend does not claim what this is about.
        """
        ...


CHECKS: tuple[Check, ...] = tuple(
    thing
    for module in (machine, commands, endings, files, snapshots, jobs)
    for name, thing in vars(module).items()
    if iscoroutinefunction(thing) and thing.__module__ == module.__name__ and name[0] != "_"
)
"""Every public coroutine of these modules; none can be forgotten."""
