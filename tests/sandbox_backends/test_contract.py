"""The contract that every backend keeps, and what is particular to our helper."""

import io
import os
import tarfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import pytest

from proctor.sandbox_backends.archive import extract
from proctor.sandbox_backends.base import Backend
from proctor.sandbox_backends.contract import CHECKS, Check, NotApplicableError
from proctor.schemas.errors import SandboxLostError
from proctor.schemas.sandbox import SandboxSpec

SPEC = SandboxSpec()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_every_backend_keeps_the_contract(backend: Backend, check: Check) -> None:
    try:
        await check(backend)
    except NotApplicableError as reason:
        pytest.skip(str(reason))


async def test_nothing_runs_after_a_sandbox_is_closed(
    backend: Backend, processes: Any, tmp_path: Path
) -> None:
    marker = f"left-{tmp_path}"
    async with backend(SPEC) as sandbox:
        daemon = f"setsid nohup bash -c 'exec -a {marker} sleep 305' >/dev/null 2>&1 &"
        await sandbox.exec(["bash", "-c", daemon], timeout_s=30)
        await processes.appear(marker)
    await processes.vanish(marker)


async def test_a_helper_that_dies_loses_the_sandbox_and_says_so(backend: Backend) -> None:
    before = set(_helpers())
    async with backend(SPEC) as sandbox:
        for pid in set(_helpers()) - before:
            os.kill(pid, 9)
        with anyio.fail_after(20), pytest.raises(SandboxLostError, match="gone"):
            await sandbox.exec(["sleep", "20"], timeout_s=20)
        with pytest.raises(SandboxLostError):
            await sandbox.list("")


async def test_the_environment_holds_these_names_and_no_other(backend: Backend) -> None:
    async with backend(SPEC) as sandbox:
        result = await sandbox.exec(["env"], timeout_s=30)
    names = {line.partition("=")[0] for line in result.stdout.text().splitlines()}
    assert names - {"CUDA_VISIBLE_DEVICES"} == {
        "PATH", "HOME", "TMPDIR", "USER", "LANG", "TERM", "PYTHONUNBUFFERED", "MPLBACKEND",
        "OMP_NUM_THREADS", "LOKY_MAX_CPU_COUNT", "LOGNAME",
    }  # fmt: skip


@pytest.mark.parametrize("argv", [["/no/such/program"], ["bash", "-c", "true\0"]])
async def test_a_command_that_cannot_run_ends_with_126(backend: Backend, argv: list[str]) -> None:
    async with backend(SPEC) as sandbox:
        result = await sandbox.exec(argv, timeout_s=30)
    assert result.exit_code == 126
    assert "cannot run it" in result.stderr.text()


async def test_the_file_of_a_flood_of_output_is_bounded(backend: Backend) -> None:
    async with backend(SPEC) as sandbox:
        flood = await sandbox.exec(["head", "-c", "1G", "/dev/zero"], timeout_s=120)
        assert flood.stdout.total == 1 << 30
        assert flood.stdout.spool is not None
        size = await sandbox.exec(["stat", "-c", "%s", flood.stdout.spool], timeout_s=30)
        assert int(size.stdout.text()) <= 32 << 20


def test_extracting_an_archive_writes_plain_files_and_nothing_outside(tmp_path: Path) -> None:
    archive = tmp_path / "evil.tar"
    with tarfile.open(archive, "w") as tar:
        for name in ("../out.txt", "/abs.txt", "fine/in.txt"):
            info = tarfile.TarInfo(name)
            info.size = 2
            tar.addfile(info, io.BytesIO(b"hi"))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
        device = tarfile.TarInfo("dev")
        device.type = tarfile.CHRTYPE
        tar.addfile(device)
    extract(archive, tmp_path / "target")
    found = [p for p in (tmp_path / "target").rglob("*") if not p.is_dir()]
    assert found == [tmp_path / "target" / "fine" / "in.txt"]
    assert not (tmp_path / "out.txt").exists()


def _helpers() -> list[int]:
    found: list[int] = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if b"no helper was sent" in path.read_bytes():
                found.append(int(path.parent.name))
    return found
