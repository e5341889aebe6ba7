"""The system-call filter: what it forbids, and all that it must not be in the way of."""

import errno
import io
import json
import platform
import re
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor.sandbox_backends.base import Backend, Sandbox
from proctor.sandbox_backends.bubblewrap import Launch
from proctor.sandbox_backends.seccomp import PROFILE, compiled, filter_to_inherit
from proctor.schemas.errors import SandboxStartError
from proctor.schemas.sandbox import MEBIBYTE, SandboxSpec

SPEC = SandboxSpec()


async def python(sandbox: Sandbox, source: str, timeout_s: float = 120) -> str:
    await sandbox.write("script.py", io.BytesIO(source.encode()))
    result = await sandbox.exec([sandbox.info.python, "script.py"], timeout_s=timeout_s)
    assert result.exit_code == 0, result.stderr.text()
    return result.stdout.text()


NUMBERS = {  # of x86_64, of aarch64; where there is one, it is the same on both
    "acct": (163, 89), "add_key": (248, 217), "bpf": (321, 280), "clock_adjtime": (305, 266),
    "clock_settime": (227, 112), "clone": (56, 220), "fanotify_init": (300, 262),
    "finit_module": (313, 273), "ioctl": (16, 29), "ioprio_set": (251, 30), "kcmp": (312, 272),
    "kexec_load": (246, 104), "keyctl": (250, 219), "lookup_dcookie": (212, 18),
    "migrate_pages": (256, 238), "mount": (165, 40), "open_by_handle_at": (304, 265),
    "perf_event_open": (298, 241), "personality": (135, 92), "pivot_root": (155, 41),
    "prlimit64": (302, 261), "ptrace": (101, 117), "quotactl": (179, 60), "reboot": (169, 142),
    "request_key": (249, 218), "sched_setattr": (314, 274), "sched_setscheduler": (144, 119),
    "setdomainname": (171, 162), "sethostname": (170, 161), "setns": (308, 268),
    "setpriority": (141, 140), "settimeofday": (164, 170), "socket": (41, 198),
    "swapon": (167, 224), "syslog": (103, 116), "unshare": (272, 97), "userfaultfd": (323, 282),
    "vhangup": (153, 58),
    "io_uring_setup": (425,), "io_uring_enter": (426,), "io_uring_register": (427,),
    "open_tree": (428,), "move_mount": (429,), "fsopen": (430,), "fspick": (433,),
    "clone3": (435,), "pidfd_open": (434,), "pidfd_getfd": (438,), "mount_setattr": (442,),
    "quotactl_fd": (443,), "a newer one": (999,),
}  # fmt: skip

NEW_NAMESPACES = {
    "time": 0x80, "mount": 0x20000, "cgroup": 0x0200_0000, "uts": 0x0400_0000,
    "ipc": 0x0800_0000, "user": 0x1000_0000, "pid": 0x2000_0000, "network": 0x4000_0000,
}  # fmt: skip
FAMILIES = {
    "unspecified": 0, "AX25": 3, "IPX": 4, "X25": 9, "KEY": 15, "PACKET": 17, "RDS": 21,
    "CAN": 29, "TIPC": 30, "BLUETOOTH": 31, "ALG": 38, "VSOCK": 40, "QIPCRTR": 42, "XDP": 44,
}  # fmt: skip
SIGCHLD, PTRACE_ATTACH, PTRACE_SEIZE = 17, 16, 0x4206
TIOCSTI, TIOCLINUX = 0x5412, 0x541C
A_NUMBER_THE_KERNEL_CUTS_TO_32_BITS = 1 << 40

Call = tuple[str, str, tuple[int | str, ...], int]


