"""The filtering proxy that stands between a sandbox and the network: one Squid per sandbox.

Squid resolves a name and judges the addresses that it got before it connects, so that no name
leads to a private place. It keeps nothing: no cache, no log, no file. It cannot listen on a Unix
socket, and any user of this machine can connect to a port; so it serves only those that begin, in
the PROXY protocol, with an address that nobody else can guess. It runs as a user of its own where
Proctor is root, and the kernel kills it when the server dies.
"""

import ipaddress
import itertools
import os
import re
import secrets
import shutil
import socket
import subprocess
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from proctor.sandbox_backends.concurrency import alongside
from proctor.schemas.errors import SandboxStartError
from proctor.schemas.sandbox import Network

Networks: TypeAlias = list[ipaddress.IPv4Network | ipaddress.IPv6Network]

HOST = "127.0.0.1"
START_WITHIN_S = 20.0
ANSWERS_EVERY_S = 0.005
LINE_BYTES = 65536
STARTS = 3
"""Attempts, as another program may take the port that was found to be free."""
FIRST_USER = 0x5000_0000
"""Host users of proxies count from here, far above any that a system allocates."""
PLACES = ("/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin", "/sbin", "/bin")
"""Where programs lie; not every user's ``PATH`` names all of them."""
READY, FAILED = "Accepting HTTP Socket connections", "FATAL: "
EVERYWHERE = ("0.0.0.0/0", "2000::/3")
NOT_PUBLIC = (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
    "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
    "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",
    "::/8", "100::/8", "200::/7", "400::/6", "800::/5", "1000::/4", "2001::/23", "2001:db8::/32",
    "2002::/16", "3fff::/20", "4000::/2", "8000::/1",
)  # fmt: skip
"""Every address that no public host has. Source: IANA's registries of special-purpose addresses.

Those that embed an IPv4 address are among them (mapped, NAT64, 6to4, Teredo).
"""
SETTINGS = """\
http_port {host}:{port} require-proxy-header
proxy_protocol_access allow all
acl the_relay src {secret}
acl plain proto HTTP
acl plain_port port {http_port}
acl tls_port port {https_port}
{names}
{addresses}
http_access deny !the_relay
http_access deny manager
http_access deny CONNECT !tls_port
http_access deny !CONNECT !plain
http_access deny !CONNECT !plain_port
http_access deny !named
http_access deny inner
http_access allow reachable
http_access deny all

# What was judged is what is connected to: an answer stays for longer than an attempt may take.
negative_dns_ttl 1 minute
connect_timeout 30 seconds
forward_timeout 30 seconds
hosts_file {hosts_file}

cache deny all
cache_mem 0
memory_pools off
digest_generation off
server_persistent_connections off
quick_abort_min 0 KB
quick_abort_max 0 KB
max_filedescriptors 1024
access_log none
cache_store_log none
cache_log /dev/null
netdb_filename none
pid_filename none
pinger_enable off
icp_port 0
snmp_port 0

visible_hostname proctor
via off
forwarded_for delete
email_err_data off
httpd_suppress_version_string on
"""

_users = itertools.count(FIRST_USER + os.getpid() % 10_000 * 10_000)


@dataclass(frozen=True)
class Egress:
    """An operator's settings of proxies; the defaults are right for the public internet."""

    allow_private: tuple[str, ...] = ()
    """Networks that are reachable though they are private, in CIDR notation: where a mirror is."""
    http_port: int = 80
    https_port: int = 443
    hosts_file: str = "/etc/hosts"
    """Names that are known without asking a server."""
    places: tuple[str, ...] = PLACES
    """Where to look for squid and setpriv."""


@dataclass(frozen=True)
class Proxy:
    """A proxy that serves."""

    address: tuple[str, int]
    greeting: bytes
    """What every connection to it must begin with; a secret."""


@asynccontextmanager
async def filtering_proxy(network: Network, egress: Egress) -> AsyncGenerator[Proxy]:
    """Run a proxy that lets through what `network` names, for as long as the context lasts.

    Raises:
        SandboxStartError: It did not come up; nothing is left behind.
    """
    secret = str(ipaddress.IPv6Address(b"\xfd" + secrets.token_bytes(15)))
    greeting = f"PROXY TCP6 {secret} ::1 1 1\r\n".encode()
    launch = _launch(egress)
    for attempt in itertools.count(1):
        port = _free_port()
        config = settings(network, egress, port, secret)
        async with _running(launch, config, (HOST, port)) as complaint:
            if complaint is None:
                yield Proxy((HOST, port), greeting)
                return
        if attempt == STARTS:
            raise SandboxStartError(f"squid does not start: {complaint}")


def settings(network: Network, egress: Egress, port: int, secret: str) -> str:
    """Squid's configuration, in which nothing is allowed but what `network` names."""
    inner = without(NOT_PUBLIC, egress.allow_private)
    reachable = [*without(EVERYWHERE, NOT_PUBLIC), *map(ipaddress.ip_network, egress.allow_private)]
    names = ["."] if isinstance(network, str) else [_pattern(host) for host in network]
    return SETTINGS.format(
        host=HOST,
        port=port,
        secret=secret,
        http_port=egress.http_port,
        https_port=egress.https_port,
        hosts_file=egress.hosts_file,
        names="\n".join(f"acl named dstdom_regex -n -i {name}" for name in names),
        addresses="\n".join(
            [*(f"acl inner dst {each}" for each in inner),
             *(f"acl reachable dst {each}" for each in reachable)]
        ),
    )  # fmt: skip


