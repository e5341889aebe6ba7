"""Leases of GPUs, with a fake at the boundary to NVIDIA's library and everything else real."""

# ruff: noqa: N802 - the library's names

import os
import signal
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import Process

from proctor.sandbox_backends.base import Sandbox
from proctor.sandbox_backends.docker import DockerBackend
from proctor.sandbox_backends.gpus import LOOK_AGAIN_S, GpuPool, on_gpus
from proctor.sandbox_backends.local import bubblewrap_problem, open_bubblewrap, open_plain
from proctor.sandbox_backends.nvml import Gpu, installed_gpus
from proctor.sandbox_backends.pool import Pool
from proctor.schemas.errors import SandboxStartError
from proctor.schemas.sandbox import Overrides, SandboxSpec

GIBIBYTE = 1 << 30
ON_ONE = SandboxSpec(gpus=1)


class FakeError(Exception):
    """What the library raises."""


@dataclass
class FakeMemory:
    free: int
    total: int = 80 * GIBIBYTE


@dataclass
class FakeDevice:
    """A GPU, or a slice of one."""

    uuid: str
    minor: int = 0
    free: int = GIBIBYTE
    instance: int = 0
    slices: "list[FakeDevice | None] | None" = None
    shares_memory: bool = False


@dataclass
class FakeNvml:
    """NVIDIA's library, of a machine with these GPUs."""

    devices: Sequence[Any] = ()
    problem: str | None = None
    open: int = 0
    NVMLError: type[Exception] = field(default=FakeError)

    def nvmlInit(self) -> None:
        if self.problem:
            raise FakeError(self.problem)
        self.open += 1

    def nvmlShutdown(self) -> None:
        self.open -= 1

    def nvmlDeviceGetCount(self) -> int:
        return len(self.devices)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Any:
        assert self.open == 1
        return self.devices[index]

    def nvmlDeviceGetUUID(self, handle: Any) -> str:
        return str(handle.uuid)

    def nvmlDeviceGetName(self, handle: Any) -> str:
        return f"Fake {handle.uuid}"

    def nvmlDeviceGetMinorNumber(self, handle: Any) -> int:
        return int(handle.minor)

    def nvmlDeviceGetMemoryInfo(self, handle: Any) -> FakeMemory:
        if handle.shares_memory:
            raise FakeError("Not Supported")
        return FakeMemory(handle.free)

    def nvmlDeviceGetMigMode(self, handle: Any) -> list[int]:
        if handle.slices is None:
            raise FakeError("Not Supported")
        return [1, 1]

    def nvmlDeviceGetMaxMigDeviceCount(self, handle: Any) -> int:
        return len(handle.slices)

    def nvmlDeviceGetMigDeviceHandleByIndex(self, handle: Any, index: int) -> Any:
        if handle.slices[index] is None:
            raise FakeError("Not Found")
        return handle.slices[index]

    def nvmlDeviceGetGpuInstanceId(self, handle: Any) -> int:
        return int(handle.instance)

    def nvmlDeviceGetComputeInstanceId(self, handle: Any) -> int:
        del handle
        return 0


def gpu(uuid: str, free: int = GIBIBYTE, nodes: Sequence[Path] = ()) -> Gpu:
    return Gpu(uuid=uuid, name=uuid, memory_free_bytes=free, memory_bytes=free, nodes=tuple(nodes))


def pool_of(directory: Path, *gpus: Gpu) -> GpuPool:
    return GpuPool(lambda: gpus, directory)


