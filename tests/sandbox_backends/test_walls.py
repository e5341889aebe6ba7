"""What stands between an agent and everything else, attacked."""

import io
import os
import signal
import socket
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import anyio
import pytest

from proctor.sandbox_backends.base import Backend, Sandbox
from proctor.sandbox_backends.local import open_plain
from proctor.schemas.errors import SandboxStartError, SubmissionError
from proctor.schemas.sandbox import MEBIBYTE, SandboxSpec

SPEC = SandboxSpec()


async def bash(sandbox: Sandbox, command: str, timeout_s: float = 60) -> str:
    result = await sandbox.exec(["bash", "-c", command], timeout_s=timeout_s)
    return result.stdout.text() + result.stderr.text()


@pytest.mark.parametrize("link", ["/etc/passwd", "../../etc/passwd", "/"])
async def test_no_symbolic_link_leads_out_of_the_workspace(backend: Backend, link: str) -> None:
    async with backend(SPEC) as sandbox:
        await bash(sandbox, f"ln -s {link} out; echo inside > f; ln -s f in")
        path = "out" if "passwd" in link else "out/etc/passwd"
        with pytest.raises(PermissionError, match="leads out"):
            await sandbox.fetch(path, max_bytes=1 << 20)
        with pytest.raises(PermissionError, match="leads out"):
            await sandbox.read(path, max_bytes=1 << 20)
        with pytest.raises((PermissionError, NotADirectoryError)):
            await sandbox.write("out/x", io.BytesIO(b"!"))
        assert await sandbox.fetch("in", max_bytes=100) == b"inside\n"