def _pattern(host: str) -> str:
    if host.startswith("*."):
        return rf"^([a-z0-9_-]+\.)+{re.escape(host[2:])}$"
    return f"^{re.escape(host)}$"


def without(whole: Iterable[str], holes: Iterable[str]) -> Networks:
    """The networks that remain of `whole` where none of `holes` may be in them."""
    left: Networks = [ipaddress.ip_network(network) for network in whole]
    for hole in map(ipaddress.ip_network, holes):
        left = [piece for network in left for piece in _around(network, hole)]
    return left


def _around(
    network: ipaddress.IPv4Network | ipaddress.IPv6Network,
    hole: ipaddress.IPv4Network | ipaddress.IPv6Network,
) -> Networks:
    if not network.overlaps(hole):
        return [network]
    if isinstance(network, ipaddress.IPv4Network) and isinstance(hole, ipaddress.IPv4Network):
        return list(network.address_exclude(hole)) if hole.subnet_of(network) else []
    if isinstance(network, ipaddress.IPv6Network) and isinstance(hole, ipaddress.IPv6Network):
        return list(network.address_exclude(hole)) if hole.subnet_of(network) else []
    return [network]


def _launch(egress: Egress) -> list[str]:
    """The command line up to Squid's own arguments."""
    found = {
        name: shutil.which(name, path=":".join(egress.places)) for name in ("squid", "setpriv")
    }
    for name, place in found.items():
        if place is None:
            raise SandboxStartError(
                f"network access needs {name}, which is not installed; install it (on Debian, "
                f"'apt install squid util-linux'), or ask for a sandbox without a network"
            )
    drop = ["--no-new-privs", "--pdeathsig", "KILL"]
    if os.geteuid() == 0:
        user = next(_users)
        drop += [f"--reuid={user}", f"--regid={user}", "--clear-groups", "--inh-caps=-all"]
    return [str(found["setpriv"]), *drop, str(found["squid"])]


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as probe:
        return int(probe.getsockname()[1])


@asynccontextmanager
async def _running(
    launch: Sequence[str], config: str, address: tuple[str, int]
) -> AsyncGenerator[str | None]:
    """Run Squid; what is yielded says why it does not serve, or None.

    Its configuration, which holds the secret, is in memory alone: a file would outlive a server
    that is killed.
    """
    name = f"proctor{secrets.token_hex(6)}"
    memory = os.memfd_create(name)
    try:
        os.write(memory, config.encode())
        process = await anyio.open_process(
            [*launch, "-N", "-d", "1", "-n", name, "-f", f"/proc/self/fd/{memory}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=(memory,),
            env={},
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        raise SandboxStartError(f"squid does not start: {error}") from error
    finally:
        os.close(memory)
    try:
        complaint = await _started(process, address)
        _forget_shared_memory(name)
        async with alongside(partial(_discard, process)):
            yield complaint
    finally:
        _forget_shared_memory(name)
        with anyio.CancelScope(shield=True):
            await _kill(process)


async def _started(process: Process, address: tuple[str, int]) -> str | None:
    """Wait until Squid serves; otherwise why it does not."""
    assert process.stderr  # noqa: S101 - it is a pipe
    said, line = BufferedByteReceiveStream(process.stderr), ""
    with anyio.move_on_after(START_WITHIN_S):
        try:
            while READY not in line:
                line = (await said.receive_until(b"\n", LINE_BYTES)).decode("utf-8", "replace")
                if FAILED in line:
                    return line.partition(FAILED)[2].strip()
        except (anyio.IncompleteRead, anyio.EndOfStream, anyio.DelimiterNotFound):
            return line.strip() or "it ends without a word"
        while not await _answers(address):  # noqa: ASYNC110 - it is said shortly before it is so
            await anyio.sleep(ANSWERS_EVERY_S)
        return None
    return f"it was not up in {START_WITHIN_S:g} s"


async def _answers(address: tuple[str, int]) -> bool:
    try:
        await (await anyio.connect_tcp(*address)).aclose()
    except OSError:
        return False
    return True


def _forget_shared_memory(name: str) -> None:
    """Remove the names of Squid's shared memory, which it has no more use for once it runs.

    It would remove them itself, but is killed.
    """
    for path in Path("/dev/shm").glob(f"{name}-*"):  # noqa: S108 - where shm_open() puts it
        path.unlink(missing_ok=True)


async def _discard(process: Process) -> None:
    """Read what Squid goes on to say, so that it never has to wait."""
    assert process.stderr  # noqa: S101 - it is a pipe
    async for _ in process.stderr:
        pass


async def _kill(process: Process) -> None:
    """Kill Squid, which has nothing to save; asked to end, it would take a second."""
    with suppress(ProcessLookupError):
        process.kill()
    await process.wait()
    await process.aclose()
