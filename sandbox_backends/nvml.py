"""The GPUs of this machine, as NVIDIA's management library tells: the one file that knows it.

A GPU that is partitioned (MIG) is offered as its slices. What is asked of the library is
`Library`; the real one is imported late, as that takes its time.
"""

# ruff: noqa: D102, N802 - the library's names

import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Protocol, TypeAlias, cast

from proctor.schemas.base import Value
from proctor.schemas.errors import SandboxStartError

MEMORY_MANAGER = "nvidia-uvm"
"""The node without which no CUDA program starts; a machine may not have made it since it booted."""
SHARED_NODES = ("nvidiactl", MEMORY_MANAGER, "nvidia-uvm-tools")
CAPABILITIES = "proc/driver/nvidia/capabilities"

Handle: TypeAlias = object
"""What the library calls a device by."""


class Gpu(Value):
    """A GPU, or a slice of one, that a sandbox can have for itself."""

    uuid: str
    name: str
    memory_free_bytes: int
    """0 where it has no memory of its own."""
    memory_bytes: int
    nodes: tuple[Path, ...] = ()
    """The device nodes that its user needs, those that all GPUs share among them."""


class Memory(Protocol):
    """How much a device has, in bytes."""

    @property
    def free(self) -> int: ...
    @property
    def total(self) -> int: ...


class Library(Protocol):
    """What is used of ``pynvml``, under its names."""

    @property
    def NVMLError(self) -> type[Exception]: ...
    def nvmlInit(self) -> object: ...
    def nvmlShutdown(self) -> object: ...
    def nvmlDeviceGetCount(self) -> int: ...
    def nvmlDeviceGetHandleByIndex(self, index: int, /) -> Handle: ...
    def nvmlDeviceGetUUID(self, handle: Handle, /) -> str: ...
    def nvmlDeviceGetName(self, handle: Handle, /) -> str: ...
    def nvmlDeviceGetMinorNumber(self, handle: Handle, /) -> int: ...
    def nvmlDeviceGetMemoryInfo(self, handle: Handle, /) -> Memory: ...
    def nvmlDeviceGetMigMode(self, handle: Handle, /) -> list[int]: ...
    def nvmlDeviceGetMaxMigDeviceCount(self, handle: Handle, /) -> int: ...
    def nvmlDeviceGetMigDeviceHandleByIndex(self, handle: Handle, index: int, /) -> Handle: ...
    def nvmlDeviceGetGpuInstanceId(self, handle: Handle, /) -> int: ...
    def nvmlDeviceGetComputeInstanceId(self, handle: Handle, /) -> int: ...


ABSENT = (9, 12)
"""NVML's codes for a driver that is not loaded, and for a library that is not there."""
UNKNOWN_TO_IT = (3, 13)
"""NVML's codes for what a GPU, or the library, does not support."""


def installed_gpus(library: Library | None = None, root: Path = Path("/")) -> tuple[Gpu, ...]:
    """Every GPU and slice of this machine, whoever uses it now. Blocks for up to a second.

    Args:
        library: What to ask; ``pynvml`` by default.
        root: Below which the system's ``dev`` and ``proc`` lie.

    Raises:
        SandboxStartError: There is no driver, or it does not answer.
    """
    library = library or _pynvml()
    with _asking(library):
        count = library.nvmlDeviceGetCount()
        handles = [library.nvmlDeviceGetHandleByIndex(index) for index in range(count)]
        return tuple(gpu for each in handles for gpu in _offered(library, each, root))


def _pynvml() -> Library:
    """The real one, which takes 50 ms to import: only those wait for it who want a GPU."""
    return cast("Library", import_module("pynvml"))


@contextmanager
def _asking(library: Library) -> Generator[None]:
    """Have the library open, and say whatever goes wrong as an error of ours."""
    try:
        library.nvmlInit()
    except library.NVMLError as error:
        if getattr(error, "value", None) in (*ABSENT, None):
            raise SandboxStartError(
                f"no NVIDIA driver is here: {error}; install one, such that nvidia-smi works"
            ) from error
        raise SandboxStartError(f"the NVIDIA driver cannot be asked: {error}") from error
    try:
        yield
    except library.NVMLError as error:
        raise SandboxStartError(f"the NVIDIA driver fails: {error}") from error
    finally:
        with suppress(library.NVMLError):
            library.nvmlShutdown()


def _offered(library: Library, handle: Handle, root: Path) -> Iterator[Gpu]:
    """A whole GPU, or its slices."""
    minor = library.nvmlDeviceGetMinorNumber(handle)
    own = [root / "dev" / name for name in (f"nvidia{minor}", *SHARED_NODES)]
    if not _is_partitioned(library, handle):
        yield _described(library, handle, own)
        return
    for index in range(library.nvmlDeviceGetMaxMigDeviceCount(handle)):
        with suppress(library.NVMLError):  # no slice of that number
            piece = library.nvmlDeviceGetMigDeviceHandleByIndex(handle, index)
            yield _described(
                library, piece, [*own, *_capability_nodes(library, piece, minor, root)]
            )


def _is_partitioned(library: Library, handle: Handle) -> bool:
    try:
        return library.nvmlDeviceGetMigMode(handle)[0] == 1
    except library.NVMLError as error:
        if getattr(error, "value", None) in (*UNKNOWN_TO_IT, None):  # most GPUs cannot be
            return False
        raise  # a GPU in pieces must not be offered whole


def _described(library: Library, handle: Handle, nodes: list[Path]) -> Gpu:
    free, total = 0, 0
    with suppress(library.NVMLError):  # one that uses the machine's memory has none to tell of
        memory = library.nvmlDeviceGetMemoryInfo(handle)
        free, total = memory.free, memory.total
    return Gpu(
        uuid=library.nvmlDeviceGetUUID(handle),
        name=library.nvmlDeviceGetName(handle),
        memory_free_bytes=free,
        memory_bytes=total,
        nodes=tuple(node for node in nodes if node.exists()),
    )


def _capability_nodes(library: Library, piece: Handle, minor: int, root: Path) -> Iterator[Path]:
    """What opens a slice to its user.

    Source: https://docs.nvidia.com/datacenter/tesla/mig-user-guide/ (device nodes).
    """
    instance = library.nvmlDeviceGetGpuInstanceId(piece)
    compute = library.nvmlDeviceGetComputeInstanceId(piece)
    place = root / CAPABILITIES / f"gpu{minor}" / "mig" / f"gi{instance}"
    for access in (place / "access", place / f"ci{compute}" / "access"):
        with suppress(OSError):
            if number := re.search(r"DeviceFileMinor:\s*(\d+)", access.read_text()):
                yield root / "dev" / "nvidia-caps" / f"nvidia-cap{number[1]}"
