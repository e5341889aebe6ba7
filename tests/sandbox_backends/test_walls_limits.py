"""Attacks that use things up: processes, memory, disk, inodes, descriptors, output, time."""

import io
from typing import Any

import anyio
import pytest

from proctor.schemas.errors import SandboxLostError
from proctor.schemas.sandbox import MEBIBYTE


def need_full_limits(agent: Any) -> None:
    if agent.sandbox.info.limits != "full":
        pytest.skip("no control groups here: what all processes use together has no limit")


FORK = """
import os, time
print("forks", flush=True)
until = time.monotonic() + 60
while time.monotonic() < until:
    try: os.fork()
    except OSError: time.sleep(0.01)
"""


async def test_a_fork_bomb_in_the_background_leaves_the_session_usable(attacked: Any) -> None:
    async with attacked(pids=80) as agent:
        need_full_limits(agent)
        async with agent.meanwhile(FORK):
            await agent.sandbox.write("f", io.BytesIO(b"x"))
            assert await agent.sandbox.fetch("f", max_bytes=10) == b"x"
            for _ in range(20):  # each is data, whatever there is left to run it with
                with anyio.fail_after(60):
                    result = await agent.sandbox.exec(["true"], timeout_s=2)
                assert result.exit_code in (0, 126, 137)
                await agent.sandbox.exec(  # after which an interpreter would be started
                    [agent.sandbox.info.python, "/dev/null"], timeout_s=2, preloaded=True
                )
            with anyio.fail_after(60):
                await agent.sandbox.kill_all()
        assert await agent.is_alive()


HOGS = {
    "heap": "held = []\nwhile True: held.append(bytearray(4 << 20))",
    "shared memory": "f = open('/dev/shm/x', 'wb')\nwhile True: f.write(bytes(4 << 20))",
    "scratch": "import os\nf = open(os.environ['HOME'] + '/x', 'wb')\nwhile True: f.write(bytes(4 << 20))",  # noqa: E501
    "nameless files": "import os\nfd = os.memfd_create('x')\nwhile True: os.write(fd, bytes(4 << 20))",  # noqa: E501
    "pipes": "import os\nwhile True:\n    fd = os.pipe()[1]\n    os.set_blocking(fd, False)\n    os.write(fd, bytes(1 << 16))",  # noqa: E501
    "children": "import os\nfor _ in range(20):\n    if not os.fork():\n        held = []\n        while True: held.append(bytearray(4 << 20))\nos.wait(); raise SystemExit(1)",  # noqa: E501
    "segments that outlive it": """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p
while True:
    number = libc.shmget(0, ctypes.c_size_t(16 << 20), 0o1600)
    if number < 0: raise SystemExit(1)
    ctypes.memset(ctypes.c_void_p(libc.shmat(number, None, 0)), 1, 16 << 20)
""",
}


@pytest.mark.parametrize("hog", sorted(HOGS))
async def test_using_up_memory_ends_the_hog_and_at_worst_its_own_session(
    attacked: Any, hog: str
) -> None:
    async with attacked(memory_bytes=256 * MEBIBYTE) as agent:
        need_full_limits(agent)
        try:
            with anyio.fail_after(120):
                result = await agent.sandbox.exec(
                    [agent.sandbox.info.python, "-c", HOGS[hog]], timeout_s=60
                )
            assert result.exit_code != 0
            assert await agent.is_alive()
        except SandboxLostError:
            assert hog == "segments that outlive it"  # no process holds what would have to go


INODES = """
import os, sys
for place in sys.argv[1:]:
    os.makedirs(place + "/many", exist_ok=True)
    try:
        for number in range(60_000): os.close(os.open(f"{place}/many/{number}", os.O_CREAT))
    except OSError: pass
print("full")
"""


