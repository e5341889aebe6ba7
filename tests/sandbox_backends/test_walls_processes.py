"""Attacks on the helper, on the processes between it and the agent, and on its stream."""

import io
from typing import Any

import anyio
import pytest

SIGNALS = """
import os, signal
me = os.getpid()
for number in range(1, 65):
    try: os.kill(1, number)
    except OSError as error: pass
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("sent", flush=True)
"""

RUNNING = """
import os, sys
marker, found = sys.argv[1][::-1].encode(), 0
for name in os.listdir("/proc"):
    if name.isdigit():
        try: found += marker in open(f"/proc/{name}/cmdline", "rb").read()
        except OSError: pass
print(found)
"""


async def running(agent: Any, marker: str) -> int:
    """How many of the agent's processes have `marker` among their arguments."""
    return int(await agent.python(RUNNING, marker[::-1]))


LIMIT = """
import os, resource
for name in ("CPU", "NOFILE", "AS", "FSIZE", "NPROC", "DATA", "SIGPENDING"):
    try: print("limited", name, resource.prlimit(1, getattr(resource, "RLIMIT_" + name), (0, 0)))
    except OSError: pass
print("done")
"""


async def test_the_agent_cannot_limit_the_helper(attacked: Any) -> None:
    async with attacked() as agent:
        assert await agent.python(LIMIT) == "done\n"
        assert await agent.is_alive()


async def test_no_signal_from_the_agent_reaches_the_helper(attacked: Any) -> None:
    async with attacked() as agent:
        for _ in range(3):
            assert await agent.python(SIGNALS) == "sent\n"
        result = await agent.sandbox.exec(["bash", "-c", "kill -9 -1; echo on"], timeout_s=30)
        assert result.exit_code in (0, 137)
        assert await agent.is_alive()


PEEK = """
import ctypes, os, struct
libc = ctypes.CDLL(None, use_errno=True)
mine, parent = os.getpid(), os.getppid()
def call(name, *arguments):
    result = getattr(libc, name)(*arguments) if isinstance(name, str) else libc.syscall(name, *arguments)
    if result >= 0: print("succeeded", name, arguments)
buffer = ctypes.create_string_buffer(64)
local = (ctypes.c_void_p * 2)(ctypes.addressof(buffer), 64)
for pid in {1, parent, *(int(name) for name in os.listdir("/proc") if name.isdigit())} - {mine}:
    for name in ("mem", "environ", "maps", "auxv", "fd/0", "fd/1", "fd/3", "fdinfo/1", "syscall",
                 "stack", "root/etc/passwd", "cwd/f", "pagemap", "oom_score_adj", "clear_refs",
                 "attr/current", "coredump_filter"):
        for mode in ("rb", "r+b"):
            try: open(f"/proc/{pid}/{name}", mode).read(1)
            except OSError: continue
            if mode == "r+b" or name not in ("oom_score_adj", "attr/current", "coredump_filter"):
                print("opened", pid, name, mode)
    for link in ("exe", "cwd", "root", "ns/pid"):
        try: print("read", pid, link, os.readlink(f"/proc/{pid}/{link}"))
        except OSError: pass
    call("ptrace", 16, pid, 0, 0)
    call("ptrace", 0x4206, pid, 0, 0)
    call("process_vm_readv", pid, local, 1, local, 1, 0)
    call("process_vm_writev", pid, local, 1, local, 1, 0)
    pidfd = libc.syscall(434, pid, 0)
    for fd in range(12):
        if pidfd >= 0: call(438, pidfd, fd, 0)
print("done")
"""  # noqa: E501


async def test_neither_memory_nor_environment_nor_descriptors_of_the_helpers_can_be_had(
    attacked: Any,
) -> None:
    async with attacked() as agent:
        async with anyio.create_task_group() as tasks:  # so that some supervisors wait
            for _ in range(3):
                tasks.start_soon(agent.bash, "sleep 0.2")
        for _ in range(3):
            assert await agent.python(PEEK) == "done\n"
        assert await agent.is_alive()


async def test_a_command_inherits_its_three_streams_and_nothing_else(attacked: Any) -> None:
    inherited = "import os\nfor fd in range(20000):\n    try: print(fd, os.readlink(f'/proc/self/fd/{fd}'))\n    except OSError: pass"  # noqa: E501
    async with attacked() as agent:
        said = (await agent.python(inherited)).splitlines()
        assert [line.split(":")[0] for line in said] == ["0 /dev/null", "1 pipe", "2 pipe"]


FORGE = r"""
import json, os, struct
def frame(meta, data=b""):
    raw = json.dumps(meta).encode()
    return struct.pack(">II", len(raw), len(data)) + raw + data
forged = b"".join(frame({"id": number, "ok": {"survivors": 0}}) for number in range(200))
forged += b'{"exit": 0}\n{"over": true}\n' + b"00000000" * 10
for pid in (name for name in os.listdir("/proc") if name.isdigit()):
    for fd in range(64):
        try: os.write(os.open(f"/proc/{pid}/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK), forged)
        except OSError: pass
for fd in range(64):
    try: os.write(fd, forged)
    except OSError: pass
os._exit(7)
"""


