"""Attacks on the server's hands in a sandbox: reading, writing, listing, snapshots, restoring."""

import io
import tarfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import pytest

from proctor.schemas.errors import SubmissionError

SECRET = b"outside-5521"
ROUNDS = 150
SCRATCH = "/tmp"  # noqa: S108 - the sandbox's own

SWAP = """
import ctypes, os, sys, time
libc = ctypes.CDLL(None, use_errno=True)
outside, one, other = sys.argv[1:4]
os.makedirs(outside, exist_ok=True)
open(outside + "/f", "w").write("outside-5521")
MAKE
until, swaps = time.monotonic() + 60, 0
while time.monotonic() < until:
    if libc.renameat2(-100, one.encode(), -100, other.encode(), 2):  # exchange
        raise OSError(ctypes.get_errno(), "swap")
    swaps += 1
    if swaps == 50:
        print("at it", flush=True)
"""
DIRECTORY_AND_LINK = SWAP.replace(
    "MAKE", "os.makedirs('d'); open('d/f', 'w').write('inside'); os.symlink(outside, 'l')"
)
FILE_AND_LINK = SWAP.replace(
    "MAKE", "open('d', 'w').write('inside'); os.symlink(outside + '/f', 'l')"
)
FILE_AND_FIFO = SWAP.replace("MAKE", "open('d', 'w').write('inside'); os.mkfifo('l')")
FILE_AND_SOCKET = SWAP.replace(
    "MAKE",
    "import socket; open('d', 'w').write('inside'); s = socket.socket(1); s.bind('l'); s.listen()",
)
DIRECTORIES = SWAP.replace(
    "MAKE", "os.makedirs('d/e'); open('d/e/f', 'w').write('inside'); os.makedirs('l/e')"
)


async def survey(agent: Any, path: str) -> set[bytes]:
    """Everything that the server gets to see of `path`, asked for in every way, again and again."""
    seen: set[bytes] = set()
    sandbox = agent.sandbox
    reads: tuple[Callable[[], Awaitable[bytes]], ...] = (
        lambda: sandbox.fetch(path, max_bytes=1000),
        lambda: _data(sandbox.read(path, max_bytes=1000)),
        lambda: _names(sandbox.list(path)),
    )
    with anyio.fail_after(120):
        for _ in range(ROUNDS):
            for read in reads:
                with suppress(OSError):
                    seen.add(await read())
    return seen


async def _data(reading: Awaitable[Any]) -> bytes:
    data: bytes = (await reading).data
    return data


async def _names(listing: Awaitable[Any]) -> bytes:
    return b",".join(entry.name.encode() for entry in (await listing)[0])


async def contents(agent: Any) -> dict[str, bytes]:
    """The plain files of a snapshot."""
    target = io.BytesIO()
    await agent.sandbox.snapshot(target, max_bytes=1 << 20)
    target.seek(0)
    with tarfile.open(fileobj=target) as archive:
        plain = [member for member in archive if member.isreg()]
        return {member.name: archive.extractfile(member).read() for member in plain}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("attack", "path"),
    [(DIRECTORY_AND_LINK, "d/f"), (DIRECTORY_AND_LINK, "d"), (FILE_AND_LINK, "d"),
     (DIRECTORIES, "d/e/f"), (DIRECTORIES, "d/../l/e/f")],
)  # fmt: skip
async def test_what_is_swapped_while_it_is_read_shows_nothing_from_outside(
    attacked: Any, attack: str, path: str
) -> None:
    async with attacked() as agent:
        outside = f"{agent.sandbox.info.scratch}/outside"
        async with agent.meanwhile(attack, outside, "d", "l"):
            seen = await survey(agent, path)
            for _ in range(20):
                with anyio.fail_after(60):
                    taken = await contents(agent)
                assert SECRET not in taken.values()
        assert not any(SECRET in each for each in seen)
        assert seen & {b"inside", b"f"}
        assert await agent.is_alive()


