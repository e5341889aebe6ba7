"""The contract that every backend keeps."""

import io
import os
import tarfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import pytest

from proctor.sandbox_backends.archive import extract, pack, regular_files
from proctor.sandbox_backends.base import Backend, Sandbox
from proctor.schemas.errors import SandboxLostError, SubmissionError
from proctor.schemas.sandbox import SandboxSpec

SPEC = SandboxSpec()


async def bash(sandbox: Sandbox, command: str, timeout_s: float = 30) -> str:
    result = await sandbox.exec(["bash", "-c", command], timeout_s=timeout_s)
    return result.stdout.text() + result.stderr.text()


async def snapshot_of(sandbox: Sandbox) -> bytes:
    target = io.BytesIO()
    await sandbox.snapshot(target, max_bytes=10 << 20)
    return target.getvalue()


async def test_a_command_reports_its_streams_and_exit_code(backend: Backend) -> None:
    async with backend(SPEC) as sandbox:
        result = await sandbox.exec(["bash", "-c", "echo out; echo err >&2; exit 3"], timeout_s=30)
    assert (result.stdout.text(), result.stderr.text()) == ("out\n", "err\n")
    assert result.exit_code == 3
    assert not result.timed_out


async def test_a_command_killed_by_a_signal_reports_128_plus_the_signal(backend: Backend) -> None:
    async with backend(SPEC) as sandbox:
        result = await sandbox.exec(["bash", "-c", "kill -TERM $$"], timeout_s=30)
    assert result.exit_code == 143


@pytest.mark.parametrize("argv", [["/no/such/program"], ["bash", "-c", "true\0"]])
async def test_a_command_that_cannot_run_is_data(backend: Backend, argv: list[str]) -> None:
    async with backend(SPEC) as sandbox:
        result = await sandbox.exec(argv, timeout_s=30)
    assert result.exit_code == 126
    assert "cannot run it" in result.stderr.text()


async def test_a_missing_working_directory_is_data(backend: Backend) -> None:
    async with backend(SPEC) as sandbox:
        result = await sandbox.exec(["true"], timeout_s=30, cwd="/no/such/place")
    assert result.exit_code == 126
    assert "/no/such/place" in result.stderr.text()


async def test_stdin_is_at_its_end(backend: Backend) -> None:
    async with backend(SPEC) as sandbox:
        assert await bash(sandbox, "cat; echo done") == "done\n"


async def test_commands_run_side_by_side(backend: Backend) -> None:
    outputs: list[str] = []
    all_there = "until [ $(ls | wc -l) = 8 ]; do sleep 0.05; done"

    async def one(sandbox: Sandbox, number: int) -> None:
        outputs.append(await bash(sandbox, f"touch {number}; {all_there}; echo {number}"))

    async with backend(SPEC) as sandbox, anyio.create_task_group() as tasks:
        for number in range(8):
            tasks.start_soon(one, sandbox, number)
    assert sorted(outputs) == [f"{number}\n" for number in range(8)]


async def test_a_file_written_is_read_back_and_keeps_its_mode(backend: Backend) -> None:
    data = bytes(range(256)) * 5000
    async with backend(SPEC) as sandbox:
        await sandbox.write("a/b/c.bin", io.BytesIO(data))
        assert await sandbox.fetch("a/b/c.bin", max_bytes=len(data)) == data
        await bash(sandbox, "chmod 755 a/b/c.bin")
        await sandbox.write("a/b/c.bin", io.BytesIO(b"#!/bin/sh\necho ran\n"))
        assert await bash(sandbox, "a/b/c.bin") == "ran\n"


async def test_an_empty_file_is_written_and_read(backend: Backend) -> None:
    async with backend(SPEC) as sandbox:
        await sandbox.write("empty", io.BytesIO(b""))
        assert await sandbox.fetch("empty", max_bytes=10) == b""


async def test_lines_are_read_from_an_offset_with_a_limit(backend: Backend) -> None:
    async with backend(SPEC) as sandbox:
        await sandbox.write("f", io.BytesIO(b"".join(b"line %d\n" % n for n in range(1, 11))))
        part = await sandbox.read("f", offset=3, limit=2, max_bytes=1000)
        assert (part.data, part.last_line, part.whole) == (b"line 3\nline 4\n", 4, False)
        part = await sandbox.read("f", offset=10, max_bytes=1000)
        assert (part.data, part.last_line, part.whole) == (b"line 10\n", 10, True)
        part = await sandbox.read("f", max_bytes=9)
        assert (part.data, part.last_line, part.whole) == (b"line 1\nli", 2, False)