async def test_frames_that_a_command_forges_are_its_output_and_no_more(attacked: Any) -> None:
    async with attacked() as agent:
        for _ in range(3):
            result = await agent.sandbox.exec(
                [agent.sandbox.info.python, "-c", FORGE], timeout_s=60
            )
            assert result.exit_code == 7
            assert b"survivors" in result.stdout.head + result.stdout.tail
            await agent.sandbox.write("f", io.BytesIO(result.stdout.tail))
            await agent.sandbox.read("f", max_bytes=1000)
        assert await agent.is_alive()


SURVIVE = """
import os, signal, sys, time
print("begun", flush=True)
for number in (1, 2, 15): signal.signal(number, signal.SIG_IGN)
until = time.monotonic() + 20
while time.monotonic() < until:
    try:
        if os.fork():
            if os.getpid() % 3: time.sleep(0.01)
            else: os._exit(0)
        else:
            os.setsid()
            if os.getpid() % 5 == 0: os.kill(os.getpid(), signal.SIGSTOP)
    except OSError:
        time.sleep(0.01)
"""


async def test_nothing_survives_a_timeout_however_it_forks_and_hides(attacked: Any) -> None:
    async with attacked(pids=100) as agent:
        if agent.sandbox.info.limits != "full":
            pytest.skip("no control groups here, so the number of processes has no limit")
        for number in range(4):
            marker = f"hidden-{number}"
            argv = [agent.sandbox.info.python, "-c", SURVIVE, marker]
            with anyio.fail_after(60):
                result = await agent.sandbox.exec(argv, timeout_s=0.5)
            assert result.timed_out or result.exit_code == 0
            await agent.sandbox.kill_all() if not result.timed_out else None
            assert await running(agent, marker) == 0
        assert await agent.is_alive()


STOP_THE_OTHERS = """
import os, signal, time
print("at it", flush=True)
for _ in range(6000):
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) not in (1, os.getpid()):
            try: os.kill(int(name), signal.SIGNAL)
            except OSError: pass
    time.sleep(0.01)
"""


@pytest.mark.parametrize("number", ["SIGSTOP", "SIGKILL"])
async def test_stopping_or_killing_all_that_serves_it_keeps_the_agent_from_its_commands_alone(
    attacked: Any, number: str
) -> None:
    long = ["true", "x" * 100_000, "x" * 100_000]
    async with attacked() as agent:
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(agent.bash, "sleep 0.2")
        async with agent.meanwhile(STOP_THE_OTHERS.replace("SIGNAL", number)):
            with anyio.fail_after(90):
                for argv in (long, ["true"], long):
                    await agent.sandbox.exec(argv, timeout_s=0.5)
                await agent.sandbox.write("f", io.BytesIO(b"x"))
                await agent.sandbox.kill_all()
        assert await agent.is_alive()


@pytest.mark.parametrize(
    "make",
    ["mkfifo s.py; (exec 3<>s.py; setsid sleep 300 >/dev/null 2>&1 &)",
     "ln -s /proc/self/fd/0 s.py", "ln -s /dev/zero s.py", "ln -s /proc/self/mem s.py"],
)  # fmt: skip
async def test_no_kind_of_script_brings_the_helper_down(attacked: Any, make: str) -> None:
    async with attacked() as agent:
        await agent.bash(make)
        argv = [agent.sandbox.info.python, f"{agent.sandbox.info.workdir}/s.py"]
        with anyio.fail_after(60):
            await agent.sandbox.exec(argv, timeout_s=1, preloaded=True)
        assert await agent.is_alive()


async def test_jobs_of_long_arguments_can_be_listed(attacked: Any) -> None:
    async with attacked() as agent:
        for _ in range(8):
            await agent.sandbox.exec(["true", *["é" * 100_000]], timeout_s=30, foreground_s=0)
        assert len(await agent.sandbox.jobs()) == 8
        assert await agent.is_alive()


PROC_TRICKS = (
    "echo c > /proc/sysrq-trigger", "echo 1 > /proc/sys/kernel/panic",
    "echo /tmp/x > /proc/sys/kernel/core_pattern", "echo 1 > /proc/sys/vm/drop_caches",
    "echo x > /proc/sys/kernel/hostname", "echo -1000 > /proc/self/oom_score_adj",
    "echo 0 > /proc/1/oom_score_adj", "echo 0 1 > /proc/1/timerslack_ns", "cat /proc/kcore",
    "cat /proc/kmsg", "cat /dev/mem", "dmesg 2>/dev/null", "chroot / true", "swapoff -a",
    "echo 0 0 1 > /proc/self/uid_map", "echo > /sys/kernel/uevent_helper",
    "mount --bind /proc/1 /tmp", "mount -o remount,rw /", "nsenter -t 1 -m true",
    "ls /proc/1/task/1/fd", "cat /proc/1/task/1/environ", "cat /proc/self/../1/mem",
    "exec 3<>/proc/1/mem",
)  # fmt: skip


async def test_no_trick_with_the_kernels_files_works(attacked: Any) -> None:
    async with attacked() as agent:
        worked = [
            trick
            for trick in PROC_TRICKS
            if await agent.bash(f"({trick}) >/dev/null 2>&1 && echo worked")
        ]
        assert worked == []
        assert await agent.is_alive()
