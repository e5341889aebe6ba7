"""Sandboxes in containers, of Docker or of Podman's Docker-compatible socket: one container each.

The helper is the container's PID 1 and is spoken to over its attached stream: no exec, no port,
no mount but the task's own data. It is uid 0 with three capabilities; all of the agent's is
another user with none. When the server dies, the engine closes that stream, at which the helper
ends and the engine removes the container.
"""

import itertools
import random
import secrets
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias, cast

import anyio

from proctor.sandbox_backends.base import Sandbox
from proctor.sandbox_backends.channel import Channel, ChannelSandbox, start_helper
from proctor.sandbox_backends.engine import Engine
from proctor.sandbox_backends.environment import LIMITS_ALWAYS, environment
from proctor.sandbox_backends.gpus import refuse_without_lease
from proctor.sandbox_backends.helper import BOOT_ARGS
from proctor.sandbox_backends.image import Recipe, build_image, image_name
from proctor.sandbox_backends.network import networked
from proctor.sandbox_backends.nvml import Gpu
from proctor.sandbox_backends.servers import LABEL, is_dead, this_server
from proctor.sandbox_backends.squid import Egress
from proctor.schemas.errors import SandboxStartError
from proctor.schemas.sandbox import Mount, Overrides, SandboxInfo, SandboxSpec

Settings: TypeAlias = Mapping[str, Any]
"""Of a container, as docker-py's ``containers.create`` takes them."""
AGENTS = range(10001, 11001)
"""The users that agents are, in turn, all called ``agent`` in our image: the kernel counts some of
what a user holds on the whole machine, inotify's instances for one. Low enough to exist where an
engine maps users, and none that a host gives to a person."""
AGENT_GROUP = 10001
HELPER_RIGHTS = ("SETUID", "SETGID", "KILL")
SCRATCH = "/tmp"  # noqa: S108 - in the sandbox, whose /tmp is its own
TMP_BYTES = 1 << 30
SHARED_MEMORY_BYTES = 1 << 28
FILES_AT_MOST = 1 << 18
"""Inodes of each place that can be written to; each takes the kernel about a kilobyte."""
SECCOMP = Path(__file__).resolve().parent / "etc" / "seccomp.json"
DESCRIPTORS = 8192
"""Of each process; the helper holds a few for every command that runs."""
PROCESSES = 32_768
"""Of the agents' user on the whole machine; each sandbox has a limit of its own."""
CPU_SHARES = 256

_users = itertools.cycle(random.sample(AGENTS, len(AGENTS)))


class DockerBackend:
    """Opens sandboxes in containers of one engine."""

    def __init__(
        self,
        engine: Engine,
        overrides: Overrides | None = None,
        *,
        egress: Egress | None = None,
        say: Callable[[str], object] = lambda _: None,
    ) -> None:
        """Make a backend.

        Args:
            engine: What runs the containers.
            overrides: The operator's settings.
            egress: The operator's settings of networks.
            say: Told of the progress where an image must be built or fetched.
        """
        self._engine = engine
        self._overrides = overrides or Overrides()
        self._egress = egress or Egress()
        self._say = say
        self._fetching = anyio.Lock()
        self._images: set[str] = set()

    @classmethod
    @asynccontextmanager
    async def connected(
        cls,
        overrides: Overrides | None = None,
        say: Callable[[str], object] = lambda _: None,
        egress: Egress | None = None,
    ) -> AsyncGenerator["DockerBackend"]:
        """Find an engine, and remove what dead servers left in it.

        Raises:
            SandboxStartError: No engine answers.
        """
        engine = await Engine.connect()
        try:
            await engine.sweep(LABEL, is_dead)
            yield cls(engine, overrides, egress=egress, say=say)
        finally:
            await engine.close()

    async def prepare(self, image: str | None = None, *, may_build: bool = True) -> str:
        """Have an image at hand: Proctor's own is built, any other fetched, where it is missing.

        Args:
            image: Its name; None for Proctor's own.
            may_build: Whether there is time for that.

        Raises:
            SandboxStartError: It cannot be had.
        """
        name = image or image_name()
        async with self._fetching:
            if name not in self._images and not await self._engine.has_image(name):
                if not may_build:
                    how = "fetch it first" if image else "'proctor image build' makes it"
                    raise SandboxStartError(f"the image {name} is not there; {how}")
                if image is None:
                    self._say(f"building the sandbox image {name}; this happens once")
                    await build_image(self._engine, Recipe(), self._say)
                else:
                    self._say(f"fetching the image {name}")
                    await self._engine.pull(name)
            self._images.add(name)
        return name

    @asynccontextmanager
    async def __call__(
        self, spec: SandboxSpec, gpus: Sequence[Gpu] = ()
    ) -> AsyncGenerator[Sandbox]:
        """Open a sandbox; `gpus` are those that it alone may use."""
        refuse_without_lease(spec, gpus)
        image = await self.prepare(spec.image)
        user = next(_users)
        wanted = self._settings(spec, image, gpus, user)
        async with self._engine.container(wanted) as container:

            async def why_gone() -> str:
                return await self._engine.fate(container.id)

            channel = Channel(container.stdin, container.stdout, why_gone)
            async with channel.reading():
                found = await start_helper(
                    channel, f"{SCRATCH}/output", container.complaints, (user, AGENT_GROUP)
                )
                info = SandboxInfo(
                    backend="docker",
                    isolation="container",
                    limits="full",
                    workdir=spec.workdir,
                    scratch=SCRATCH,
                    python=found.python,
                    script_cwd=spec.script_cwd,
                    memory_bytes=spec.memory_bytes,
                    foreground_s=spec.foreground_s,
                    network=spec.network,
                    image=f"{image}@{container.image}",
                    gpus=tuple(gpu.uuid for gpu in gpus),
                    overrides=self._overrides.if_any(),
                )
                env = environment(found.python, home=SCRATCH, cpus=spec.cpus, path=found.path)
                async with networked(channel, spec.network, self._egress) as proxies:
                    env = {**env, **proxies}
                    yield ChannelSandbox(channel, info, env=env, rlimits=LIMITS_ALWAYS)

    def _settings(
        self, spec: SandboxSpec, image: str, gpus: Sequence[Gpu], user: int
    ) -> dict[str, Any]:
        settings = container_settings(spec, image, user)
        if self._engine.is_podman:
            settings = merged(settings, _podmans_own(spec))
        if gpus:
            request = {
                "driver": self._overrides.gpu_driver or "nvidia",
                "device_ids": [gpu.uuid for gpu in gpus],
                "capabilities": [["gpu"]],
            }
            settings["device_requests"] = [request]
        return merged(settings, self._overrides.container)