async def test_reading_what_cannot_be_read_raises_the_builtin_that_says_so(
    backend: Backend,
) -> None:
    async with backend(SPEC) as sandbox:
        await bash(sandbox, "mkdir d; mkfifo fifo; echo 12345 > f")
        with pytest.raises(FileNotFoundError, match="nope"):
            await sandbox.fetch("nope", max_bytes=10)
        with pytest.raises(IsADirectoryError):
            await sandbox.fetch("d", max_bytes=10)
        with pytest.raises(NotADirectoryError):
            await sandbox.fetch("f/below", max_bytes=10)
        with pytest.raises(OSError, match="not a regular file"), anyio.fail_after(20):
            await sandbox.fetch("fifo", max_bytes=10)
        with pytest.raises(OSError, match="larger than 3"):
            await sandbox.fetch("f", max_bytes=3)
        with pytest.raises(NotADirectoryError):
            await sandbox.list("f")


async def test_a_directory_lists_its_entries_sorted_by_name(backend: Backend) -> None:
    async with backend(SPEC) as sandbox:
        await bash(sandbox, "mkdir b; echo 123 > a; ln -s a c; mkfifo d")
        entries, total = await sandbox.list("")
    assert [(e.name, e.kind, e.size) for e in entries] == [
        ("a", "file", 4), ("b", "directory", 0), ("c", "symlink", 0), ("d", "other", 0),
    ]  # fmt: skip
    assert total == 4


async def test_long_output_keeps_head_and_tail_and_the_whole_is_in_a_file(
    backend: Backend,
) -> None:
    async with backend(SPEC) as sandbox:
        result = await sandbox.exec(["bash", "-c", "seq 1 100000"], timeout_s=60)
        text = result.stdout.text()
        assert text.startswith("1\n2\n")
        assert text.endswith("99999\n100000\n")
        assert result.stdout.spool is not None
        assert result.stdout.spool in text
        assert await bash(sandbox, f"cat {result.stdout.spool} | tail -n +50000 | head -1") == (
            "50000\n"
        )
        assert not result.stdout.spool.startswith(sandbox.info.workdir)


async def test_a_flood_of_output_is_counted_in_bounded_memory(backend: Backend) -> None:
    async with backend(SPEC) as sandbox:
        result = await sandbox.exec(["bash", "-c", "head -c 1G /dev/zero"], timeout_s=120)
        assert result.stdout.total == 1 << 30
        assert len(result.stdout.head) + len(result.stdout.tail) < 40_000
        size = await bash(sandbox, f"stat -c %s {result.stdout.spool}")
        assert int(size) <= 32 << 20


async def test_binary_output_and_a_line_without_an_end_become_text(backend: Backend) -> None:
    async with backend(SPEC) as sandbox:
        result = await sandbox.exec(
            ["bash", "-c", "printf '\\377\\376x'; head -c 1000000 /dev/zero | tr '\\0' a"],
            timeout_s=60,
        )
    assert result.stdout.text().startswith("\ufffd\ufffdxaaa")
    assert result.stdout.total == 1_000_003


DAEMON = "setsid nohup sh -c 'trap \"\" TERM INT HUP; sleep 300' >/dev/null 2>&1 &"


async def running(sandbox: Sandbox, what: str) -> int:
    return int(await bash(sandbox, f"ps -eo args | grep -c '^{what}' || true"))


async def test_a_timeout_kills_the_whole_process_tree_and_nothing_else(backend: Backend) -> None:
    async with backend(SPEC) as sandbox:
        await bash(sandbox, "setsid nohup sleep 301 >/dev/null 2>&1 &")
        for _ in range(5):
            result = await sandbox.exec(
                ["bash", "-c", f"({DAEMON}) ; {DAEMON} sleep 302"], timeout_s=0.3
            )
            assert result.timed_out
        assert await running(sandbox, "sleep 300") == 0
        assert await running(sandbox, "sleep 302") == 0
        assert await running(sandbox, "sleep 301") == 1


async def test_a_background_process_survives_its_command_but_not_kill_all(
    backend: Backend,
) -> None:
    async with backend(SPEC) as sandbox:
        started = time.monotonic()
        await bash(sandbox, f"{DAEMON} sleep 303 & sleep 0.1")
        assert time.monotonic() - started < 20
        assert await running(sandbox, "sleep 303") == 1
        await sandbox.kill_all()
        assert await running(sandbox, "sleep 303") == 0
        assert await running(sandbox, "sleep 300") == 0