@pytest.mark.parametrize("attack", [DIRECTORY_AND_LINK, DIRECTORIES])
async def test_what_is_swapped_while_it_is_written_lets_nothing_out(
    attacked: Any, attack: str
) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name in ("d/restored", "d/e/restored"):
            archive.addfile(tarfile.TarInfo(name))
    async with attacked() as agent:
        outside = f"{agent.sandbox.info.scratch}/outside"
        async with agent.meanwhile(attack, outside, "d", "l"):
            with anyio.fail_after(120):
                for number in range(ROUNDS):
                    with suppress(OSError):
                        await agent.sandbox.write(f"d/w{number}", io.BytesIO(b"x"))
                    with suppress(OSError):
                        await agent.sandbox.write(f"d/e/{number}/g", io.BytesIO(b"x"))
                    packed.seek(0)
                    with suppress(OSError):
                        await agent.sandbox.restore(packed)
        assert await agent.bash(f"ls -A {outside}; cat {outside}/f") == "f\n" + SECRET.decode()
        assert ".tmp" not in await agent.bash("ls -AR")
        assert await agent.is_alive()


@pytest.mark.parametrize("attack", [FILE_AND_FIFO, FILE_AND_SOCKET])
async def test_a_pipe_or_socket_swapped_in_keeps_nobody_waiting(attacked: Any, attack: str) -> None:
    async with attacked() as agent:
        async with agent.meanwhile(attack, f"{agent.sandbox.info.scratch}/o", "d", "l"):
            assert await survey(agent, "d") == {b"inside"}
            with anyio.fail_after(60):
                for number in range(ROUNDS):
                    await agent.sandbox.write(f"w{number}", io.BytesIO(b"x"))
                    assert set((await contents(agent)).values()) <= {b"inside", b"x"}
        assert await agent.is_alive()


async def test_a_name_made_a_hard_link_is_replaced_and_its_other_names_kept(attacked: Any) -> None:
    async with attacked() as agent:
        await agent.bash("echo old > kept; ln kept name")
        await agent.sandbox.write("name", io.BytesIO(b"new"))
        assert await agent.bash("cat kept name") == "old\nnew"
        said = await agent.python(
            "import os, sys\n"
            "for target in ('/etc/passwd', sys.executable, '/proc/1/environ', '/proc/1/maps'):\n"
            "    try: os.link(target, 'stolen'); print('linked', target)\n"
            "    except OSError as error: print('no', error.errno)"
        )
        assert said.split("\n")[:-1].count("no 18") + said.count("no 1\n") == 4, said


async def test_no_device_can_be_made(attacked: Any) -> None:
    async with attacked() as agent:
        said = await agent.python(
            "import os, stat\n"
            "for kind in (stat.S_IFCHR, stat.S_IFBLK):\n"
            "    for major, minor in ((1, 1), (1, 5), (8, 0), (253, 0), (254, 0)):\n"
            "        for place in ('.', '/tmp', '/dev/shm'):\n"
            "            try: os.mknod(place + '/x', kind | 0o666, os.makedev(major, minor))\n"
            "            except PermissionError: continue\n"
            "            print('made', major, minor, place)"
        )
        assert said == ""
        assert "brw" not in await agent.bash("ls -l /dev")


LINKS = (
    "/proc/self/maps", "/proc/1/maps", "/proc/self/cwd/d/f", "/proc/self/root/etc/passwd",
    "/proc/self/fd/0", "/dev/fd/0", "/dev/stdin", "/dev/zero", "/etc/passwd", "loop", "../" * 40,
    "d/../../etc/passwd",
)  # fmt: skip