async def test_writing_to_a_link_replaces_the_link(backend: Backend, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    async with backend(SPEC) as sandbox:
        await bash(sandbox, f"ln -s {victim} link")
        await sandbox.write("link", io.BytesIO(b"mine"))
        assert await sandbox.fetch("link", max_bytes=10) == b"mine"
    assert victim.read_text() == "untouched"


async def test_an_unpacked_link_does_not_redirect_what_follows(backend: Backend) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        link = tarfile.TarInfo("d")
        link.type, link.linkname = tarfile.SYMTYPE, "/tmp"  # noqa: S108
        tar.addfile(link)
        info = tarfile.TarInfo("d/escaped-7731")
        info.size = 1
        tar.addfile(info, io.BytesIO(b"x"))
    archive.seek(0)
    async with backend(SPEC) as sandbox:
        with pytest.raises(OSError):  # noqa: PT011 - which one depends on the system call
            await sandbox.restore(archive)
        assert "no" in await bash(sandbox, "ls /tmp/escaped-7731 && echo found || echo no")


async def test_proctors_code_and_tasks_are_nowhere_in_the_sandbox(isolating: Backend) -> None:
    async with isolating(SPEC) as sandbox:
        result = await sandbox.exec([sandbox.info.python, "-c", "import proctor"], timeout_s=60)
        assert "No module named 'proctor'" in result.stderr.text()
        seen = await bash(
            sandbox,
            "find / -xdev \\( -name 'probe_kit*' -o -name 'mle_proctor*' -o -name decoys "
            "-o -path '*error_analysis*' \\) 2>/dev/null; find / -name task.toml 2>/dev/null",
        )
    assert seen == ""


async def test_the_host_is_out_of_sight(isolating: Backend, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    canary.write_text("canary-4242")
    async with isolating(SPEC) as sandbox:
        seen = await bash(
            sandbox,
            f"cat {canary} /etc/shadow /proc/1/environ /proc/1/mem 2>&1; ls /home /sys /run 2>&1;"
            f"ls -a /root /proc/1/root /proc/1/fd 2>&1; grep -r canary-4242 /tmp /etc 2>&1",
        )
        processes = await bash(sandbox, "ls -d /proc/[0-9]* | wc -l")
    assert "canary-4242" not in seen
    assert "root:x" not in seen
    assert int(processes) < 10


async def test_there_is_no_network(isolating: Backend) -> None:
    code = """
import socket
listener = socket.socket(); listener.settimeout(2)
for address in (("127.0.0.1", PORT), ("10.0.0.1", 80)):
    try:
        socket.create_connection(address, timeout=2); print("reached", address)
    except OSError as error:
        print("no", error)
try:
    s = socket.socket(socket.AF_UNIX); s.connect("\\0canary-abstract"); print("reached abstract")
except OSError as error:
    print("no", error)
"""
    with socket.socket() as host, socket.socket(socket.AF_UNIX) as abstract:
        host.bind(("127.0.0.1", 0))
        host.listen()
        abstract.bind("\0canary-abstract")
        abstract.listen()
        async with isolating(SPEC) as sandbox:
            script = code.replace("PORT", str(host.getsockname()[1]))
            result = await sandbox.exec([sandbox.info.python, "-c", script], timeout_s=60)
    assert "reached" not in result.stdout.text()
    assert len(result.stdout.text().splitlines()) == 3


async def test_the_system_is_read_only_and_there_is_no_capability(isolating: Backend) -> None:
    async with isolating(SPEC) as sandbox:
        status = await bash(sandbox, "grep -E 'Cap(Inh|Prm|Eff|Amb)|NoNewPrivs' /proc/self/status")
        assert [line.split()[1] for line in status.splitlines()] == ["0" * 16] * 4 + ["1"]
        for place in ("/usr/x", "/x", "/dev/x", f"{sandbox.info.python}.x", "/etc/x"):
            refused = await bash(sandbox, f"touch {place}")
            assert "Read-only" in refused or "Permission denied" in refused
        assert "must be superuser" in await bash(sandbox, "mount -t tmpfs none /tmp")
        assert await bash(sandbox, "unshare --user true && echo made || echo no") != "made\n"


async def test_the_agent_is_nobody_on_the_host(
    isolating: Backend, processes: Any, tmp_path: Path
) -> None:
    marker = f"who-{tmp_path}"
    async with isolating(SPEC) as sandbox:
        await bash(sandbox, f"setsid nohup bash -c 'exec -a {marker} sleep 60' >/dev/null 2>&1 &")
        uid = (await processes.appear(marker)).stat().st_uid
    assert uid >= (10_000 if os.geteuid() == 0 else 1)  # of nobody who could log in


async def test_the_agent_can_neither_kill_nor_trace_nor_impersonate_the_helper(
    isolating: Backend,
) -> None:
    attack = """
import ctypes, os, signal
for number in (9, 15, 19):
    try: os.kill(1, number)
    except OSError as error: print("kill", error)
libc = ctypes.CDLL(None, use_errno=True)
print("ptrace", libc.ptrace(16, 1, 0, 0))
for name in ("mem", "fd/1", "environ", "maps"):
    try: open(f"/proc/1/{name}", "rb").read(1); print("read", name)
    except OSError as error: print("no", error.strerror)
for fd in range(3, 64):
    try: os.write(fd, b"\\0\\0\\0\\2\\0\\0\\0\\0{}"); print("wrote to", fd)
    except OSError: pass
"""
    async with isolating(SPEC) as sandbox:
        result = await sandbox.exec([sandbox.info.python, "-c", attack], timeout_s=60)
        said = result.stdout.text()
        assert "ptrace -1" in said
        assert "read" not in said
        assert "wrote" not in said
        assert await bash(sandbox, "echo alive") == "alive\n"


async def test_killing_every_supervisor_frees_nothing_from_the_end_of_the_session(
    isolating: Backend,
) -> None:
    async with isolating(SPEC) as sandbox:
        result = await sandbox.exec(
            ["bash", "-c", "kill -9 $PPID; setsid nohup sleep 306 & sleep 307"], timeout_s=30
        )
        assert result.exit_code == 137
        assert await bash(sandbox, "ps -eo args | grep -c '^sleep 30[67]'") == "0\n"


async def test_stopping_the_supervisor_does_not_outlive_the_timeout(backend: Backend) -> None:
    async with backend(SPEC) as sandbox:
        with anyio.fail_after(60):
            result = await sandbox.exec(
                ["bash", "-c", "kill -STOP $PPID; sleep 308"], timeout_s=0.5
            )
        assert result.timed_out
        assert await bash(sandbox, "ps -eo args | grep -c '^sleep 308' || true") == "0\n"


async def test_no_tree_of_directories_brings_the_helper_down(backend: Backend) -> None:
    deep = "import os\nfor _ in range(1500):\n    os.mkdir('d'); os.chdir('d')\n"
    async with backend(SPEC) as sandbox:
        await sandbox.exec([sandbox.info.python, "-c", deep], timeout_s=60)
        with pytest.raises(SubmissionError, match="nested deeper"):
            await sandbox.snapshot(io.BytesIO(), max_bytes=1 << 20)
        assert await bash(sandbox, "rm -rf d; echo alive") == "alive\n"


async def test_a_request_that_is_too_long_is_refused_and_harms_nothing(backend: Backend) -> None:
    async with backend(SPEC) as sandbox:
        with pytest.raises(ValueError, match="a request of"):
            await bash(sandbox, ": " + "x" * 1_200_000)
        assert await bash(sandbox, "echo alive") == "alive\n"


async def test_files_of_the_longest_names_survive_snapshot_and_restore(backend: Backend) -> None:
    name = "🦉" * 63 + "xyz"
    async with backend(SPEC) as sandbox:
        await sandbox.write(name, io.BytesIO(b"1"))
        kept = io.BytesIO()
        await sandbox.snapshot(kept, max_bytes=1 << 20)
    kept.seek(0)
    async with backend(SPEC) as sandbox:
        await sandbox.restore(kept)
        assert await sandbox.fetch(name, max_bytes=10) == b"1"


async def test_killing_everything_while_background_jobs_chatter_and_end(backend: Backend) -> None:
    chatter = "for n in 1 2 3 4 5 6; do (timeout 0.4 yes &) ; (sleep 0.2 &) ; done; sleep 0.1"
    async with backend(SPEC) as sandbox:
        for _ in range(6):
            async with anyio.create_task_group() as tasks:
                for _ in range(3):
                    tasks.start_soon(bash, sandbox, chatter)
            await sandbox.kill_all()
        assert await bash(sandbox, "echo alive") == "alive\n"


async def test_a_write_that_fails_midway_changes_nothing(isolating: Backend) -> None:
    async with isolating(SPEC.model_copy(update={"memory_bytes": 256 * MEBIBYTE})) as sandbox:
        await sandbox.write("f", io.BytesIO(b"before"))
        assert "No space left" in await bash(sandbox, "head -c 500M /dev/zero > /tmp/full")
        with pytest.raises(OSError, match="No space left"):
            await sandbox.write("f", io.BytesIO(b"x" * (3 << 20) + b"TAIL"))
        assert await sandbox.fetch("f", max_bytes=10 << 20) == b"before"
        await bash(sandbox, "rm /tmp/full")
        await sandbox.write("f", io.BytesIO(b"after"))


async def test_long_outputs_do_not_fill_the_sandbox(isolating: Backend) -> None:
    async with isolating(SPEC) as sandbox:
        for _ in range(6):
            await bash(sandbox, "head -c 40M /dev/zero")
        used = int((await bash(sandbox, "du -sm /tmp/output | cut -f1")).strip())
    assert used <= 64 + 8


async def test_a_fork_bomb_ends_with_its_timeout(isolating: Backend) -> None:
    async with isolating(SPEC.model_copy(update={"pids": 100})) as sandbox:
        if sandbox.info.limits != "full":
            pytest.skip("no control groups here, so the number of processes has no limit")
        with anyio.fail_after(60):
            result = await sandbox.exec(["bash", "-c", ":(){ :|:& };:; sleep 30"], timeout_s=2)
            assert result.timed_out
            assert await bash(sandbox, "echo alive") == "alive\n"


async def test_a_memory_bomb_hurts_nobody_else(isolating: Backend) -> None:
    small = SPEC.model_copy(update={"memory_bytes": 256 * MEBIBYTE})
    async with isolating(small) as sandbox, isolating(SPEC) as neighbour:
        bomb = "x = []\nwhile True: x.append(bytearray(10_000_000))"
        with anyio.fail_after(120):
            result = await sandbox.exec([sandbox.info.python, "-c", bomb], timeout_s=60)
        assert result.exit_code != 0
        assert not result.timed_out
        assert await bash(neighbour, "echo alive") == "alive\n"
        assert await bash(sandbox, "echo alive") == "alive\n"


async def test_a_full_workspace_fails_the_writer_alone(isolating: Backend) -> None:
    small = SPEC.model_copy(update={"workspace_bytes": 8 * MEBIBYTE})
    async with isolating(small) as sandbox:
        assert "No space left" in await bash(sandbox, "head -c 100M /dev/zero > big")
        with pytest.raises(OSError, match="No space left"):
            await sandbox.write("more", io.BytesIO(b"x" * MEBIBYTE))
        assert await bash(sandbox, "rm big; echo alive") == "alive\n"
        await sandbox.write("more", io.BytesIO(b"x"))


async def test_sandboxes_do_not_see_each_other(isolating: Backend) -> None:
    async with isolating(SPEC) as one, isolating(SPEC) as other:
        await bash(one, "echo secret-1 > f; echo secret-1 > /tmp/f; sleep 60 >/dev/null 2>&1 &")
        seen = await bash(other, "ls; ls /tmp; ps -eo args; ls /dev/shm")
    assert "secret" not in seen
    assert "f\n" not in seen
    assert "sleep" not in seen


async def test_a_task_that_needs_isolation_is_refused_without_it() -> None:
    with pytest.raises(SandboxStartError, match="refuses a sandbox without isolation"):
        async with open_plain(SPEC.model_copy(update={"isolation_required": True})):
            pass


KILLED_SERVER = """
import sys
import anyio
from proctor.sandbox_backends.local import {opener}
from proctor.schemas.sandbox import SandboxSpec

async def main():
    async with {opener}(SandboxSpec()) as sandbox:
        await sandbox.exec(["bash", "-c", "setsid nohup bash -c 'trap \\"\\" TERM; "
            "exec -a {marker} sleep 300' >/dev/null 2>&1 &"], timeout_s=20)
        print("ready", flush=True)
        await anyio.sleep(60)

anyio.run(main)
"""


@pytest.mark.parametrize("opener", ["open_bubblewrap", "open_plain"])
async def test_killing_the_server_leaves_nothing_running(
    isolating: Backend, processes: Any, tmp_path: Path, opener: str
) -> None:
    del isolating  # skips where bubblewrap is missing
    marker = f"left-{tmp_path}"
    script = KILLED_SERVER.format(opener=opener, marker=marker)
    process = await anyio.open_process([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert process.stdout
    with anyio.fail_after(60):
        assert b"ready" in await process.stdout.receive()
        await processes.appear(marker)
        process.send_signal(signal.SIGKILL)
        await process.wait()
        await processes.vanish(marker)
    await process.aclose()