async def test_what_is_left_in_the_background_outlives_its_commands_timeout(
    backend: Backend,
) -> None:
    async with backend(SPEC) as sandbox:
        await bash(sandbox, "setsid sleep 309 >/dev/null 2>&1 &", timeout_s=1)
        await anyio.sleep(1.5)
        assert await running(sandbox, "sleep 309") == 1


async def test_a_cancelled_command_is_killed(backend: Backend) -> None:
    async with backend(SPEC) as sandbox:
        with anyio.move_on_after(0.5):
            await sandbox.exec(["bash", "-c", f"{DAEMON} sleep 304"], timeout_s=60)
        assert await running(sandbox, "sleep 30[04]") == 0


async def test_equal_workspaces_give_equal_snapshots(backend: Backend) -> None:
    tree = {"b/x.txt": b"1", "a.txt": b"2", "ä ö.txt": b"3"}
    snapshots: list[bytes] = []
    for _ in range(2):
        async with backend(SPEC) as sandbox:
            await sandbox.restore(pack(tree))
            await bash(sandbox, "mkdir -p b/__pycache__; date +%N > b/__pycache__/x.pyc")
            snapshots.append(await snapshot_of(sandbox))
    assert snapshots[0] == snapshots[1]
    found = {name: content.read() for name, _, content in regular_files(io.BytesIO(snapshots[0]))}
    assert found == tree


async def test_a_snapshot_restores_files_modes_and_links_but_no_devices(backend: Backend) -> None:
    async with backend(SPEC) as sandbox:
        await bash(sandbox, "mkdir d; echo hi > d/f; chmod 755 d/f; ln -s d/f link; mkfifo fifo")
        first = await snapshot_of(sandbox)
    async with backend(SPEC) as sandbox:
        await sandbox.restore(io.BytesIO(first))
        listing = await bash(sandbox, "stat -c '%A %n' d/f; readlink link; cat link; ls")
    assert listing == "-rwxr-xr-x d/f\nd/f\nhi\nd\nlink\n"


async def test_a_snapshot_that_is_too_large_is_refused(backend: Backend) -> None:
    async with backend(SPEC) as sandbox:
        await bash(sandbox, "head -c 3M /dev/zero > big; mkdir many; touch many/{1..50}")
        with pytest.raises(SubmissionError, match="more than 1 MiB, at big"):
            await sandbox.snapshot(io.BytesIO(), max_bytes=1 << 20)
        with pytest.raises(SubmissionError, match="more than 20 files"):
            await sandbox.snapshot(io.BytesIO(), max_bytes=1 << 30, max_files=20)
        assert await bash(sandbox, "echo still here") == "still here\n"


async def test_a_file_that_cannot_be_read_is_left_out_of_the_snapshot(isolating: Backend) -> None:
    async with isolating(SPEC) as sandbox:
        await bash(sandbox, "echo 1 > secret; chmod 000 secret; echo 2 > open")
        target = io.BytesIO()
        about = await sandbox.snapshot(target, max_bytes=1 << 20)
    assert about.skipped == ("'secret'",)


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


async def test_the_environment_is_an_allow_list(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary-7315")
    monkeypatch.setenv("PROCTOR_TOKEN", "token-canary-7315")
    async with backend(SPEC) as sandbox:
        seen = await bash(sandbox, "env; cat /proc/self/environ | tr '\\0' '\\n'")
    assert "canary-7315" not in seen
    names = {line.partition("=")[0] for line in seen.splitlines()}
    assert names <= {
        "PATH", "HOME", "TMPDIR", "USER", "LANG", "TERM", "PYTHONUNBUFFERED", "MPLBACKEND",
        "OMP_NUM_THREADS", "LOKY_MAX_CPU_COUNT", "LOGNAME", "PWD", "SHLVL", "_",
        "CUDA_VISIBLE_DEVICES",
    }  # fmt: skip


async def test_the_interpreter_has_the_ml_stack(backend: Backend) -> None:
    async with backend(SPEC) as sandbox:
        result = await sandbox.exec(
            [sandbox.info.python, "-c", "import numpy, pandas, scipy, sklearn; print('ok')"],
            timeout_s=120,
        )
    assert result.stdout.text() == "ok\n", result.stderr.text()


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
