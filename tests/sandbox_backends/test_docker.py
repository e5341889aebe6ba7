"""What is particular to containers: how they are hardened, how they go, and what remains."""

import json
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import anyio
import docker
import pytest
from anyio.to_thread import run_sync

from proctor.sandbox_backends.base import Backend, Sandbox
from proctor.sandbox_backends.docker import AGENTS, DockerBackend, container_settings, merged
from proctor.sandbox_backends.engine import Engine
from proctor.sandbox_backends.image import built_images, image_name
from proctor.sandbox_backends.servers import LABEL, is_dead, this_server
from proctor.schemas.errors import SandboxLostError, SandboxStartError
from proctor.schemas.sandbox import MEBIBYTE, Mount, Overrides, SandboxSpec

pytestmark = pytest.mark.docker

SPEC = SandboxSpec()


@pytest.fixture
async def api(docker_backend: Backend) -> AsyncGenerator[Any]:
    """The engine, as somebody else would use it."""
    del docker_backend  # skips where there is none
    client = docker.DockerClient.from_env()
    yield client.api
    client.close()


async def say(sandbox: Sandbox, command: str) -> str:
    result = await sandbox.exec(["sh", "-c", command], timeout_s=60)
    return result.stdout.text() + result.stderr.text()


def ours(api: Any) -> list[dict[str, Any]]:
    return [
        api.inspect_container(each["Id"])
        for each in api.containers(all=True, filters={"label": f"{LABEL}={this_server()}"})
    ]


async def test_a_container_is_hardened_and_leaves_nothing(
    docker_backend: Backend, api: Any
) -> None:
    async with docker_backend(SPEC):
        (found,) = ours(api)
        host, config = found["HostConfig"], found["Config"]
    assert (host["CapDrop"], sorted(host["CapAdd"])) == (["ALL"], ["KILL", "SETGID", "SETUID"])
    assert (host["NetworkMode"], host["ReadonlyRootfs"], host["Privileged"]) == (
        "none",
        True,
        False,
    )
    assert "no-new-privileges" in host["SecurityOpt"]
    assert any(option.startswith("seccomp=") for option in host["SecurityOpt"])
    assert host["LogConfig"]["Type"] == "none"
    assert (host["Memory"], host["MemorySwap"]) == (SPEC.memory_bytes, SPEC.memory_bytes)
    assert host["PidsLimit"] == SPEC.pids
    assert not found["Mounts"]
    assert not host["PortBindings"]
    assert config["User"] == "0:0"
    assert ours(api) == []


async def test_the_helper_has_three_capabilities_and_the_agent_none(
    docker_backend: Backend,
) -> None:
    async with docker_backend(SPEC) as sandbox:
        helper = await say(sandbox, "grep -E '^(Uid|CapEff|CapPrm)' /proc/1/status")
        agent = await say(sandbox, "grep -E '^(Uid|CapEff|CapPrm)' /proc/self/status")
    assert helper.split()[1:3] == ["0", "0"]
    assert helper.count("00000000000000e0") == 2  # KILL, SETGID, SETUID
    ids = agent.split()[1:5]
    assert len(set(ids)) == 1
    assert int(ids[0]) in AGENTS
    assert agent.count("0000000000000000") == 2


async def test_declared_data_is_there_and_read_only(
    docker_backend: Backend, tmp_path: Path
) -> None:
    await run_sync(tmp_path.chmod, 0o755)
    (tmp_path / "train.csv").write_text("x,y\n1,2\n")
    spec = SPEC.model_copy(update={"mounts": (Mount(source=str(tmp_path), target="/data"),)})
    async with docker_backend(spec) as sandbox:
        assert await say(sandbox, "cat /data/train.csv") == "x,y\n1,2\n"
        assert "Read-only" in await say(sandbox, "touch /data/new; rm /data/train.csv")
    assert (tmp_path / "train.csv").exists()


async def test_a_container_killed_from_outside_ends_its_session_alone(
    docker_backend: Backend, api: Any
) -> None:
    async with docker_backend(SPEC) as neighbour:
        (before,) = ours(api)
        async with docker_backend(SPEC) as sandbox, anyio.create_task_group() as tasks:
            (victim,) = (each for each in ours(api) if each["Id"] != before["Id"])
            tasks.start_soon(run_sync, api.kill, victim["Id"])
            with anyio.fail_after(60), pytest.raises(SandboxLostError, match="from outside"):
                await sandbox.exec(["sleep", "30"], timeout_s=40)
        assert await say(neighbour, "echo alive") == "alive\n"
    assert ours(api) == []


async def test_an_image_that_cannot_be_had_is_named(docker_backend: Backend) -> None:
    spec = SPEC.model_copy(update={"image": "127.0.0.1:1/no/such:image"})
    with pytest.raises(SandboxStartError, match="no/such"):
        async with docker_backend(spec):
            pass


async def test_an_image_without_python_says_so(docker_backend: Backend, api: Any) -> None:
    await run_sync(
        lambda: api.import_image_from_data(b"\0" * 10240, repository="proctor-test-empty")
    )
    try:
        spec = SPEC.model_copy(update={"image": "proctor-test-empty:latest"})
        with pytest.raises(SandboxStartError, match="python3"):
            async with docker_backend(spec):
                pass
    finally:
        await run_sync(api.remove_image, "proctor-test-empty:latest")
    assert ours(api) == []


