"""Attacks on secrets: those of the server, of its machine, of other sessions, of earlier ones."""

import io
from pathlib import Path
from typing import Any

import pytest

SEARCH = """
import os, re, stat, sys
canary, found = sys.argv[1][::-1].encode(), []
def look(path, limit=1 << 22):
    try:
        with open(path, "rb") as file:
            if canary in file.read(limit): found.append(path)
    except OSError: pass
for top, directories, names in os.walk("/"):
    if top == "/":
        directories[:] = [each for each in directories if each not in ("proc", "sys")]
    if top.startswith(("/usr/lib", "/usr/share", "/usr/include", sys.prefix + "/lib")):
        directories[:] = []
        continue
    for name in names:
        path = os.path.join(top, name)
        try: plain = stat.S_ISREG(os.lstat(path).st_mode)
        except OSError: continue
        if plain: look(path)
for top, directories, names in os.walk("/proc"):
    directories[:] = [each for each in directories if each not in ("self", "thread-self", "task")
                      and each != str(os.getpid())]
    for name in names:
        if name not in ("kmsg", "kcore", "kpagecount", "kpageflags", "kpagecgroup", "mem",
                        "pagemap", "clear_refs", "trace_pipe"):
            look(os.path.join(top, name), 1 << 16)
print(found, "searched")
"""


async def test_nothing_of_another_session_can_be_found(attacked: Any) -> None:
    async with attacked() as agent:
        assert await agent.python(SEARCH, agent.canary[::-1]) == "[] searched\n"


async def test_nothing_of_the_server_or_its_machine_can_be_found(
    attacked: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    canary = "sk-canary-9914275531"
    monkeypatch.setenv("ANTHROPIC_API_KEY", canary)
    for place in (tmp_path, Path("/tmp"), Path("/dev/shm")):  # noqa: S108
        (place / "proctor-test-canary").write_text(canary)
        (place / "proctor-test-canary").chmod(0o644)
    try:
        async with attacked() as agent:
            assert await agent.python(SEARCH, canary[::-1]) == "[] searched\n"
            mounts = await agent.bash("cat /proc/self/mountinfo /proc/mounts")
            assert str(tmp_path) not in mounts
    finally:
        for place in (Path("/tmp"), Path("/dev/shm")):  # noqa: S108
            (place / "proctor-test-canary").unlink()


OURS = """
import os, sys
names = {"probe_kit.py", "task.toml", "instruction.md", "probe.py", "decoy.toml", "mle_proctor",
         "sandbox_backends", "evaluator", "error_analysis", "decoys", "transcript.jsonl"}
for top, directories, files in os.walk("/"):
    if top == "/": directories[:] = [each for each in directories if each not in ("proc", "sys")]
    for name in {*directories, *files}:
        if name in names or name.startswith("mle_proctor"): print(os.path.join(top, name))
try: import proctor; print("imported")
except ImportError: print("searched")
"""


async def test_neither_proctors_code_nor_any_task_is_there(attacked: Any) -> None:
    async with attacked() as agent:
        found = (await agent.python(OURS)).splitlines()
        stack = ("site-packages", "dist-packages")  # other people's modules of such names
        assert [each for each in found if not any(part in each for part in stack)] == ["searched"]


LEAVE = """
import ctypes, os, sys
ADD_KEY = {"x86_64": 248, "aarch64": 217}[os.uname().machine]
libc, canary = ctypes.CDLL(None), b"canary-left-behind"
for place in sys.argv[1:]:
    for top, _, _ in os.walk(place):
        try: open(os.path.join(top, "canary-left-behind"), "wb").write(canary)
        except OSError: pass
libc.shmget(0x5A5A, ctypes.c_size_t(4096), 0o1666)
libc.semget(0x5A5A, 1, 0o1666)
libc.msgget(0x5A5A, 0o1666)
libc.mq_open(b"/canary-left-behind", 0o102, 0o666, None)
for ring in (-1, -2, -3, -4, -5):
    libc.syscall(ADD_KEY, b"user", b"canary-left-behind", canary, 8, ring)
"""
PLACES = ("/tmp", "/dev", "/var", "/run", "/workspace", "/etc", "/home")  # noqa: S108
FIND = """
import ctypes, os
KEYCTL = {"x86_64": 250, "aarch64": 219}[os.uname().machine]
libc = ctypes.CDLL(None)
for name in ("shmget", "semget", "msgget"):
    size = (ctypes.c_size_t(1),) if name != "msgget" else ()
    if getattr(libc, name)(0x5A5A, *size, 0) >= 0: print("found", name)
if libc.mq_open(b"/canary-left-behind", 0) >= 0: print("found a queue")
for ring in (-1, -2, -3, -4, -5):
    if libc.syscall(KEYCTL, 10, ring, b"user", b"canary-left-behind", 0) >= 0: print("found a key")
for top, directories, names in os.walk("/"):
    if top == "/": directories[:] = [each for each in directories if each not in ("proc", "sys")]
    if "canary-left-behind" in names: print("found in", top)
print("searched")
"""


async def test_a_session_finds_nothing_that_an_earlier_one_left(attacked: Any) -> None:
    async with attacked() as agent:
        await agent.python(LEAVE, *PLACES)
        assert "found in /workspace" in await agent.python(FIND)
        await agent.sandbox.write("canary-left-behind", io.BytesIO(b"x"))
    async with attacked() as agent:
        assert await agent.python(FIND) == "searched\n"


async def test_a_session_finds_nothing_of_one_that_runs(attacked: Any) -> None:
    async with attacked() as one, attacked() as other:
        await one.python(LEAVE, *PLACES)
        assert await other.python(FIND) == "searched\n"
        async with one.meanwhile("print(1, flush=True)\nimport time\ntime.sleep(60)", "visible-77"):
            seen = await other.bash("cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
            assert "visible-77" not in seen


async def test_no_two_sessions_share_a_namespace(attacked: Any) -> None:
    identify = "readlink /proc/self/ns/{pid,net,ipc,mnt,uts}"
    async with attacked() as one, attacked() as other:
        first, second = await one.bash(identify), await other.bash(identify)
    assert len(first.split()) == 5
    assert not set(first.split()) & set(second.split())
