"""Where agents' code runs: the options that several commands share, and what they stand for."""

import functools
import shutil
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from proctor.clients.cli.options import complain, usage_error, with_options

if TYPE_CHECKING:
    from proctor.sandbox_backends.base import Backend
    from proctor.sandbox_backends.gpus import Opener
    from proctor.schemas.sandbox import Overrides, SandboxSpec

PANEL = "Sandboxes"
NAMES = ("auto", "docker", "gpu", "bubblewrap", "none")


@dataclass(frozen=True)
class SandboxOptions:
    """What the command line says of sandboxes. The annotations are the options themselves."""

    backend: Annotated[
        str,
        typer.Option(
            metavar="auto|docker|gpu|bubblewrap|none|FILE.py:FUNCTION",
            rich_help_panel=PANEL,
            help="What sandboxes are made of; auto takes a container engine that answers, else "
            "bubblewrap, else plain processes, which isolate nothing.",
        ),
    ] = "auto"
    warm: Annotated[
        int,
        typer.Option(
            min=0, metavar="N", rich_help_panel=PANEL, help="Keep N sandboxes started in advance."
        ),
    ] = 0
    cpus: Annotated[
        float | None,
        typer.Option(
            min=0.01, rich_help_panel=PANEL, help="CPUs of each sandbox, over any task's."
        ),
    ] = None
    memory: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            rich_help_panel=PANEL,
            help="Memory of each sandbox, such as 8GiB, over any task's.",
        ),
    ] = None
    gpus: Annotated[
        int | None,
        typer.Option(
            min=0, metavar="N", rich_help_panel=PANEL, help="GPUs of each sandbox, over any task's."
        ),
    ] = None
    image: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            rich_help_panel=PANEL,
            help="The container image of each sandbox, over any task's; any with Python >= 3.9 as "
            "python3.",
        ),
    ] = None
    gpu_driver: Annotated[
        str | None,
        typer.Option(rich_help_panel=PANEL, help="The container engine's GPU driver: nvidia."),
    ] = None
    allow_private: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CIDR",
            rich_help_panel=PANEL,
            help="A private network that a task's network may lead to, such as a mirror's: "
            "10.1.2.3/32. May be given several times.",
        ),
    ] = None
    container_settings: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            rich_help_panel=PANEL,
            help="JSON, merged last into the settings of every container, as docker-py's "
            "containers.create names them.",
        ),
    ] = None

    def overrides(self) -> "Overrides":
        """What the operator sets over every task."""
        from pydantic import ValidationError

        from proctor.schemas.sandbox import Overrides

        memory = _bytes_of(self.memory) if self.memory else None
        settings = _settings_of(self.container_settings) if self.container_settings else {}
        try:
            return Overrides(
                cpus=self.cpus,
                memory_bytes=memory,
                gpus=1 if self.backend == "gpu" and self.gpus is None else self.gpus,
                image=self.image,
                gpu_driver=self.gpu_driver,
                allow_private=tuple(self.allow_private or ()),
                container=settings,
            )
        except ValidationError as error:
            problem = error.errors()[0]["msg"].removeprefix("Value error, ")
            usage_error(f"--allow-private: {problem}")


with_sandbox_options = with_options(SandboxOptions, "sandboxes")
"""Give a command the options of `SandboxOptions`, gathered in its argument ``sandboxes``."""


@asynccontextmanager
async def backend_of(
    options: SandboxOptions, specs: "Sequence[SandboxSpec]" = (), *, may_build: bool = True
) -> AsyncGenerator["Backend"]:
    """The backend that the options ask for; says plainly if it does not isolate.

    Args:
        options: The command line's.
        specs: What is kept warm, if anything is.
        may_build: Whether ``auto`` may take the time to build the image that containers need.
    """
    from proctor.sandbox_backends.pool import Pool

    overrides = options.overrides()
    async with AsyncExitStack() as stack:
        backend = await _chosen(stack, options, overrides, may_build=may_build)
        if options.warm:
            likely = [overrides.applied_to(spec) for spec in specs]
            pool = Pool.warming(backend, options.warm, likely)
            backend = await stack.enter_async_context(pool)
        yield lambda spec: backend(overrides.applied_to(spec))


def may_isolate(options: SandboxOptions) -> bool:
    """Whether sandboxes can be isolated, as far as that can be told before one is opened."""
    from proctor.sandbox_backends.local import bubblewrap_problem

    if options.backend != "auto":
        return options.backend != "none"
    return bubblewrap_problem() is None or any(map(shutil.which, ("docker", "podman")))


