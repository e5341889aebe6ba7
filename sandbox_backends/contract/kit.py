"""What the checks share: how they expect, and how they look into a sandbox."""

import io
import secrets
from collections.abc import Generator
from contextlib import contextmanager

import anyio

from proctor.sandbox_backends.base import Sandbox
from proctor.schemas.sandbox import SandboxSpec

SPEC = SandboxSpec()
LONG_S = 60.0
"""What ends by itself has ended by then, however busy the machine."""
SHOWN = 500
COUNT = """
import glob, os
count = 0
for path in glob.glob("/proc/[0-9]*/cmdline"):
    try:
        with open(path, "rb") as stream:
            count += os.environ["MARKER"].encode() in stream.read()
    except OSError:
        pass
print(count)
"""


class NotApplicableError(Exception):
    """A backend does not claim what a check is about."""


def expect(holds: object, what: str) -> None:
    """Expect that something holds. Unlike ``assert`` it does so under ``python -O``, too."""
    if not holds:
        raise AssertionError(f"expected {what}")


def expect_equal(seen: object, wanted: object, what: str) -> None:
    """Expect `what` to be `wanted`."""
    expect(seen == wanted, f"{what} to be {_short(wanted)}, not {_short(seen)}")


@contextmanager
def expect_raises(kind: type[Exception], saying: str = "") -> Generator[None]:
    """Expect an error of this kind, whose text has `saying` in it."""
    try:
        yield
    except kind as error:
        expect(saying in str(error), f"{kind.__name__} to say {saying!r}, not {str(error)!r}")
    except Exception as error:
        raise AssertionError(f"expected {kind.__name__}, not {error!r}") from error
    else:
        raise AssertionError(f"expected {kind.__name__}, and nothing was raised")


@contextmanager
def expect_soon(what: str) -> Generator[None]:
    """Expect the body to end."""
    with anyio.move_on_after(LONG_S) as scope:
        yield
    expect(not scope.cancelled_caught, f"{what} within {LONG_S:g} s")


async def bash(sandbox: Sandbox, command: str, *, timeout_s: float = LONG_S) -> str:
    """What a command says, on both streams."""
    result = await sandbox.exec(["bash", "-c", command], timeout_s=timeout_s)
    return result.stdout.text() + result.stderr.text()


async def python(sandbox: Sandbox, code: str, *arguments: str) -> str:
    """What a script says, on both streams."""
    argv = [sandbox.info.python, "-c", code, *arguments]
    result = await sandbox.exec(argv, timeout_s=2 * LONG_S)
    return result.stdout.text() + result.stderr.text()


async def snapshot_of(sandbox: Sandbox) -> bytes:
    """A snapshot's bytes."""
    target = io.BytesIO()
    await sandbox.snapshot(target, max_bytes=10 << 20)
    return target.getvalue()


def new_marker() -> str:
    """A word that no other process on this machine has among its arguments."""
    return f"marked-{secrets.token_hex(8)}"


def sleeper(marker: str) -> str:
    """A command that runs for long, known by its marker."""
    return f"exec -a {marker} sleep 300"


def daemon(marker: str) -> str:
    """A command that leaves behind what escapes its session, its group and every gentle signal."""
    deaf = f"trap '' TERM INT HUP; {sleeper(marker)}"
    return f'(setsid nohup bash -c "{deaf}" >/dev/null 2>&1 &)'


async def marked(sandbox: Sandbox, marker: str) -> int:
    """How many processes carry the marker among their arguments."""
    argv = [sandbox.info.python, "-I", "-S", "-c", COUNT]
    result = await sandbox.exec(argv, timeout_s=LONG_S, env={"MARKER": marker})
    expect_equal(result.exit_code, 0, "the exit code of a look at /proc")
    return int(result.stdout.text())


async def appear(sandbox: Sandbox, marker: str) -> None:
    """Wait until a process carries the marker."""
    with expect_soon(f"a process {marker}"):
        while not await marked(sandbox, marker):
            await anyio.sleep(0.02)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