def touched(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_whole_gpus_come_with_the_nodes_that_exist(tmp_path: Path) -> None:
    nodes = [touched(tmp_path / "dev" / name) for name in ("nvidia1", "nvidiactl", "nvidia-uvm")]
    library = FakeNvml([FakeDevice("GPU-b", minor=1, free=7)])
    (found,) = installed_gpus(library, tmp_path)
    assert (found.uuid, found.memory_free_bytes) == ("GPU-b", 7)
    assert found.nodes == tuple(nodes)
    assert library.open == 0


def test_a_partitioned_gpu_is_offered_as_its_slices(tmp_path: Path) -> None:
    place = tmp_path / "proc/driver/nvidia/capabilities/gpu0/mig/gi3"
    touched(place / "access", "DeviceFileMinor: 30\nDeviceFileMode: 292\n")
    touched(place / "ci0" / "access", "DeviceFileMinor: 31\nDeviceFileMode: 292\n")
    caps = [touched(tmp_path / "dev/nvidia-caps" / f"nvidia-cap{n}") for n in (30, 31)]
    slices = [None, FakeDevice("MIG-x", instance=3), FakeDevice("MIG-y", instance=4)]
    first, second = installed_gpus(FakeNvml([FakeDevice("GPU-a", slices=slices)]), tmp_path)
    assert (first.uuid, first.nodes) == ("MIG-x", tuple(caps))
    assert (second.uuid, second.nodes) == ("MIG-y", ())


def test_a_gpu_without_memory_of_its_own_is_offered_too(tmp_path: Path) -> None:
    (found,) = installed_gpus(FakeNvml([FakeDevice("GPU-a", shares_memory=True)]), tmp_path)
    assert found.memory_bytes == 0


def test_without_a_driver_the_error_says_what_is_missing() -> None:
    with pytest.raises(SandboxStartError, match=r"no NVIDIA driver is here: gone; install"):
        installed_gpus(FakeNvml(problem="gone"))


async def test_those_with_most_free_memory_come_first(tmp_path: Path) -> None:
    pool = pool_of(tmp_path, gpu("low", 1), gpu("high", 3), gpu("middle", 2))
    async with pool.lease(2) as first, pool.lease(1) as second:
        assert [each.uuid for each in (*first, *second)] == ["high", "middle", "low"]


async def test_more_than_there_are_is_refused_at_once_even_behind_a_queue(tmp_path: Path) -> None:
    pool = pool_of(tmp_path, gpu("a"))
    with anyio.fail_after(20):
        async with pool.lease(1), anyio.create_task_group() as tasks:
            tasks.start_soon(_hold, pool, 1)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(
                SandboxStartError, match="3 GPUs are wanted, and this machine has 1"
            ):
                async with pool.lease(3):
                    pass
            tasks.cancel_scope.cancel()


async def _hold(pool: GpuPool, n: int) -> None:
    async with pool.lease(n):
        await anyio.sleep_forever()


async def test_leases_are_given_in_the_order_of_asking_and_never_shared(tmp_path: Path) -> None:
    pool = pool_of(tmp_path, gpu("a"), gpu("b"))
    served: list[int] = []
    held: set[str] = set()

    async def use(number: int, n: int) -> None:
        async with pool.lease(n) as gpus:
            served.append(number)
            names = {each.uuid for each in gpus}
            assert not names & held
            held.update(names)
            await anyio.wait_all_tasks_blocked()
            held.difference_update(names)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks, pool.lease(2):
            for number, n in enumerate((2, 1, 2, 1, 1, 2, 2, 1)):
                tasks.start_soon(use, number, n)
            await anyio.wait_all_tasks_blocked()
            assert not served
    assert served == list(range(8))


async def test_each_session_that_waits_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    pool = pool_of(tmp_path, gpu("a"))
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            async with pool.lease(1):
                assert not caplog.messages
                for number in (1, 2):
                    tasks.start_soon(_hold, pool, 1)
                    while len(caplog.messages) < number:
                        await anyio.sleep(0.02)
                await anyio.sleep(1.5 * LOOK_AGAIN_S)
            tasks.cancel_scope.cancel()
    said = [f"waiting for 1 GPUs; sessions that wait: {number}" for number in (1, 2)]
    assert caplog.messages == said


async def test_who_gives_up_waiting_holds_nobody_up(tmp_path: Path) -> None:
    pool = pool_of(tmp_path, gpu("a"))
    with anyio.fail_after(20):
        async with anyio.create_task_group() as waiting, pool.lease(1):
            waiting.start_soon(_hold, pool, 1)
            waiting.start_soon(_hold, pool, 1)
            await anyio.wait_all_tasks_blocked()
            waiting.cancel_scope.cancel()
        async with pool.lease(1) as gpus:
            assert gpus[0].uuid == "a"


async def test_a_sandbox_that_does_not_start_gives_its_gpu_back(tmp_path: Path) -> None:
    @asynccontextmanager
    async def broken(spec: SandboxSpec, gpus: Sequence[Gpu]) -> AsyncGenerator[Sandbox]:
        del spec, gpus
        raise SandboxStartError("broken")
        yield

    pool = pool_of(tmp_path, gpu("a"))
    with anyio.fail_after(20):
        with pytest.raises(SandboxStartError, match="broken"):
            async with on_gpus(pool, broken)(ON_ONE):
                pass
        async with pool.lease(1) as gpus:
            assert len(gpus) == 1


HOLDER = """
import sys, anyio
from pathlib import Path
from proctor.sandbox_backends.gpus import GpuPool
from proctor.sandbox_backends.nvml import Gpu

async def main():
    gpus = [Gpu(uuid=uuid, name="", memory_free_bytes=0, memory_bytes=0) for uuid in sys.argv[2:]]
    async with GpuPool(lambda: gpus, Path(sys.argv[1])).lease(len(gpus)):
        print("holds", flush=True)
        await anyio.to_thread.run_sync(sys.stdin.read)

anyio.run(main)
"""


@asynccontextmanager
async def another_process(directory: Path, *uuids: str) -> AsyncGenerator[Process]:
    """A process that holds these GPUs until its stdin closes."""
    process = await anyio.open_process(
        [sys.executable, "-c", HOLDER, str(directory), *uuids], stderr=None
    )
    try:
        assert process.stdout
        assert b"holds" in await process.stdout.receive()
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        with anyio.CancelScope(shield=True):
            await process.aclose()


@pytest.mark.parametrize("killed", [False, True])
async def test_a_gpu_of_another_process_is_waited_for_until_that_ends(
    tmp_path: Path, *, killed: bool
) -> None:
    pool = pool_of(tmp_path, gpu("a"))
    got = anyio.Event()

    async def want() -> None:
        async with pool.lease(1):
            got.set()

    with anyio.fail_after(60):
        async with another_process(tmp_path, "a") as holder, anyio.create_task_group() as tasks:
            tasks.start_soon(want)
            with anyio.move_on_after(1.5):  # longer than it takes to look again
                await got.wait()
            assert not got.is_set()
            if killed:
                holder.send_signal(signal.SIGKILL)
            else:
                assert holder.stdin
                await holder.stdin.aclose()
            await got.wait()


async def test_what_another_process_leaves_free_is_leased(tmp_path: Path) -> None:
    pool = pool_of(tmp_path, gpu("a", 3), gpu("b", 2), gpu("c", 1))
    with anyio.fail_after(60):
        async with another_process(tmp_path, "b"), pool.lease(2) as gpus:
            assert [each.uuid for each in gpus] == ["a", "c"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
async def test_the_lock_that_another_user_made_serves_as_well(tmp_path: Path) -> None:
    lock = touched(tmp_path / "proctor-gpu-a.lock")
    lock.chmod(0o644)
    os.chown(lock, 12345, 12345)
    with anyio.fail_after(20):
        async with pool_of(tmp_path, gpu("a")).lease(1) as gpus:
            assert len(gpus) == 1


async def test_plain_processes_are_told_their_gpus_and_otherwise_that_there_are_none(
    tmp_path: Path,
) -> None:
    backend = on_gpus(pool_of(tmp_path, gpu("GPU-a"), gpu("GPU-b", 9 * GIBIBYTE)), open_plain)
    for spec, uuids in ((ON_ONE, ("GPU-b",)), (SandboxSpec(), ())):
        async with backend(spec) as sandbox:
            assert sandbox.info.gpus == uuids
            result = await sandbox.exec(["printenv", "CUDA_VISIBLE_DEVICES"], timeout_s=20)
            assert result.stdout.text() == ",".join(uuids) + "\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make device nodes")
async def test_bubblewrap_shows_the_nodes_of_its_gpus_and_no_other(tmp_path: Path) -> None:
    if problem := bubblewrap_problem():
        pytest.skip(problem)
    mine, other, shared = (tmp_path / name for name in ("mine", "other", "nvidia-uvm"))
    for node in (mine, other, shared):
        os.mknod(node, 0o666 | 0o020000, os.makedev(1, 5))  # as /dev/zero
        node.chmod(0o666)
    gpus = [gpu("a", 9, [mine, shared]), gpu("b", 8, [mine, shared]), gpu("c", 7, [other, shared])]
    backend = on_gpus(pool_of(tmp_path, *gpus), open_bubblewrap)
    async with backend(SandboxSpec(gpus=2)) as sandbox:
        script = (
            f"head -c 3 {mine} | wc -c; head -c 3 {shared} | wc -c; echo x > {mine} && echo wrote;"
            f" ls {tmp_path}; printenv CUDA_VISIBLE_DEVICES"
        )
        result = await sandbox.exec(["sh", "-c", script], timeout_s=20)
        assert result.stdout.text().split() == ["3", "3", "wrote", "mine", "nvidia-uvm", "a,b"]
    async with backend(SandboxSpec()) as sandbox:
        result = await sandbox.exec(["ls", str(tmp_path)], timeout_s=20)
        assert result.exit_code != 0


async def test_a_gpu_whose_machine_lacks_the_memory_managers_node_is_refused_and_given_back(
    tmp_path: Path,
) -> None:
    for name in ("nvidia0", "nvidiactl"):
        touched(tmp_path / "dev" / name)
    library = FakeNvml([FakeDevice("GPU-a")])
    pool = GpuPool(lambda: installed_gpus(library, tmp_path), tmp_path)
    with pytest.raises(SandboxStartError, match=r"nvidia-uvm, .*'nvidia-modprobe -c 0 -u'"):
        async with on_gpus(pool, open_bubblewrap)(ON_ONE):
            pass
    with anyio.fail_after(20):
        async with pool.lease(1) as gpus:
            assert gpus[0].uuid == "GPU-a"


@pytest.mark.parametrize("opener", [open_plain, open_bubblewrap])
async def test_no_sandbox_opens_silently_without_the_gpus_it_needs(opener: Any) -> None:
    with pytest.raises(SandboxStartError, match="asks for 1 GPUs, and 0 are leased"):
        async with opener(ON_ONE):
            pass


@pytest.mark.docker
async def test_a_container_asks_the_engine_for_its_gpus_by_uuid(docker_backend: Any) -> None:
    """An engine without NVIDIA's toolkit refuses, which shows that it was asked."""
    assert isinstance(docker_backend, DockerBackend)
    with pytest.raises(SandboxStartError, match="asks for 1 GPUs"):
        async with docker_backend(ON_ONE):
            pass
    with pytest.raises(SandboxStartError, match=r"device driver|nvidia|GPU-a"):
        async with docker_backend(ON_ONE, [gpu("GPU-a")]):
            pass


async def test_a_warm_pool_leases_for_who_asks_and_never_in_advance(tmp_path: Path) -> None:
    gpus = pool_of(tmp_path, gpu("a"))
    with anyio.fail_after(60):
        async with (
            Pool.warming(on_gpus(gpus, open_plain), 2, [ON_ONE, SandboxSpec()]) as pool,
            pool(ON_ONE) as one,
            pool(SandboxSpec()) as other,
        ):
            assert one.info.gpus == ("a",)
            assert other.info.gpus == ()


def test_nothing_that_is_set_over_a_spec_gives_gpus_to_verdict_code() -> None:
    assert Overrides(gpus=1).applied_to(SandboxSpec()).gpus == 1
    assert Overrides(gpus=1).applied_to(SandboxSpec(never_gpus=True)).gpus == 0