def forbidden() -> list[Call]:
    """What to call it, the system call, its arguments (``new``: a pointer) and its errno."""
    unlisted = set(NUMBERS) - {
        "clone", "clone3", "ioctl", "ioprio_set", "personality", "pidfd_getfd", "pidfd_open",
        "prlimit64", "ptrace", "sched_setattr", "sched_setscheduler", "setpriority", "socket",
        "unshare", "a newer one",
    }  # fmt: skip
    calls: list[Call] = [(name, name, (0, 0, 0, 0), errno.EPERM) for name in sorted(unlisted)]
    for name, flag in NEW_NAMESPACES.items():
        calls.append((f"unshare {name}", "unshare", (flag,), errno.EPERM))
        if name != "time":  # clone takes that bit for one of the signal at the end
            calls.append((f"clone {name}", "clone", (flag | SIGCHLD, 0), errno.EPERM))
    for name, family in FAMILIES.items():
        calls.append((f"socket {name}", "socket", (family, 3, 0), errno.EAFNOSUPPORT))
    for high in (0, A_NUMBER_THE_KERNEL_CUTS_TO_32_BITS):
        calls += [
            (f"TIOCSTI {high}", "ioctl", ("tty", high | TIOCSTI, "new"), errno.EPERM),
            (f"TIOCLINUX {high}", "ioctl", ("tty", high | TIOCLINUX, "new"), errno.EPERM),
            (f"a limit of PID 1 {high}", "prlimit64", (high | 1, 7, "new", 0), errno.EPERM),
            (f"priority of PID 1 {high}", "setpriority", (0, high | 1, 19), errno.EPERM),
            (f"policy of PID 1 {high}", "sched_setscheduler", (high | 1, 5, "new"), errno.EPERM),
            (f"attributes of PID 1 {high}", "sched_setattr", (high | 1, "new", 0), errno.EPERM),
        ]
    return [
        *calls,
        ("priority of the user", "setpriority", (2, 0, 19), errno.EPERM),
        ("I/O of PID 1", "ioprio_set", (1, 1, 3 << 13), errno.EPERM),
        ("I/O of the user", "ioprio_set", (3, 0, 3 << 13), errno.EPERM),
        ("a descriptor of PID 1", "pidfd_getfd", ("helper", 0, 0), errno.EPERM),
        ("attach to PID 1", "ptrace", (PTRACE_ATTACH, 1, 0, 0), errno.EPERM),
        ("seize PID 1", "ptrace", (PTRACE_SEIZE, 1, 0, 0), errno.EPERM),
        ("executable data", "personality", (0x40_0000,), errno.EPERM),
        ("clone3", "clone3", ("new", 88), errno.ENOSYS),
        ("a newer one", "a newer one", (), errno.ENOSYS),
    ]


RAW_CALLS = """
import ctypes, json, os, platform
libc = ctypes.CDLL(None, use_errno=True)
arm = platform.machine() == "aarch64"
numbers, calls = json.loads(INPUT)
known = {
    "new": ctypes.addressof(ctypes.create_string_buffer(256)),
    "tty": os.openpty()[1],
    "helper": os.pidfd_open(1),
}
found = {}
for about, name, arguments, _ in calls:
    number = numbers[name][-1 if arm else 0]
    values = [ctypes.c_ulong(known.get(value, value)) for value in arguments]
    mine = os.getpid()
    worked = libc.syscall(ctypes.c_long(number), *values) >= 0
    if os.getpid() != mine:
        os._exit(0)
    found[about] = 0 if worked else ctypes.get_errno()
print(json.dumps(found))
"""


async def test_what_is_forbidden_fails_as_if_it_were_not_there(isolating: Backend) -> None:
    calls = forbidden()
    script = RAW_CALLS.replace("INPUT", repr(json.dumps([NUMBERS, calls])))
    async with isolating(SPEC) as sandbox:
        found = json.loads(await python(sandbox, script))
        assert (await sandbox.exec(["true"], timeout_s=30)).exit_code == 0
    assert found == {about: number for about, _, _, number in calls}


ORDINARY = """
import asyncio, fcntl, mmap, multiprocessing, os, resource, socket, sqlite3, subprocess, sys
import tempfile, termios, threading

def double(value):
    return 2 * value

async def echo():
    async def serve(reader, writer):
        writer.write(await reader.read(5)); await writer.drain(); writer.close()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"hello")
        assert await reader.read(5) == b"hello"
        writer.close()
    process = await asyncio.create_subprocess_exec("true")
    assert await process.wait() == 0

def main():
    threads = [threading.Thread(target=double, args=(n,)) for n in range(8)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    for method in ("fork", "spawn", "forkserver"):
        with multiprocessing.get_context(method).Pool(2) as pool:
            assert pool.map(double, range(4)) == [0, 2, 4, 6], method
    assert subprocess.run(["bash", "-c", "echo $((6 * 7)) | cat"], capture_output=True,
                          start_new_session=True).stdout == b"42\\n"
    asyncio.run(echo())
    for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
        socket.socket(family, socket.SOCK_DGRAM).close()
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).close()
    assert socket.if_nameindex()
    one, other = socket.socketpair()
    socket.send_fds(one, [b"x"], [0])
    assert len(socket.recv_fds(other, 1, 1)[1]) == 1

    with mmap.mmap(-1, 1 << 20) as memory:
        memory.write(b"x")
    fd = os.memfd_create("x")
    os.write(fd, b"x")
    import numpy
    values = numpy.random.default_rng(0).normal(size=(200, 200))
    assert numpy.allclose(numpy.linalg.inv(values) @ values, numpy.eye(200))
    with tempfile.TemporaryDirectory() as place:
        database = sqlite3.connect(f"{place}/db")
        assert database.execute("pragma journal_mode=wal").fetchone() == ("wal",)
        database.execute("create table t (x)"); database.execute("insert into t values (1)")
        database.commit(); database.close()

    os.nice(1)
    os.sched_setaffinity(os.getpid(), os.sched_getaffinity(0))
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    limits = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, limits)
    assert resource.prlimit(0, resource.RLIMIT_CORE, limits) == limits
    assert resource.prlimit(os.getpid(), resource.RLIMIT_CORE) == limits
    controller, terminal = os.openpty()
    termios.tcgetattr(terminal)
    fcntl.ioctl(terminal, termios.TIOCGWINSZ, b"\\0" * 8)
    print("all is well")

if __name__ == "__main__":
    main()
"""


