"""What the checks share."""

import re
from collections.abc import Generator
from contextlib import contextmanager

from proctor.sandbox_backends.base import Sandbox
from proctor.schemas.sandbox import SandboxSpec

SPEC = SandboxSpec()


class NotApplicableError(Exception):
    """A check says nothing about this backend, which does not claim what it is about."""


@contextmanager
def raises(
    kind: type[BaseException] | tuple[type[BaseException], ...], match: str = ""
) -> Generator[None]:
    """Expect an error whose message has `match`, a regular expression, in it."""
    try:
        yield
    except kind as error:
        if not re.search(match, str(error)):
            raise AssertionError(f"{error!r} does not say {match!r}") from error
    else:
        raise AssertionError(f"{kind} was expected")


async def bash(sandbox: Sandbox, command: str, timeout_s: float = 30) -> str:
    """What a command says, on both streams."""
    result = await sandbox.exec(["bash", "-c", command], timeout_s=timeout_s)
    return result.stdout.text() + result.stderr.text()