async def _chosen(
    stack: AsyncExitStack, options: SandboxOptions, overrides: "Overrides", *, may_build: bool
) -> "Backend":
    from proctor.sandbox_backends.gpus import GpuPool, on_gpus
    from proctor.sandbox_backends.starts import few_at_once

    if ":" in options.backend:
        return _own(options)
    if options.backend not in NAMES:
        usage_error(
            f"there is no backend {options.backend!r}; it is one of {', '.join(NAMES)}, "
            "or FILE.py:FUNCTION"
        )
    if overrides.gpus:
        await _check_gpus("--backend gpu" if options.backend == "gpu" else f"--gpus {options.gpus}")
    opener = await _opener(stack, options, overrides, may_build=may_build)
    return on_gpus(GpuPool(), few_at_once(opener))


async def _opener(
    stack: AsyncExitStack, options: SandboxOptions, overrides: "Overrides", *, may_build: bool
) -> "Opener":
    """What opens sandboxes, on GPUs that are leased already."""
    from proctor.schemas.errors import SandboxStartError

    if options.backend in ("bubblewrap", "none"):
        return _local(options, overrides)
    try:
        return await _docker(stack, overrides, must=options.backend == "docker", build=may_build)
    except SandboxStartError as error:
        if options.backend == "docker":
            usage_error(f"--backend docker cannot be had: {error}")
    return _local(options, overrides)


async def _check_gpus(wanted: str) -> None:
    """Refuse to start where no GPU can be leased, which `wanted` asks for."""
    from anyio.to_thread import run_sync

    from proctor.sandbox_backends.nvml import installed_gpus
    from proctor.schemas.errors import SandboxStartError

    try:
        if not await run_sync(installed_gpus):
            usage_error(f"{wanted} cannot be had: the NVIDIA driver here has no GPU to offer")
    except SandboxStartError as error:
        usage_error(f"{wanted} cannot be had: {error}")


async def _docker(
    stack: AsyncExitStack, overrides: "Overrides", *, must: bool, build: bool
) -> "Opener":
    """Containers, with their image at hand unless they are taken whatever it costs."""
    from proctor.sandbox_backends.docker import DockerBackend
    from proctor.sandbox_backends.squid import Egress
    from proctor.schemas.errors import SandboxStartError

    egress = Egress(allow_private=overrides.allow_private)
    connected = DockerBackend.connected(overrides, complain, egress)
    found = await stack.enter_async_context(connected)
    try:
        await found.prepare(overrides.image, may_build=build or must)
    except SandboxStartError as error:
        complain(f"proctor: an engine for containers answers, but is not used: {error}")
        raise
    return found


def _local(options: SandboxOptions, overrides: "Overrides") -> "Opener":
    """Bubblewrap, or plain processes if that is what was asked for or all that there is."""
    from proctor.sandbox_backends.cgroup import sweep
    from proctor.sandbox_backends.local import bubblewrap_problem, open_bubblewrap, open_plain
    from proctor.sandbox_backends.squid import Egress

    sweep()
    if overrides.container:
        usage_error("--container-settings go with containers, of which there are none here")
    if overrides.image:
        usage_error("--image goes with containers, of which there are none here")
    problem = None if options.backend == "none" else bubblewrap_problem()
    if options.backend != "none" and problem is None:
        egress = Egress(allow_private=overrides.allow_private)
        return functools.partial(open_bubblewrap, overrides=overrides, egress=egress)
    if options.backend in ("bubblewrap", "gpu"):
        usage_error(f"--backend {options.backend} cannot be had: {problem}")
    why = f" ({problem})" if problem else ""
    complain(
        f"proctor: WARNING: no isolation{why}: agents' code runs as plain processes of this user "
        "and can read and change what you can."
    )
    return functools.partial(open_plain, overrides=overrides)


def _own(options: SandboxOptions) -> "Backend":
    """A backend of the user's own."""
    from proctor.sandbox_backends.custom import load_backend

    try:
        return load_backend(options.backend)
    except ValueError as error:
        usage_error(f"--backend {options.backend}: {error}")


def _bytes_of(size: str) -> int:
    from pydantic import ByteSize, TypeAdapter, ValidationError

    try:
        return int(TypeAdapter(ByteSize).validate_python(size))
    except ValidationError:
        usage_error(f"--memory {size!r} is no size; write it as in 8GiB or 512MiB")


def _settings_of(path: Path) -> dict[str, Any]:
    from pydantic import TypeAdapter

    try:
        return TypeAdapter(dict[str, Any]).validate_json(path.read_bytes())
    except OSError as error:
        usage_error(f"--container-settings {path} cannot be read: {error.strerror}")
    except ValueError as error:
        usage_error(f"--container-settings {path} holds no JSON object: {error}")
