"""Sandboxes on this machine: bubblewrap where it works, plain processes where it does not.

With bubblewrap: namespaces of its own (user, PID, network, IPC, UTS, mount), the helper as PID 1,
no capability, the system read-only, workspace and /tmp in memory, removed by the kernel with the
last process. Without: the same helper as an ordinary process in a temporary directory, which
keeps nothing from anybody; every result says ``isolation: none``.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import cache
from pathlib import Path

import anyio
from anyio.abc import ByteReceiveStream, Process

from proctor.sandbox_backends.base import Backend, Sandbox
from proctor.sandbox_backends.bubblewrap import Launch
from proctor.sandbox_backends.cgroup import control_group
from proctor.sandbox_backends.channel import (
    START_WITHIN_S,
    Channel,
    ChannelSandbox,
    start_helper,
)
from proctor.sandbox_backends.concurrency import alongside
from proctor.sandbox_backends.environment import LIMITS_ALWAYS, environment
from proctor.sandbox_backends.gpus import refuse_without_lease, refuse_without_memory_manager
from proctor.sandbox_backends.helper import BOOT_ARGS
from proctor.sandbox_backends.network import networked
from proctor.sandbox_backends.nvml import Gpu
from proctor.sandbox_backends.seccomp import filter_to_inherit
from proctor.sandbox_backends.squid import Egress
from proctor.schemas.errors import SandboxStartError
from proctor.schemas.sandbox import Overrides, SandboxInfo, SandboxSpec

STOP_WITHIN_S = 10.0
SCRATCH = "/tmp/output"  # noqa: S108 - in the sandbox, whose /tmp is its own


@cache
def bubblewrap_problem() -> str | None:
    """Why bubblewrap cannot be used here, found out by using it; None where it can."""
    if sys.platform != "linux":
        return "bubblewrap needs Linux"
    for program in Launch.programs():
        if shutil.which(program) is None:
            return f"{program} is not installed"
    try:
        with filter_to_inherit() as seccomp:
            launch = Launch(SandboxSpec(), seccomp)
            trial = subprocess.run(  # noqa: S603 - our own command line
                launch.command([launch.python, "-I", "-S", "-c", "pass"]),
                capture_output=True,
                stdin=subprocess.DEVNULL,
                pass_fds=(seccomp,),
                timeout=START_WITHIN_S,
                check=False,
            )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"bubblewrap does not start: {error}"
    except SandboxStartError as error:
        return str(error)
    said = trial.stderr.decode("utf-8", "replace").strip().splitlines()
    return (said or ["bubblewrap fails without a word"])[-1] if trial.returncode else None


def local_backend() -> Backend:
    """The best backend that this machine offers without a container engine."""
    return open_plain if bubblewrap_problem() else open_bubblewrap


@asynccontextmanager
async def open_bubblewrap(
    spec: SandboxSpec,
    gpus: Sequence[Gpu] = (),
    *,
    overrides: Overrides | None = None,
    egress: Egress | None = None,
) -> AsyncGenerator[Sandbox]:
    """Open a sandbox of namespaces.

    Args:
        spec: What the task asks for, as the operator's overrides changed it.
        gpus: Those whose device nodes it sees, and no other's.
        overrides: What the operator set, for the record.
        egress: The operator's settings of its network.
    """
    refuse_without_lease(spec, gpus)
    refuse_without_memory_manager(gpus)
    nodes = tuple(dict.fromkeys(node for gpu in gpus for node in gpu.nodes))
    with filter_to_inherit() as seccomp:
        async with control_group(spec) as join:
            launch = Launch(spec, seccomp, join, nodes)
            info = SandboxInfo(
                backend="local",
                isolation="namespaces",
                limits="full" if join else "partial",
                workdir=spec.workdir,
                scratch="/tmp",  # noqa: S108 - the sandbox's own
                python=launch.python,
                script_cwd=spec.script_cwd,
                network=spec.network,
                memory_bytes=spec.memory_bytes,
                foreground_s=spec.foreground_s,
                gpus=tuple(gpu.uuid for gpu in gpus),
                overrides=overrides.if_any() if overrides else None,
            )
            limits = LIMITS_ALWAYS if join else {**LIMITS_ALWAYS, **_limits_per_process(spec)}
            env = environment(launch.python, home=info.scratch, cpus=spec.cpus)
            if gpus:
                env |= _visible(info)
            command = launch.command([launch.python, *BOOT_ARGS])
            async with (
                _helper(command, SCRATCH, inherit=(seccomp,)) as channel,
                networked(channel, spec.network, egress or Egress()) as proxies,
            ):
                yield ChannelSandbox(channel, info, env={**env, **proxies}, rlimits=limits)


@asynccontextmanager
async def open_plain(
    spec: SandboxSpec, gpus: Sequence[Gpu] = (), *, overrides: Overrides | None = None
) -> AsyncGenerator[Sandbox]:
    """Open a "sandbox" of ordinary processes, for machines that offer nothing better.

    Nothing but the environment keeps it from other GPUs than `gpus`.
    """
    refuse_without_lease(spec, gpus)
    if spec.isolation_required:
        raise SandboxStartError(f"this task refuses a sandbox without isolation{_way_out()}")
    if spec.mounts:
        raise SandboxStartError(f"this task mounts data, which needs isolation{_way_out()}")
    with tempfile.TemporaryDirectory(prefix="proctor-", ignore_cleanup_errors=True) as place:
        root = _make_places(Path(place))
        info = SandboxInfo(
            backend="local",
            isolation="none",
            limits="partial",
            workdir=str(root / "workspace"),
            scratch=str(root / "home"),
            python=sys.executable,
            script_cwd=spec.script_cwd,
            network="internet",  # the host's own, whatever the task asks for
            memory_bytes=spec.memory_bytes,
            foreground_s=spec.foreground_s,
            gpus=tuple(gpu.uuid for gpu in gpus),
            overrides=overrides.if_any() if overrides else None,
        )
        limits = {**LIMITS_ALWAYS, **_limits_per_process(spec)}
        env = environment(sys.executable, home=info.scratch, cpus=spec.cpus) | _visible(info)
        async with _helper([sys.executable, *BOOT_ARGS], str(root / "output")) as channel:
            yield ChannelSandbox(channel, info, env=env, rlimits=limits)


def _way_out() -> str:
    """How to get isolation, or why bubblewrap gives none."""
    problem = bubblewrap_problem()
    if problem is None:
        return "; --backend bubblewrap has it"
    return f", and bubblewrap cannot be used here: {problem}; try --backend docker"


def _make_places(place: Path) -> Path:
    root = place.resolve()
    for name in ("workspace", "home"):
        (root / name).mkdir()
    return root


def _visible(info: SandboxInfo) -> dict[str, str]:
    """What tells CUDA which GPUs to use: an empty list means none, no list means all."""
    return {"CUDA_VISIBLE_DEVICES": ",".join(info.gpus)}


def _limits_per_process(spec: SandboxSpec) -> Mapping[str, int]:
    """What can be had where no control group limits the processes together.

    Their number is not limited: outside a user namespace, that would count everything else that
    this user runs.
    """
    return {"RLIMIT_DATA": spec.memory_bytes, "RLIMIT_FSIZE": spec.workspace_bytes}


@asynccontextmanager
async def _helper(
    command: Sequence[str], scratch: str, inherit: Sequence[int] = ()
) -> AsyncGenerator[Channel]:
    """Start a helper, and end it with everything that it runs."""
    try:
        process = await anyio.open_process(
            command,
            stderr=subprocess.PIPE,
            env={"PATH": os.environ.get("PATH", os.defpath)},
            cwd="/",
            pass_fds=inherit,
            start_new_session=True,
        )
    except OSError as error:
        raise SandboxStartError(f"cannot start a sandbox: {error}") from error
    assert process.stdin and process.stdout and process.stderr  # noqa: S101, PT018 - all are pipes
    try:
        channel = Channel(process.stdin, process.stdout)
        complaints = _Complaints()
        async with channel.reading(), complaints.read_from(process.stderr):
            await start_helper(channel, scratch, complaints)
            yield channel
    finally:
        with anyio.CancelScope(shield=True):
            await _stop(process)


class _Complaints:
    """The last of what a helper wrote to stderr: why it did not come up."""

    def __init__(self) -> None:
        self._last = b""

    @asynccontextmanager
    async def read_from(self, stream: ByteReceiveStream) -> AsyncGenerator[None]:
        async def read() -> None:
            with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
                async for data in stream:
                    self._last = (self._last + data)[-2000:]

        async with alongside(read):
            yield

    def __str__(self) -> str:
        return self._last.decode("utf-8", "replace").strip()


async def _stop(process: Process) -> None:
    """Close the helper's stdin, at which it kills everything and ends; kill it if it does not."""
    assert process.stdin is not None  # noqa: S101 - it is a pipe
    with anyio.move_on_after(STOP_WITHIN_S):
        with suppress(OSError, anyio.BrokenResourceError):
            await process.stdin.aclose()
        await process.wait()
    if process.returncode is None:
        process.kill()
    await process.aclose()