async def test_a_build_whose_command_fails_says_its_last_words(docker_backend: Backend) -> None:
    del docker_backend
    recipe = f"FROM {image_name()}\nRUN echo no room >&2; exit 28\n".encode()
    engine = await Engine.connect()
    try:
        with pytest.raises(SandboxStartError, match=r"be built: .* 28\nno room$"):
            await engine.build({"Dockerfile": recipe}, {"network_mode": "none"}, lambda _: None)
    finally:
        await engine.close()


async def test_a_limit_that_the_engine_refuses_is_the_operators_to_mend(
    docker_backend: Backend,
) -> None:
    tiny = SPEC.model_copy(update={"memory_bytes": 1024})
    with pytest.raises(SandboxStartError, match="memory"):
        async with docker_backend(tiny):
            pass


async def test_overrides_come_last_and_are_stamped(docker_backend: Backend, api: Any) -> None:
    del docker_backend
    wanted = Overrides(container={"hostname": "odd", "tmpfs": {"/scratch": "size=1m"}})
    async with (
        DockerBackend.connected(wanted) as backend,
        backend(SPEC) as sandbox,
    ):
        (found,) = ours(api)
        assert sandbox.info.overrides == wanted
        assert await say(sandbox, "hostname") == "odd\n"
    assert set(found["HostConfig"]["Tmpfs"]) == {"/workspace", "/tmp", "/scratch"}  # noqa: S108


def test_settings_are_merged_at_every_depth() -> None:
    below = {"a": {"b": {"c": 1, "d": 2}, "e": [1]}, "f": 1}
    assert merged(below, {"a": {"b": {"c": 3}, "e": [2]}, "g": 4}) == {
        "a": {"b": {"c": 3, "d": 2}, "e": [2]},
        "f": 1,
        "g": 4,
    }


def test_nothing_of_a_spec_can_loosen_a_container() -> None:
    spec = SandboxSpec(
        network="internet", image="other:image", memory_bytes=MEBIBYTE * 64, cpus=2, gpus=1
    )
    settings = container_settings(spec, "other:image", AGENTS[0])
    assert settings["network_mode"] == "none"
    assert settings["cap_drop"] == ["ALL"]
    assert settings["read_only"] is True
    assert "privileged" not in settings


KILLED_SERVER = """
import anyio
from proctor.sandbox_backends.docker import DockerBackend
from proctor.schemas.sandbox import SandboxSpec

async def main():
    async with DockerBackend.connected() as backend, backend(SandboxSpec()) as sandbox:
        await sandbox.exec(["sh", "-c", "trap '' TERM; sleep 300 >/dev/null 2>&1 &"], timeout_s=20)
        print(await sandbox.fetch("etc/hostname", max_bytes=9, root="/"), flush=True)
        await anyio.sleep(60)

anyio.run(main)
"""


async def test_the_containers_of_a_killed_server_go(docker_backend: Backend, api: Any) -> None:
    del docker_backend
    before = {each["Id"] for each in api.containers(all=True)}
    process = await anyio.open_process(
        [sys.executable, "-c", KILLED_SERVER], stdout=subprocess.PIPE
    )
    assert process.stdout
    with anyio.fail_after(60):
        assert b"sandbox" in await process.stdout.receive()
        assert {each["Id"] for each in api.containers(all=True)} - before
        process.send_signal(signal.SIGKILL)
        await process.wait()
        while {each["Id"] for each in api.containers(all=True)} - before:
            await anyio.sleep(0.1)
    await process.aclose()


async def test_a_sweep_removes_the_containers_of_dead_servers_alone(
    docker_backend: Backend, api: Any
) -> None:
    here = json.loads(this_server())
    dead = json.dumps({**here, "pid": 2**22 + 1})
    elsewhere = json.dumps({**here, "machine": "another"})
    made = {
        name: api.create_container(image_name(), ["true"], labels={LABEL: label})["Id"]
        for name, label in (("dead", dead), ("elsewhere", elsewhere), ("odd", "{}"))
    }
    try:
        async with docker_backend(SPEC) as sandbox, DockerBackend.connected():
            assert await say(sandbox, "echo alive") == "alive\n"
        left = {each["Id"] for each in api.containers(all=True)}
        assert made["dead"] not in left
        assert {made["elsewhere"], made["odd"]} <= left
    finally:
        for name in ("elsewhere", "odd"):
            api.remove_container(made[name])


def test_a_living_server_is_never_taken_for_dead() -> None:
    here = json.loads(this_server())
    assert not is_dead(this_server())
    assert is_dead(json.dumps({**here, "started": "1"}))
    assert is_dead(json.dumps({**here, "boot": "an earlier one"}))
    assert not is_dead(json.dumps({**here, "processes": "pid:[1]", "pid": 1}))
    assert not is_dead("not ours")


def test_a_server_that_cannot_be_looked_at_is_not_taken_for_dead() -> None:
    """Such as by one that is out of open files, which cannot read when a process started."""
    looks = (
        "import resource, sys\n"
        "from proctor.sandbox_backends.servers import is_dead, this_server\n"
        "this_server()\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))\n"
        "sys.exit(is_dead(sys.argv[1]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", looks, this_server()], capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")


async def test_without_an_engine_the_error_says_so(proctor_command: list[str]) -> None:
    nowhere = {"DOCKER_HOST": "unix:///no/such/engine.sock"}
    ended = await anyio.run_process([*proctor_command, "image", "list"], env=nowhere, check=False)
    assert ended.returncode == 1
    assert b"no container engine answers" in ended.stderr


async def test_the_image_in_use_is_listed(docker_backend: Backend) -> None:
    del docker_backend
    engine = await Engine.connect()
    try:
        assert [image.current for image in await built_images(engine)].count(True) == 1
    finally:
        await engine.close()