def container_settings(spec: SandboxSpec, image: str, user: int) -> dict[str, Any]:
    """A hardened container for `spec`, as docker-py's ``containers.create`` takes it."""
    own = f"rw,nosuid,nodev,exec,uid={user},gid={AGENT_GROUP},nr_inodes={FILES_AT_MOST}"
    settings: dict[str, Any] = {
        "image": image,
        "name": f"proctor-{secrets.token_hex(6)}",
        "entrypoint": ["python3", *BOOT_ARGS],
        "command": [],
        "user": "0:0",
        "working_dir": "/",
        "hostname": "sandbox",
        "labels": {LABEL: this_server()},
        "stdin_open": True,
        "stop_signal": "SIGKILL",  # the helper heeds no other; an engine that ends would wait
        "auto_remove": True,
        "network_mode": "none",
        "ipc_mode": "private",
        "cap_drop": ["ALL"],
        "cap_add": list(HELPER_RIGHTS),
        "security_opt": ["no-new-privileges", f"seccomp={SECCOMP.read_text()}"],
        "read_only": True,
        "tmpfs": {
            spec.workdir: f"{own},mode=755,size={spec.workspace_limit}",
            SCRATCH: f"{own},mode=1777,size={_tmp_bytes(spec)}",
        },
        "shm_size": min(SHARED_MEMORY_BYTES, spec.memory_bytes // 8),
        "mounts": [_read_only(mount) for mount in spec.mounts],
        "mem_limit": spec.memory_bytes,
        "memswap_limit": spec.memory_bytes,
        "pids_limit": spec.pids,
        "cpu_shares": CPU_SHARES,
        "ulimits": [{"Name": "nofile", "Soft": DESCRIPTORS, "Hard": DESCRIPTORS}],
        "log_config": {"type": "none"},
    }
    if spec.cpus:
        settings["nano_cpus"] = int(spec.cpus * 1e9)
    return settings


def _read_only(mount: Mount) -> dict[str, Any]:
    """A mount as the engine's API takes it; unlike a volume, it must be there."""
    return {"Type": "bind", "Source": mount.source, "Target": mount.target, "ReadOnly": True}


def _tmp_bytes(spec: SandboxSpec) -> int:
    return min(TMP_BYTES, spec.memory_bytes // 4)  # in-memory files alone must never exhaust it


def _podmans_own(spec: SandboxSpec) -> dict[str, Any]:
    """What Podman takes otherwise: a profile by its path, and no owner of in-memory files.

    Unless told, it raises a limit on processes beyond what every machine's root may allow.
    """
    own = "rw,nosuid,nodev,exec,mode=1777"
    return {
        "security_opt": ["no-new-privileges", f"seccomp={SECCOMP}"],
        "tmpfs": {
            spec.workdir: f"{own},size={spec.workspace_limit}",
            SCRATCH: f"{own},size={_tmp_bytes(spec)}",
        },
        "ulimits": [
            {"Name": "nofile", "Soft": DESCRIPTORS, "Hard": DESCRIPTORS},
            {"Name": "nproc", "Soft": PROCESSES, "Hard": PROCESSES},
        ],
    }


def merged(settings: Settings, over: Settings) -> dict[str, Any]:
    """`settings` with `over` laid on it, dictionary by dictionary."""
    result = dict(settings)
    for name, value in over.items():
        below: Any = result.get(name)
        both = isinstance(below, dict) and isinstance(value, dict)
        result[name] = merged(cast("Settings", below), cast("Settings", value)) if both else value
    return result
