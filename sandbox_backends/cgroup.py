"""Limits for everything in a sandbox together: one control group each, version 1 or 2.

Only root can make them without further set-up, so a process that cannot gets none, and the
backend falls back to limits per process.
"""

import itertools
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio

from proctor.schemas.sandbox import SandboxSpec

MOUNT = Path("/sys/fs/cgroup")
PARENT = "proctor"
CPU_PERIOD_US = 100_000
CPU_SHARES, CPU_WEIGHT = 256, 25
"""A quarter of what the server's own processes have, so that no sandbox starves it."""
EMPTY_WITHIN_S = 5.0

_numbers = itertools.count()


@asynccontextmanager
async def control_group(spec: SandboxSpec) -> AsyncGenerator[tuple[Path, ...]]:
    """Make a control group with `spec`'s limits, and remove it at the end.

    Yields:
        The files that a process writes its id to in order to join; none where groups cannot be
        made, so that the caller knows that no limit holds.
    """
    name = f"{os.getpid()}-{next(_numbers)}"
    made: list[Path] = []
    try:
        with suppress(OSError):
            _make(name, spec, made)
        complete = made and all((group / "cgroup.procs").exists() for group in made)
        yield tuple(group / "cgroup.procs" for group in made) if complete else ()
    finally:
        with anyio.CancelScope(shield=True):
            for group in made:
                await _remove(group)


def sweep() -> None:
    """Remove the empty groups that killed servers left behind; those of live ones stay."""
    for parent in (MOUNT / PARENT, *(MOUNT / c / PARENT for c in ("memory", "pids", "cpu"))):
        if parent.is_dir():
            for group in parent.iterdir():
                owner = group.name.partition("-")[0]
                if not Path("/proc", owner).exists():
                    with suppress(OSError):
                        group.rmdir()


def _make(name: str, spec: SandboxSpec, made: list[Path]) -> None:
    if sys.platform != "linux" or os.geteuid() != 0:
        return
    if (MOUNT / "cgroup.controllers").exists():
        _make_v2(name, spec, made)
    else:
        _make_v1(name, spec, made)


def _make_v2(name: str, spec: SandboxSpec, made: list[Path]) -> None:
    parent = MOUNT / PARENT
    offered = (MOUNT / "cgroup.controllers").read_text().split()
    wanted = " ".join(f"+{each}" for each in ("memory", "pids", "cpu") if each in offered)
    (MOUNT / "cgroup.subtree_control").write_text(wanted)
    parent.mkdir(exist_ok=True)
    (parent / "cgroup.subtree_control").write_text(wanted)
    group = parent / name
    group.mkdir()
    try:
        (group / "memory.max").write_text(str(spec.memory_bytes))
        if (swap := group / "memory.swap.max").exists():  # not without swap accounting
            swap.write_text("0")
        (group / "pids.max").write_text(str(spec.pids))
        if "cpu" in offered:
            (group / "cpu.weight").write_text(str(CPU_WEIGHT))
        if spec.cpus:
            quota = int(spec.cpus * CPU_PERIOD_US)
            (group / "cpu.max").write_text(f"{quota} {CPU_PERIOD_US}")
    except OSError:
        group.rmdir()
        raise
    made.append(group)


def _make_v1(name: str, spec: SandboxSpec, made: list[Path]) -> None:
    settings = {
        "memory": {"memory.limit_in_bytes": spec.memory_bytes},
        "pids": {"pids.max": spec.pids},
    }
    if (MOUNT / "cpu").is_dir():
        settings["cpu"] = {"cpu.shares": CPU_SHARES}
    if spec.cpus:
        settings["cpu"] = {
            "cpu.shares": CPU_SHARES,
            "cpu.cfs_period_us": CPU_PERIOD_US,
            "cpu.cfs_quota_us": int(spec.cpus * CPU_PERIOD_US),
        }
    try:
        for controller, values in settings.items():
            group = MOUNT / controller / PARENT / name
            group.mkdir(parents=True)
            made.append(group)
            for key, value in values.items():
                (group / key).write_text(str(value))
        swap = MOUNT / "memory" / PARENT / name / "memory.memsw.limit_in_bytes"
        if swap.exists():  # not without swap accounting
            swap.write_text(str(spec.memory_bytes))
    except OSError:
        while made:
            made.pop().rmdir()
        raise


async def _remove(group: Path) -> None:
    """Remove a group once its last process has been reaped, which the kernel does in its time."""
    with anyio.move_on_after(EMPTY_WITHIN_S):
        while not _is_removed(group):  # noqa: ASYNC110 - the kernel tells nobody
            await anyio.sleep(0.005)


def _is_removed(group: Path) -> bool:
    try:
        group.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
