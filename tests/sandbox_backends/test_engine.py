"""A container engine that fails: it restarts under its sandboxes, or its disk is full."""

import gc
import os
import secrets
import signal
import socket
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest
from anyio.to_thread import run_sync
from tests.conftest import REQUIRE_DOCKER, Processes, need
from tests.sandbox_backends.own_engine import IMAGE, OwnEngine, own_engine, own_engine_problem

from proctor.sandbox_backends.base import Sandbox
from proctor.sandbox_backends.docker import DockerBackend
from proctor.sandbox_backends.engine import Engine
from proctor.sandbox_backends.image import Recipe, build_image
from proctor.schemas.errors import SandboxLostError, SandboxStartError
from proctor.schemas.sandbox import Overrides, SandboxSpec

pytestmark = [
    pytest.mark.docker,
    # docker-py leaves a socket behind wherever nobody listens
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

SPEC = SandboxSpec(image=IMAGE)
AT_ONCE_S = 5.0
"""Less than the 10 s that an engine grants a container to end by itself."""


@pytest.fixture
def options() -> tuple[str, ...]:
    """Of dockerd."""
    return ()


@pytest.fixture
async def engine(
    options: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[OwnEngine]:
    """An engine that nothing else uses, as the one that backends find."""
    need(own_engine_problem(), REQUIRE_DOCKER)
    async with own_engine(*options) as running:
        monkeypatch.setenv("DOCKER_HOST", running.url)
        yield running
    gc.collect()


async def is_alive(sandbox: Sandbox) -> bool:
    return (await sandbox.exec(["echo", "alive"], timeout_s=20)).stdout.text() == "alive\n"


async def is_lost(sandbox: Sandbox, marker: str) -> None:
    with pytest.raises(SandboxLostError, match=r"engine is gone|from outside"):
        await sandbox.exec(["sh", "-c", "sleep 60; :", marker], timeout_s=90)


@pytest.mark.parametrize("options", [(), ("--live-restore",)], ids=["plain", "live-restore"])
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["ended", "killed"])
async def test_an_engine_that_restarts_ends_its_sessions_at_once_and_serves_new_ones(
    engine: OwnEngine, processes: Processes, how: signal.Signals
) -> None:
    marker = secrets.token_hex(8)
    async with DockerBackend.connected(engine.overrides) as backend:
        async with (
            backend(SPEC) as sandbox,
            backend(SPEC) as neighbour,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(is_lost, sandbox, marker)
            tasks.start_soon(is_lost, neighbour, f"{marker}-too")
            await processes.appear(marker)
            await processes.appear(f"{marker}-too")
            tasks.cancel_scope.deadline = anyio.current_time() + AT_ONCE_S
            await engine.end(how)
        assert not tasks.cancel_scope.cancelled_caught
        with pytest.raises(SandboxStartError, match="does not answer"):
            async with backend(SPEC):
                pass
        await engine.start()
        async with backend(SPEC) as sandbox:
            assert await is_alive(sandbox)
            assert len(await engine.containers()) == 1
        assert await engine.containers() == []
    await processes.vanish(marker)


async def test_what_could_not_be_removed_from_an_engine_goes_once_it_is_back(
    engine: OwnEngine,
) -> None:
    async def lose_one(backend: DockerBackend) -> None:
        async with backend(SPEC):
            await engine.end(signal.SIGKILL)
        await engine.start()
        assert len(await engine.containers()) == 1

    kept = Overrides(container={**engine.overrides.container, "auto_remove": False})
    async with DockerBackend.connected(kept) as backend:
        await lose_one(backend)
        async with backend(SPEC) as sandbox:
            assert await is_alive(sandbox)
            assert len(await engine.containers()) == 1
        assert await engine.containers() == []
        await lose_one(backend)
    assert await engine.containers() == []


async def test_a_session_is_lost_at_once_though_systemd_holds_the_dead_engines_socket(
    engine: OwnEngine,
) -> None:
    """Who connects is accepted, and waits until the engine is back."""
    async with DockerBackend.connected(engine.overrides) as backend, backend(SPEC) as sandbox:
        await run_sync(engine.socket.rename, engine.socket.with_name("away"))
        with socket.socket(socket.AF_UNIX) as held:
            held.bind(str(engine.socket))
            held.listen()
            await engine.end(signal.SIGKILL)
            with anyio.fail_after(AT_ONCE_S), pytest.raises(SandboxLostError):
                await sandbox.exec(["true"], timeout_s=20)


async def test_an_engine_that_dies_in_the_midst_of_a_build_is_named(engine: OwnEngine) -> None:
    steps = (f"LABEL step{number}=1" for number in range(100))
    recipe = "\n".join((f"FROM {IMAGE}", *steps)).encode()
    said: list[str] = []
    asked = await Engine.connect()
    try:
        async with anyio.create_task_group() as tasks:

            def kill_it_once(text: str) -> None:
                if not said:
                    tasks.start_soon(engine.end, signal.SIGKILL)
                said.append(text)

            with pytest.raises(SandboxStartError, match=r"built: the container engine does not"):
                await asked.build({"Dockerfile": recipe}, {}, kill_it_once)
    finally:
        await asked.close()


@contextmanager
def full(place: Path, left_bytes: int = 0) -> Generator[None]:
    """Take what a file system has left, but for a little."""
    filler = place / "filler"
    found = os.statvfs(place)
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, found.f_bavail * found.f_frsize - left_bytes)
    yield
    filler.unlink()


@pytest.mark.parametrize("left_bytes", [0, 16 << 10, 64 << 10])
async def test_on_a_full_disk_no_sandbox_starts_and_nothing_is_left(
    engine: OwnEngine, left_bytes: int
) -> None:
    async with DockerBackend.connected(engine.overrides) as backend:
        with full(engine.data, left_bytes):
            with pytest.raises(SandboxStartError, match="no space left on device"):
                async with backend(SPEC):
                    pass
            assert await engine.containers() == []
        async with backend(SPEC) as sandbox:
            with full(engine.data):
                assert await is_alive(sandbox)


@pytest.mark.parametrize("left_bytes", [0, 16 << 10])
async def test_on_a_full_disk_no_image_is_built_and_the_error_says_why(
    engine: OwnEngine, left_bytes: int
) -> None:
    asked = await Engine.connect()
    try:
        with full(engine.data, left_bytes):
            with pytest.raises(SandboxStartError, match=r"built: .*no space left on device"):
                await build_image(asked, Recipe(base=IMAGE), lambda _: None)
            assert await engine.containers() == []
    finally:
        await asked.close()


async def test_a_build_that_fails_leaves_no_container(engine: OwnEngine) -> None:
    asked = await Engine.connect()
    try:
        with pytest.raises(SandboxStartError, match=r"built: .*/bin/sh"):
            await build_image(asked, Recipe(base=IMAGE), lambda _: None)
        assert await engine.containers() == []
    finally:
        await asked.close()
