"""Attacks by network: addresses, names, sockets of the host and of others."""

import socket
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

ENGINES = (
    "/var/run/docker.sock", "/run/docker.sock", "/run/podman/podman.sock",
    "/run/containerd/containerd.sock", "/var/run/docker/containerd/containerd.sock",
    "/run/crio/crio.sock", "/run/user/0/docker.sock", "/run/user/1000/podman/podman.sock",
    "/run/systemd/private", "/run/dbus/system_bus_socket", "/run/snapd.socket",
    "/dev/log",
)  # fmt: skip

REACH = """
import socket, sys
def reach(kind, address, how):
    try:
        with socket.socket(kind, how) as it:
            it.settimeout(2)
            it.connect(address)
            if how != socket.SOCK_DGRAM or kind == socket.AF_UNIX: print("reached", address)
            it.send(b"canary")
    except OSError:
        pass
for port in map(int, sys.argv[1].split(",")):
    for how in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        for host in sys.argv[2].split(","):
            reach(socket.AF_INET6 if ":" in host else socket.AF_INET, (host, port), how)
for path in sys.argv[3].split(","):
    for how in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
        reach(socket.AF_UNIX, path.replace("@", chr(0)), how)
print("done")
"""


@contextmanager
def host_services(directory: Path) -> Generator[tuple[str, str]]:
    """Listeners of the host on every kind of socket, which in the end must have heard nothing.

    Yields their ports, and their local addresses.
    """
    with ExitStack() as opened:
        ports: list[str] = []
        listening: list[socket.socket] = []
        for family, host in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):  # noqa: S104
            for how in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                try:
                    it = opened.enter_context(socket.socket(family, how))
                    it.bind((host, 0))
                except OSError:
                    continue
                if how == socket.SOCK_STREAM:
                    it.listen()
                listening.append(it)
                ports.append(str(it.getsockname()[1]))
        names = ["\0canary-service", str(directory / "canary.sock")]
        for name in names:
            it = opened.enter_context(socket.socket(socket.AF_UNIX))
            it.bind(name)
            it.listen()
            listening.append(it)
        (directory / "canary.sock").chmod(0o777)
        yield ",".join(ports), ",".join(names).replace("\0", "@")
        assert [str(it) for it in listening if _heard(it)] == []


def _heard(it: socket.socket) -> bool:
    it.setblocking(False)  # noqa: FBT003 - the system's signature
    try:
        if it.type == socket.SOCK_DGRAM:
            it.recv(10)
        else:
            it.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def host_sockets() -> list[str]:
    return Path("/proc/net/unix").read_text().split()


def host_addresses() -> list[str]:
    found = {str(each[4][0]).partition("%")[0] for each in socket.getaddrinfo(
        socket.gethostname(), None)}  # fmt: skip
    return sorted(found | {"127.0.0.1", "::1", "172.17.0.1", "0.0.0.0"})  # noqa: S104


async def test_no_service_of_the_host_can_be_reached(attacked: Any, tmp_path: Path) -> None:
    with host_services(tmp_path) as (ports, names):
        async with attacked() as agent:
            said = await agent.python(REACH, ports, ",".join(host_addresses()), names)
            assert said == "done\n"
            assert await agent.is_alive()


async def test_no_engine_or_other_daemon_can_be_reached(attacked: Any) -> None:
    abstract = {name for name in host_sockets() if name.startswith("@")}
    async with attacked() as agent:
        said = await agent.python(REACH, "1", "127.0.0.1", ",".join({*ENGINES, *abstract}))
        assert [line for line in said.splitlines() if "127.0.0.1" not in line] == ["done"]
        seen = await agent.bash("cat /proc/net/unix; ls -d " + " ".join(ENGINES) + " 2>/dev/null")
        assert not [line for line in seen.splitlines()[1:] if "/" in line or "@" in line], seen


async def test_no_name_is_resolved_and_no_address_answers(attacked: Any) -> None:
    resolve = """
import socket
for name in ("example.com", "host.docker.internal", "metadata.google.internal", "proxy"):
    try: print("resolved", name, socket.getaddrinfo(name, 80))
    except OSError: pass
"""
    far = "192.0.2.1,198.51.100.1,169.254.169.254,10.0.0.1,100.100.100.200,2001:db8::1"
    async with attacked() as agent:
        assert await agent.python(resolve) == ""
        assert await agent.python(REACH, "53,80", far, "/nowhere") == "done\n"


async def test_there_is_a_loopback_of_its_own_and_no_other_interface(attacked: Any) -> None:
    raw = """
import socket
for family, kind, protocol in ((socket.AF_INET, socket.SOCK_RAW, 1), (socket.AF_PACKET,
        socket.SOCK_RAW, 0x0300), (socket.AF_INET, socket.SOCK_RAW, 255)):
    try: socket.socket(family, kind, protocol); print("made", family, kind)
    except OSError: pass
"""
    async with attacked() as agent:
        devices = await agent.bash("tail -n +3 /proc/net/dev | cut -d: -f1")
        assert not set(devices.split()) - {"lo", "tunl0", "sit0", "ip6tnl0", "gre0"}
        assert await agent.bash("tail -n +2 /proc/net/route") == ""
        assert await agent.python(raw) == ""


async def test_no_other_kind_of_socket_leads_out(attacked: Any) -> None:
    kinds = """
import socket
for family in range(64):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET):
        try: socket.socket(family, kind).close()
        except OSError: continue
        print(family)
"""
    ordinary = {socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK}
    async with attacked() as agent:
        made = {int(line) for line in (await agent.python(kinds)).split()}
        assert made <= set(map(int, ordinary))  # such as a virtual machine's to its host


SERVE = """
import socket, sys, time
held = []
for name in (chr(0) + "canary-service", ("127.0.0.1", 7531)):
    held.append(socket.socket(socket.AF_UNIX if isinstance(name, str) else socket.AF_INET))
    held[-1].bind(name)
    held[-1].listen()
print("serves", flush=True)
time.sleep(60)
"""


async def test_two_sandboxes_serve_at_the_same_address_unseen(attacked: Any) -> None:
    async with attacked() as one, attacked() as other, one.meanwhile(SERVE):
        said = await other.python(REACH, "7531", "127.0.0.1", "@canary-service")
        assert [line for line in said.splitlines() if "canary" in line] == []
        async with other.meanwhile(SERVE):
            assert await one.is_alive()