async def test_nothing_ordinary_is_in_its_way(isolating: Backend) -> None:
    async with isolating(SPEC) as sandbox:
        assert await python(sandbox, ORDINARY) == "all is well\n"


COMPUTE = "#include <stdio.h>\nint half(int x) { return x / 2; }\n" + (
    'int main(void) { printf("%d\\n", half(84)); return 0; }\n'
)
TOOLS = {
    "gcc": ("gcc -g f.c -o f && ./f", "42"),
    "strace": ("strace -f sh -c 'echo traced'", r"traced[\s\S]*\+\+\+ exited with 0"),
    "gdb": ("gcc -g f.c -o f; gdb -batch -ex 'break half' -ex run -ex bt ./f", r"half \(x=84\)"),
    "git": ("git init -q r && cd r && git add -A && git status", "On branch"),
    "node": ("node -e 'setTimeout(() => console.log(6 * 7), 1)'", "42"),
    "java": ("java -version", "version"),
    "setarch": ("setarch -R true && echo run", "run"),
    "prlimit": ("prlimit --nofile=64:64 sh -c 'ulimit -n'", "64"),
    "taskset": ("taskset -c 0 sh -c 'taskset -p $$'", "mask: 1"),
    "ionice": ("ionice -c 3 nice -n 5 chrt --batch 0 echo run", "run"),
    "unshare": ("unshare --user true; echo code $?", "not permitted|code 1"),
}


@pytest.mark.parametrize("tool", TOOLS)
async def test_tools_of_the_trade_run_under_it(isolating: Backend, tool: str) -> None:
    command, said = TOOLS[tool]
    async with isolating(SPEC) as sandbox:
        needed = f"command -v {tool} && command -v {command.split()[0]}"
        if (await sandbox.exec(["sh", "-c", needed], timeout_s=30)).exit_code:
            pytest.skip(f"{tool} is not in this sandbox")
        await sandbox.write("f.c", io.BytesIO(COMPUTE.encode()))
        result = await sandbox.exec(["sh", "-c", command], timeout_s=60)
    assert re.search(said, result.stdout.text() + result.stderr.text())


DEFUSE = """
import os, time
for score in (0, -900):
    try:
        open("/proc/self/oom_score_adj", "w").write(str(score))
        print("lowered to", score)
    except OSError as error:
        print(error.strerror)
"""
FILL = """
import mmap, os, sys, time
for number in range(30):
    if os.fork():
        continue
    kept = []
    while True:
        if number % 2:
            kept.append(os.memfd_create("x"))
            os.write(kept[-1], bytes(2 << 20))
        else:
            kept.append(mmap.mmap(-1, 2 << 20))
            kept[-1].write(bytes(2 << 20))
        time.sleep(0.001)
while True:
    try: os.wait()
    except ChildProcessError: break
"""


async def test_the_agent_cannot_offer_the_helper_to_the_kernel_in_its_place(
    isolating: Backend,
) -> None:
    small = SPEC.model_copy(update={"memory_bytes": 256 * MEBIBYTE})
    async with isolating(small) as sandbox:
        said = await python(sandbox, DEFUSE)
        score = await sandbox.exec(["cat", "/proc/self/oom_score_adj"], timeout_s=30)
        assert score.stdout.text() == "1000\n"
        if sandbox.info.limits != "full":
            pytest.skip("no control groups here, so nobody runs out of memory")
        await sandbox.exec([sandbox.info.python, "-c", FILL], timeout_s=60)
        alive = await sandbox.exec(["echo", "alive"], timeout_s=30)
    assert said == "Permission denied\n" * 2
    assert alive.stdout.text() == "alive\n"


