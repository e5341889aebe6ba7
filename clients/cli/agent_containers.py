"""Agents in containers: their images, fetched or built from a repository, and what runs them."""

import hashlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from proctor.clients.agents.command import Errand, Hear
from proctor.clients.agents.container import container_settings
from proctor.sandbox_backends.engine import Complaints, Engine
from proctor.sandbox_backends.servers import LABEL, is_dead, this_server
from proctor.schemas.errors import AgentError
from proctor.schemas.result import AgentOrigin, Confinement

REPOSITORY = "proctor-agent"
IMAGE_LABEL = "proctor.image"
GIT_WITHIN_S = 600.0
GIT = ("git", "-c", "core.hooksPath=/dev/null", "-c", "protocol.ext.allow=never")
REVISION = re.compile(r"[A-Za-z0-9_][\w./-]*")


@dataclass(frozen=True)
class Contained:
    """Runs an agent in a container of its own."""

    image_id: str
    confinement: Confinement = "container"

    async def run(self, errand: Errand, hear: Hear) -> int:
        """As `Launcher.run` has it."""
        settings = container_settings(self.image_id, errand, {LABEL: this_server()})
        complaints = Complaints(lambda data: hear("stderr", data))
        async with _engine() as engine, engine.container(settings, complaints) as container:
            async for data in container.stdout:
                hear("stdout", data)
            return await engine.exit_code(container.id)


async def from_image(name: str, say: Callable[[str], object]) -> AgentOrigin:
    """Have an image at hand, fetched where it is missing.

    Raises:
        SandboxStartError: No engine answers, or the image cannot be had.
    """
    async with _engine() as engine:
        await engine.sweep(LABEL, is_dead)
        if not await engine.has_image(name):
            say(f"proctor: fetching {name}")
            await engine.pull(name)
        return AgentOrigin(image=name, image_id=await engine.image_id(name))


async def from_git(place: str, say: Callable[[str], object]) -> AgentOrigin:
    """Build the image of a repository at a revision.

    Args:
        place: ``URL@REV``.
        say: Told of the progress.

    Raises:
        AgentError: It cannot be fetched.
        SandboxStartError: No engine answers, or the image cannot be built.
    """
    url, _, wanted = place.rpartition("@")
    if not url or url.startswith("-") or not REVISION.fullmatch(wanted):
        raise AgentError(f"{place!r} names no revision; write it as URL@REV")
    async with _engine() as engine:
        await engine.sweep(LABEL, is_dead)
        with tempfile.TemporaryDirectory(prefix="proctor-agent-") as directory:
            source = Path(directory)
            revision = _check_out(url, wanted, source)
            say(f"proctor: building {url} at {revision}")
            name = f"{REPOSITORY}:{hashlib.sha256(url.encode()).hexdigest()[:8]}-{revision[:12]}"
            options = {"tag": name, "labels": {IMAGE_LABEL: "agent"}}
            await engine.build(source, options, lambda line: say(f"  {line}"))
        image_id = await engine.image_id(name)
    return AgentOrigin(image=name, image_id=image_id, git=url, revision=revision)


def _check_out(url: str, wanted: str, target: Path) -> str:
    """Put a repository's files at a revision into `target`; the commit."""
    _git("clone", "--quiet", "--no-checkout", "--", url, str(target))
    for name in (wanted, f"origin/{wanted}"):
        commit = _git(
            "-C", str(target), "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", check=False
        )
        if commit:
            _git("-C", str(target), "checkout", "--quiet", "--detach", commit)
            shutil.rmtree(target / ".git")
            return commit
    raise AgentError(f"{url} has no revision {wanted!r}")


def _git(*arguments: str, check: bool = True) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - git, with arguments that cannot be options
            [*GIT, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=GIT_WITHIN_S,
            check=False,
        )
    except FileNotFoundError as error:
        raise AgentError("git is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise AgentError(f"git took more than {GIT_WITHIN_S:.0f} s") from error
    if check and done.returncode:
        raise AgentError(f"git fails: {(done.stderr.strip().splitlines() or ['no word'])[-1]}")
    return done.stdout.strip()


@asynccontextmanager
async def _engine() -> AsyncGenerator[Engine]:
    engine = await Engine.connect()
    try:
        yield engine
    finally:
        await engine.close()