async def test_no_link_of_any_kind_leads_the_server_out(attacked: Any, tmp_path: Path) -> None:
    (tmp_path / "host").write_bytes(SECRET)
    async with attacked() as agent:
        await agent.bash("mkdir d; echo -n inside > d/f; ln -s loop loop; ln -s d/../d/f fine")
        for number, link in enumerate((*LINKS, str(tmp_path / "host"))):
            name = f"l{number}"
            await agent.bash(f"ln -s {link} {name}")
            for path in (name, f"{name}/", f"{name}/f", f"d/../{name}", f"./{name}"):
                with pytest.raises(OSError), anyio.fail_after(20):  # noqa: PT011 - each its own
                    await agent.sandbox.fetch(path, max_bytes=1 << 20)
                with pytest.raises(OSError), anyio.fail_after(20):  # noqa: PT011
                    await agent.sandbox.list(path)
                with pytest.raises(OSError), anyio.fail_after(20):  # noqa: PT011
                    await agent.sandbox.write(f"{path}/x", io.BytesIO(b"x"))
        assert await contents(agent) == {"d/f": b"inside"}
        assert await agent.sandbox.fetch("fine", max_bytes=10) == b"inside"
        assert await agent.is_alive()


async def test_a_root_that_became_a_link_does_not_show_the_helper(attacked: Any) -> None:
    async with attacked() as agent:
        made = f"{agent.sandbox.info.scratch}/made"
        for target in ("/proc/self", "/proc/1", "/proc/thread-self", "/proc"):
            await agent.bash(f"rm -f {made}; ln -s {target} {made}")
            for name in ("maps", "environ", "cmdline", "self/maps"):
                with pytest.raises(OSError):  # noqa: PT011 - not found or not permitted
                    await agent.sandbox.fetch(name, root=made, max_bytes=1 << 20)
        assert await agent.is_alive()


async def test_a_file_of_holes_keeps_nobody_waiting(attacked: Any) -> None:
    async with attacked() as agent:
        await agent.bash("truncate -s 4T holes")
        with anyio.fail_after(60):
            with pytest.raises(OSError, match="no line 9"):
                await agent.sandbox.read("holes", offset=9, max_bytes=100)
            with pytest.raises(OSError, match="larger than"):
                await agent.sandbox.fetch("holes", max_bytes=100)
            with pytest.raises(SubmissionError, match="too large"):
                await agent.sandbox.snapshot(io.BytesIO(), max_bytes=1 << 20)
        assert await agent.is_alive()


async def test_files_are_written_though_the_agent_removed_the_place_of_uploads(
    attacked: Any,
) -> None:
    async with attacked() as agent:
        await agent.bash(f"rm -rf {agent.sandbox.info.scratch}/* {agent.sandbox.info.scratch}/.*")
        await agent.sandbox.write("f", io.BytesIO(b"x" * 1_000_000))
        assert len(await agent.sandbox.fetch("f", max_bytes=1 << 20)) == 1_000_000


def member(name: str, **fields: Any) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(info, field, value)
    return info


@pytest.mark.parametrize(
    "members",
    [
        [member("../escaped-31")],
        [member(f"{SCRATCH}/escaped-31")],
        [member("a/../../escaped-31")],
        [member("l", type=tarfile.SYMTYPE, linkname=SCRATCH), member("l/escaped-31")],
        [member("l", type=tarfile.SYMTYPE, linkname=".."), member("l/tmp/escaped-31")],
        [member("h", type=tarfile.LNKTYPE, linkname="/etc/passwd"), member("h")],
        [member("c", type=tarfile.CHRTYPE, devmajor=1, devminor=5)],
        [member("f", type=tarfile.FIFOTYPE), member("f/escaped-31")],
        [member("s", mode=0o6755)],
        [member("d", type=tarfile.DIRTYPE, mode=0), member("d/x")],
    ],
)
async def test_no_archive_writes_elsewhere_or_more_than_files(
    attacked: Any, members: list[tarfile.TarInfo]
) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for each in members:
            archive.addfile(each)
    packed.seek(0)
    async with attacked() as agent:
        with suppress(OSError, ValueError):
            await agent.sandbox.restore(packed)
        assert await agent.bash("ls -d /escaped-31 /tmp/escaped-31 2>/dev/null") == ""
        odd = "import os, stat, sys\nfor name in os.listdir():\n    mode = os.lstat(name).st_mode\n"
        odd += "    if mode & 0o7000 or stat.S_IFMT(mode) not in (0o100000, 0o40000, 0o120000):\n"
        odd += "        print(name, oct(mode))"
        assert await agent.python(odd) == ""
        assert await agent.is_alive()
