"""The contract, on every backend; and what is particular to ours."""

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
from proctor.sandbox_backends.contract.checking import SPEC, bash
from proctor.sandbox_backends.contract.jobs import job_of, text_of
from proctor.schemas.errors import SandboxLostError


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_a_backend_keeps_the_contract(backend: Backend, check: Check) -> None:
    try:
        await check(backend)
    except NotApplicableError as reason:
        pytest.skip(str(reason))


async def test_nothing_runs_after_a_sandbox_is_closed(
    backend: Backend, processes: Any, tmp_path: Path
) -> None:
    marker = f"left-{tmp_path}"
    async with backend(SPEC) as sandbox:
        await bash(sandbox, f"setsid nohup bash -c 'exec -a {marker} sleep 305' >/dev/null 2>&1 &")
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


async def test_stopping_a_job_kills_its_whole_tree(
    backend: Backend, processes: Any, tmp_path: Any
) -> None:
    marker = f"job-{tmp_path.name}"
    daemon = (
        f"(setsid bash -c 'trap \"\" TERM INT HUP; exec -a {marker} sleep 300' >/dev/null 2>&1 &)"
    )
    async with backend(SPEC) as sandbox:
        job = await job_of(sandbox, f"{daemon}; sleep 300")
        other = await job_of(sandbox, "until [ -e go ]; do sleep 0.05; done; echo lived")
        await processes.appear(marker)
        stopped = await sandbox.job_stop(job)
        assert (stopped.running, stopped.exit_code) == (False, None)
        assert not processes.marked(marker)
        await sandbox.exec(["touch", "go"], timeout_s=30)
        assert await text_of(sandbox, other) == "lived\n"
        assert (await sandbox.job_stop(other)).exit_code == 0