async def test_using_up_inodes_hurts_nobody_else(attacked: Any) -> None:
    async with attacked(memory_bytes=512 * MEBIBYTE, workspace_bytes=64 * MEBIBYTE) as agent:
        need_full_limits(agent)
        places = (agent.sandbox.info.workdir, agent.sandbox.info.scratch, "/dev/shm")  # noqa: S108
        said = await agent.python(INODES, *places)
        assert said in ("full\n", ""), said
        with anyio.fail_after(60):
            entries, total = await agent.sandbox.list("many", max_entries=10)
        assert (len(entries), total > 10) == (10, True)
        assert await agent.is_alive()


async def test_using_up_every_place_to_write_hurts_nobody_else(attacked: Any) -> None:
    fill = "for place in . /tmp /dev/shm $HOME; do head -c 400M /dev/zero > $place/full; done 2>&1"
    spec = {"memory_bytes": 512 * MEBIBYTE, "workspace_bytes": 64 * MEBIBYTE}
    async with attacked(**spec) as agent:
        need_full_limits(agent)
        assert "No space left" in await agent.bash(fill)
        with pytest.raises(OSError, match="No space left"):
            await agent.sandbox.write("more", io.BytesIO(bytes(3 * MEBIBYTE)))
        assert "alive" in await agent.bash("echo alive")
        await agent.bash("rm full /tmp/full /dev/shm/full")
        await agent.sandbox.write("more", io.BytesIO(bytes(3 * MEBIBYTE)))


DESCRIPTORS = """
import os, time
for _ in range(20):
    if not os.fork(): break
held = []
try:
    while True: held += [os.open("/dev/null", 0)]
except OSError: pass
print("full", flush=True)
time.sleep(60)
"""


async def test_using_up_descriptors_hurts_nobody_else(attacked: Any) -> None:
    async with attacked() as agent, agent.meanwhile(DESCRIPTORS):
        assert await agent.is_alive()
        await agent.sandbox.write("f", io.BytesIO(b"x"))


WATCHES = """
import ctypes, time
libc = ctypes.CDLL(None)
held = 0
while libc.inotify_init() >= 0:
    held += 1
print(held, flush=True)
time.sleep(60)
"""


async def test_what_the_kernel_counts_by_user_is_no_neighbours(attacked: Any) -> None:
    watch = "import ctypes; print(ctypes.CDLL(None).inotify_init() >= 0)"
    async with attacked() as agent, agent.meanwhile(WATCHES):
        assert await agent.python(watch) == "False\n"
        neighbour = [agent.neighbour.info.python, "-c", watch]
        assert (await agent.neighbour.exec(neighbour, timeout_s=60)).stdout.text() == "True\n"


async def test_a_flood_of_output_from_many_commands_stays_bounded(attacked: Any) -> None:
    flood = "yes $RANDOM & yes $RANDOM >&2 & wait"
    async with attacked() as agent:

        async def one() -> None:
            result = await agent.sandbox.exec(["bash", "-c", flood], timeout_s=2)
            for stream in (result.stdout, result.stderr):
                assert len(stream.head) + len(stream.tail) < 40_000

        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(one)
        kept = int(await agent.bash(f"du -xsm {agent.sandbox.info.scratch} | cut -f1"))
        assert kept <= 64 + 8
        assert await agent.is_alive()


async def test_busy_processes_leave_the_neighbour_its_turn(attacked: Any) -> None:
    spin = "import os\nfor _ in range(5): os.fork()\nprint('spins', flush=True)\nwhile True: pass"
    async with attacked() as agent, agent.meanwhile(spin):
        for _ in range(10):
            assert await agent.is_alive()


async def test_what_was_used_up_in_one_session_is_there_for_the_next(attacked: Any) -> None:
    fill = "for place in . /tmp /dev/shm; do head -c 100M /dev/zero > $place/full; done 2>&1"
    for _ in range(3):
        async with attacked(memory_bytes=1024 * MEBIBYTE) as agent:
            assert await agent.bash("ls -A; ls -A /dev/shm") == ""
            assert await agent.bash(fill) == ""