WRITES = """
echo x > /dev/null && echo x > /dev/shm/f && echo x > /tmp/f && echo x > f && echo written
mkdir -p a b && echo x > a/f && python3 -c "
import os
os.rename('a/f', 'b/f')
os.link('b/f', 'a/g')
print('renamed')
file, terminal = os.memfd_create('x'), os.openpty()[1]
for path in (f'/proc/self/fd/{file}', os.ttyname(terminal)):
    with open(path, 'w') as out: out.write('x')
print('opened')
"
mkfifo pipe; (echo through > pipe &); cat pipe
echo out > /dev/stdout; echo err > /proc/self/fd/2; echo : > f; truncate -s 9 f
"""


async def test_writing_elsewhere_than_to_the_kernels_own_files_stays_as_it_was(
    isolating: Backend,
) -> None:
    async with isolating(SPEC) as sandbox:
        result = await sandbox.exec(["bash", "-c", WRITES], timeout_s=60)
    assert result.stdout.text().split() == ["written", "renamed", "opened", "through", "out"]
    assert result.stderr.text() == "err\n"


# What libseccomp makes of the profile, against what the profile says.

EM = {"x86_64": 0xC000_003E, "aarch64": 0xC000_00B7}
ALLOWED = 0x7FFF_0000
WORD = 0xFFFF_FFFF


def compiled_here() -> bytes:
    try:
        return compiled()
    except SandboxStartError as error:
        pytest.skip(str(error))


def run(program: bytes, number: int, arguments: Sequence[int]) -> int:
    """What a program of Berkeley's packet filter answers, as the kernel would run it."""
    whole = (*arguments, *[0] * (6 - len(arguments)))
    data = struct.pack("=IIQ6Q", number, EM[platform.machine()], 0, *whole)
    code = list(struct.iter_unpack("=HBBI", program))
    at = accumulator = 0
    while True:
        operation, if_true, if_false, k = code[at]
        at += 1
        if operation == 0x20:
            accumulator = struct.unpack_from("=I", data, k)[0]
        elif operation == 0x54:
            accumulator &= k
        elif operation == 0x05:
            at += k
        elif operation in (0x15, 0x25, 0x35):
            holds = {0x15: accumulator == k, 0x25: accumulator > k, 0x35: accumulator >= k}
            at += if_true if holds[operation] else if_false
        elif operation == 0x06:
            return k
        else:
            raise AssertionError(f"an unforeseen instruction {operation:#x}")


def holds(comparison: Mapping[str, Any], arguments: Sequence[int]) -> bool:
    """Whether an argument is as an entry of the profile asks."""
    index: int = comparison["index"]
    value, than = arguments[index], int(comparison["value"])
    match comparison["op"].removeprefix("SCMP_CMP_"):
        case "EQ":
            return value == than
        case "NE":
            return value != than
        case "LE":
            return value <= than
        case "GT":
            return value > than
        case "MASKED_EQ":
            return value & than == int(comparison["valueTwo"])
        case unforeseen:
            raise AssertionError(unforeseen)


def says(profile: Mapping[str, Any], name: str, arguments: Sequence[int]) -> int:
    """What the profile says of a call."""
    entries: list[dict[str, Any]] = profile["syscalls"]
    for entry in entries:
        asked: list[dict[str, Any]] = entry.get("args", [])
        if name in entry["names"] and all(holds(each, arguments) for each in asked):
            allowed = entry["action"] == "SCMP_ACT_ALLOW"
            return ALLOWED if allowed else 0x5_0000 | entry["errnoRet"]
    return 0x5_0000 | errno.EPERM


interesting = st.one_of(
    st.integers(0, 20),
    st.sampled_from(list(NEW_NAMESPACES.values())),
    st.integers(0x5400, 0x5420),
    st.sampled_from([8, 0x20000, 0x20008, 0x40000, WORD, WORD + 1]),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**64 - 1),
)


@given(
    name=st.sampled_from(sorted(set(NUMBERS) - {"a newer one"})),
    arguments=st.tuples(interesting, interesting, interesting),
    high=st.sampled_from([0, 0, 1 << 32, 1 << 63]),
)
def test_the_compiled_filter_decides_as_the_profile_says(
    name: str, arguments: tuple[int, ...], high: int
) -> None:
    program, profile = compiled_here(), json.loads(PROFILE.read_text())
    number = NUMBERS[name][-1 if platform.machine() == "aarch64" else 0]
    for index in range(3):
        passed = [each | high if index == n else each for n, each in enumerate(arguments)]
        assert run(program, number, passed) == says(profile, name, passed)


def test_every_sandbox_is_handed_the_whole_filter_anew() -> None:
    program = compiled_here()
    with filter_to_inherit() as one, filter_to_inherit() as other:
        for handed in (one, other):
            assert f"--seccomp {handed}" in " ".join(Launch(SPEC, handed).command(["true"]))
            with open(handed, "rb", closefd=False) as file:
                assert file.read() == program
