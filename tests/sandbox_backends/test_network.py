"""What a sandbox reaches through its proxy, and what it must never reach.

Real servers listen on this machine's loopback, where no sandbox may ever get to; the operator's
setting for private mirrors opens one address of it.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import anyio
import pytest
from typing_extensions import override

from proctor.sandbox_backends.base import Backend, Sandbox
from proctor.sandbox_backends.local import open_plain
from proctor.sandbox_backends.squid import Egress, filtering_proxy, without
from proctor.schemas.errors import SandboxStartError
from proctor.schemas.sandbox import SandboxSpec

pytestmark = pytest.mark.skipif(
    shutil.which("squid", path="/usr/sbin:/usr/bin:/usr/local/sbin") is None
    and not os.environ.get("PROCTOR_REQUIRE_SQUID"),
    reason="squid is not installed",
)

MIRROR, PRIVATE = "127.0.0.2", "127.0.0.1"
HOSTS = SandboxSpec(network=("allowed.test", "*.wild.test", "rebound.test"))
INTERNET = SandboxSpec(network="internet")
BLOCK = bytes(range(256)) * 256
BLOCKS = 1600
"""100 MiB in all."""
BOUND = 128 << 20
"""More than the kernel's buffers on the way hold together (about 30 MiB), but no endless stream."""
NOT_PUBLIC = (
    "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1", "169.254.169.254",
    "0.0.0.0", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fd00::1", "ff02::1",  # noqa: S104
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1",
    "64:ff9b::a00:1", "2002:7f00:1::1", "2001:0:7f00:1::1", "fec0::1",
)  # fmt: skip

ASK = """
import socket, sys
for line in sys.argv[1:]:
    with socket.create_connection(("127.0.0.1", 3128), timeout=60) as proxy:
        request = line + " HTTP/1.1\\r\\nHost: allowed.test\\r\\nConnection: close\\r\\n\\r\\n"
        proxy.sendall(request.encode())
        print(proxy.makefile("rb").readline().decode().split(" ")[1])
"""
"""Prints the status of the proxy's answer to each request line."""


@dataclass
class Upstream:
    """Servers that answer any host's requests, on a mirror's address and on a private one."""

    http: int = 0
    tunnelled: int = 0
    other: int = 0
    asked: list[str] = field(default_factory=list[str])
    """Every address that was asked."""
    stalled: threading.Event = field(default_factory=threading.Event)
    """Set once a program did not take what an endless answer sends."""
    sent: int = 0
    """Bytes of that answer until then."""


def handler(upstream: Upstream) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            address: Any = self.server.server_address
            upstream.asked.append(address[0])
            body = {"/big": BLOCKS, "/endless": 1 << 40}.get(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(body * len(BLOCK) if body else 5))
            self.end_headers()
            if not body:
                self.wfile.write(b"hello")
            self.connection.settimeout(3)
            try:
                for _ in range(body or 0):
                    upstream.sent += self.connection.send(BLOCK) if self.path != "/big" else 0
                    if self.path == "/big":
                        self.wfile.write(BLOCK)
            except TimeoutError:
                upstream.stalled.set()
            except OSError:
                pass

        def do_PUT(self) -> None:
            upstream.stalled.wait(60)  # and reads nothing

        @override
        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


@pytest.fixture
def upstream() -> Generator[Upstream]:
    found = Upstream()
    servers: list[ThreadingHTTPServer] = []

    def serve(address: str, port: int = 0) -> int:
        server = ThreadingHTTPServer((address, port), handler(found))
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return int(server.server_address[1])

    found.http, found.tunnelled, found.other = (serve(MIRROR) for _ in range(3))
    serve(PRIVATE, found.http)
    yield found
    found.stalled.set()
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def open_place() -> Generator[Path]:
    """A directory that any user can read, as Squid is another user where this is root."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        yield Path(place)


@pytest.fixture
def egress(upstream: Upstream, open_place: Path) -> Egress:
    names = "allowed.test sub.allowed.test denied.test wild.test below.wild.test a.below.wild.test"
    rebound = [f"{address} r{n}.wild.test" for n, address in enumerate(NOT_PUBLIC)]
    hosts = open_place / "hosts"
    hosts.write_text("\n".join([f"{MIRROR} {names}", f"{PRIVATE} rebound.test", *rebound, ""]))
    return Egress(
        allow_private=(f"{MIRROR}/32",),
        http_port=upstream.http,
        https_port=upstream.tunnelled,
        hosts_file=str(hosts),
    )


async def python(sandbox: Sandbox, code: str, *arguments: str) -> str:
    argv = [sandbox.info.python, "-c", code, *arguments]
    result = await sandbox.exec(argv, timeout_s=120)
    return result.stdout.text() + result.stderr.text()


async def statuses(sandbox: Sandbox, *lines: str) -> list[str]:
    return (await python(sandbox, ASK, *lines)).split()


def read(path: str) -> str:
    return Path(path).read_text()


def squids_of(server: int) -> list[int]:
    """The proxies that a process runs."""
    found: list[int] = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            about = re.fullmatch(r"(\d+) \((.*)\) (\S) (\d+) .*", path.read_text(), re.DOTALL)
        except OSError:
            continue
        if about and about[2] == "squid" and about[3] != "Z" and int(about[4]) == server:
            found.append(int(about[1]))
    return found


async def test_programs_that_honour_the_usual_variables_reach_an_allowed_host(
    isolating: Backend, upstream: Upstream
) -> None:
    code = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1]).read())"
    async with isolating(HOSTS) as sandbox:
        assert sandbox.info.network == HOSTS.network
        said = await python(sandbox, code, f"http://allowed.test:{upstream.http}/")
    assert said.strip() == "b'hello'"


async def test_what_goes_through_a_tunnel_arrives_as_it_is(
    isolating: Backend, upstream: Upstream
) -> None:
    code = """
import http.client, sys
connection = http.client.HTTPConnection("127.0.0.1", 3128)
connection.set_tunnel("allowed.test", int(sys.argv[1]))
connection.request("GET", "/")
print(connection.getresponse().read())
"""
    async with isolating(HOSTS) as sandbox:
        assert (await python(sandbox, code, str(upstream.tunnelled))).strip() == "b'hello'"


async def test_a_list_of_hosts_names_them_and_no_other(
    isolating: Backend, upstream: Upstream
) -> None:
    allowed = ("allowed.test", "ALLOWED.test", "below.wild.test", "a.below.wild.test")
    denied = ("denied.test", "wild.test", "sub.allowed.test", "notallowed.test", "xwild.test",
              "allowed.test.denied.test", "allowedxtest", MIRROR, "[::ffff:127.0.0.2]")  # fmt: skip
    async with isolating(HOSTS) as sandbox:
        for hosts, status in ((allowed, "200"), (denied, "403")):
            lines = [f"GET http://{host}:{upstream.http}/" for host in hosts]
            lines += [f"CONNECT {host}:{upstream.tunnelled}" for host in hosts]
            assert await statuses(sandbox, *lines) == [status] * len(lines)


async def test_a_name_that_leads_to_a_private_place_leads_nowhere(
    isolating: Backend, upstream: Upstream
) -> None:
    names = ["rebound.test", *(f"r{n}.wild.test" for n in range(len(NOT_PUBLIC)))]
    lines = [f"GET http://{name}:{upstream.http}/" for name in names]
    lines += [f"CONNECT {name}:{upstream.tunnelled}" for name in names]
    async with isolating(HOSTS) as sandbox:
        assert await statuses(sandbox, *lines) == ["403"] * len(lines)
    assert upstream.asked == []


async def test_the_internet_is_every_name_and_no_private_address(
    isolating: Backend, upstream: Upstream
) -> None:
    literals = [f"[{address}]" if ":" in address else address for address in NOT_PUBLIC]
    odd = ["2130706433", "0x7f000001", "127.1", "0177.0.0.1", "localhost", "127.0.0.1."]
    lines = [f"GET http://{host}:{upstream.http}/" for host in literals + odd]
    lines += [f"CONNECT {host}:{upstream.tunnelled}" for host in literals + odd]
    async with isolating(INTERNET) as sandbox:
        assert await statuses(sandbox, f"GET http://denied.test:{upstream.http}/") == ["200"]
        answers = dict(zip(lines, await statuses(sandbox, *lines), strict=True))
        assert {line: status for line, status in answers.items() if status != "403"} == {}
    assert upstream.asked == [MIRROR]


async def test_nothing_but_http_and_tunnels_to_its_two_ports_passes(
    isolating: Backend, upstream: Upstream
) -> None:
    lines = [
        f"CONNECT allowed.test:{upstream.http}",
        f"CONNECT allowed.test:{upstream.other}",
        f"GET http://allowed.test:{upstream.tunnelled}/",
        f"GET http://allowed.test:{upstream.other}/",
        f"GET https://allowed.test:{upstream.http}/",
        f"GET ftp://allowed.test:{upstream.http}/",
        f"GET gopher://allowed.test:{upstream.http}/",
        f"GET whois://allowed.test:{upstream.http}/",
        "GET cache_object://allowed.test/info",
        "GET http://proctor/squid-internal-mgr/info",
        "GET /squid-internal-mgr/info",
        "GET urn:allowed.test",
    ]
    async with isolating(HOSTS) as sandbox:
        assert set(await statuses(sandbox, *lines)) <= {"400", "403", "501"}
    assert upstream.asked == []


async def test_there_is_no_way_around_the_proxy(isolating: Backend, upstream: Upstream) -> None:
    code = """
import os, socket, sys
print(*sorted(os.listdir("/sys/class/net") if os.path.isdir("/sys/class/net") else ["lo"]))
for address in ((sys.argv[1], int(sys.argv[2])), ("10.0.0.1", 80), ("allowed.test", 80)):
    try:
        socket.create_connection(address, timeout=5)
        print("reached", address)
    except OSError:
        pass
"""
    async with isolating(HOSTS) as sandbox:
        said = await python(sandbox, code, MIRROR, str(upstream.http))
    assert "reached" not in said
    assert "Error" not in said


async def test_a_sandbox_without_a_network_has_no_proxy(isolating: Backend) -> None:
    code = "import os, socket; print([n for n in os.environ if 'proxy' in n.lower()]); " \
           "socket.create_connection(('127.0.0.1', 3128))"  # fmt: skip
    async with isolating(SandboxSpec()) as sandbox:
        said = await python(sandbox, code)
        assert squids_of(os.getpid()) == []
    assert said.startswith("[]")
    assert "ConnectionRefusedError" in said


async def test_a_large_download_arrives_intact(isolating: Backend, upstream: Upstream) -> None:
    code = """
import hashlib, sys, urllib.request
seal = hashlib.sha256()
with urllib.request.urlopen(sys.argv[1]) as answer:
    while data := answer.read(1 << 16):
        seal.update(data)
print(seal.hexdigest())
"""
    async with isolating(HOSTS) as sandbox:
        said = await python(sandbox, code, f"http://allowed.test:{upstream.http}/big")
    assert said.strip() == hashlib.sha256(BLOCK * BLOCKS).hexdigest()


async def test_a_flood_through_the_proxy_keeps_nobody_waiting(
    isolating: Backend, upstream: Upstream
) -> None:
    code = """
import sys, threading, urllib.request
def load():
    with urllib.request.urlopen(sys.argv[1]) as answer:
        while answer.read(1 << 16):
            pass
for _ in range(8):
    threading.Thread(target=load).start()
"""
    async with isolating(HOSTS) as sandbox, anyio.create_task_group() as tasks:
        tasks.start_soon(python, sandbox, code, f"http://allowed.test:{upstream.http}/endless")
        with anyio.fail_after(60):
            while upstream.sent < BOUND:
                assert (await sandbox.exec(["true"], timeout_s=30)).exit_code == 0
        tasks.cancel_scope.cancel()


async def test_a_program_that_does_not_read_holds_up_its_own_connection_alone(
    isolating: Backend, upstream: Upstream
) -> None:
    code = """
import socket, sys, time
proxy = socket.create_connection(("127.0.0.1", 3128))
proxy.sendall(f"GET {sys.argv[1]} HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n".encode())
time.sleep(1000)
"""
    async with isolating(HOSTS) as sandbox, anyio.create_task_group() as tasks:
        tasks.start_soon(python, sandbox, code, f"http://allowed.test:{upstream.http}/endless")
        with anyio.fail_after(60):
            await anyio.to_thread.run_sync(upstream.stalled.wait)
        assert upstream.sent < BOUND
        line = f"GET http://allowed.test:{upstream.http}/"
        assert await statuses(sandbox, line) == ["200"]
        tasks.cancel_scope.cancel()


async def test_a_host_that_does_not_read_holds_up_its_own_connection_alone(
    isolating: Backend, upstream: Upstream
) -> None:
    code = f"""
import socket, sys
proxy = socket.create_connection(("127.0.0.1", 3128))
proxy.sendall(f"CONNECT {{sys.argv[1]}} HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n".encode())
assert b" 200 " in proxy.recv(1000)
proxy.sendall(b"PUT / HTTP/1.1\\r\\nContent-Length: 1000000000000\\r\\n\\r\\n")
proxy.settimeout(3)
sent = 0
try:
    while sent < {BOUND}:
        sent += proxy.send(bytes(1 << 16))
except TimeoutError:
    print("held up")
"""
    async with isolating(HOSTS) as sandbox:
        host = f"allowed.test:{upstream.tunnelled}"
        assert (await python(sandbox, code, host)).strip() == "held up"
        assert await statuses(sandbox, f"CONNECT {host}") == ["200"]


async def test_one_connection_too_many_waits_for_another_to_end(
    isolating: Backend, upstream: Upstream
) -> None:
    code = """
import socket, sys
def connect():
    return socket.create_connection(("127.0.0.1", 3128))
held = [connect() for _ in range(64)]
late = connect()
late.sendall(f"GET {sys.argv[1]} HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n".encode())
late.settimeout(1)
try:
    print("served", late.recv(10))
except TimeoutError:
    held.pop().close()
late.settimeout(60)
print(late.recv(12))
"""
    async with isolating(HOSTS) as sandbox:
        url = f"http://allowed.test:{upstream.http}/"
        assert (await python(sandbox, code, url)).strip() == "b'HTTP/1.1 200'"
        assert await statuses(sandbox, f"GET {url}") == ["200"]


async def test_two_sandboxes_do_not_see_each_other(isolating: Backend, upstream: Upstream) -> None:
    listen = "import socket, time; s = socket.create_server(('127.0.0.1', 8123)); time.sleep(1000)"
    probe = "import socket; socket.create_connection(('127.0.0.1', 8123))"
    egress_line = f"GET http://allowed.test:{upstream.http}/"
    async with isolating(HOSTS) as one, isolating(HOSTS) as other:
        assert len(squids_of(os.getpid())) == 2
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(python, one, listen)
            with anyio.fail_after(30):
                while "Error" in await python(one, probe):
                    pass
            assert "ConnectionRefusedError" in await python(other, probe)
            assert await statuses(other, egress_line) == ["200"]
            tasks.cancel_scope.cancel()


async def test_nothing_is_left_of_a_proxy(isolating: Backend) -> None:
    async with isolating(HOSTS):
        (squid,) = squids_of(os.getpid())
        name = read(f"/proc/{squid}/cmdline").split("\0")[5]
    assert squids_of(os.getpid()) == []
    assert not [found for found in os.listdir("/dev/shm") if found.startswith(name)]  # noqa: PTH208, S108


async def test_no_other_user_of_this_machine_can_use_the_proxy(
    egress: Egress, upstream: Upstream
) -> None:
    request = f"GET http://allowed.test:{upstream.http}/ HTTP/1.0\r\n\r\n".encode()

    async def answer(address: tuple[str, int], greeting: bytes) -> bytes:
        async with await anyio.connect_tcp(*address) as stream:
            await stream.send(greeting + request)
            try:
                return await stream.receive(12)
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return b""

    async with filtering_proxy(HOSTS.network, egress) as proxy:
        assert await answer(proxy.address, proxy.greeting) == b"HTTP/1.1 200"
        assert await answer(proxy.address, b"") == b""
        guess = b"PROXY TCP6 fd00::1 ::1 1 1\r\n"
        assert await answer(proxy.address, guess) == b"HTTP/1.1 403"
        assert await answer(proxy.address, b"PROXY UNKNOWN\r\n") in (b"", b"HTTP/1.1 403")
        (squid,) = squids_of(os.getpid())
        assert proxy.greeting.split()[2].decode() not in read(f"/proc/{squid}/cmdline")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
async def test_a_proxy_has_none_of_roots_rights(egress: Egress) -> None:
    async with filtering_proxy("internet", egress):
        (squid,) = squids_of(os.getpid())
        status = read(f"/proc/{squid}/status")
    assert "Uid:\t0" not in status
    assert re.findall(r"Cap(?:Eff|Prm|Inh|Amb):\t(\w+)", status) == ["0" * 16] * 4
    assert "NoNewPrivs:\t1" in status


def lives(pid: int) -> bool:
    try:
        return read(f"/proc/{pid}/comm") == "squid\n"
    except OSError:
        return False


SERVER = """
import anyio, os, sys
from proctor.sandbox_backends.squid import Egress, filtering_proxy
async def main():
    async with filtering_proxy("internet", Egress()):
        print("up", flush=True)
        await anyio.sleep(1000)
anyio.run(main)
"""


async def test_a_proxy_does_not_outlive_a_server_that_is_killed() -> None:
    argv = [sys.executable, "-c", SERVER]
    async with await anyio.open_process(argv, stderr=subprocess.PIPE) as server:
        assert server.stdout
        assert (await server.stdout.receive()).startswith(b"up")
        (squid,) = squids_of(server.pid)
        server.kill()
        await server.wait()
    with anyio.fail_after(20):
        while lives(squid):
            await anyio.sleep(0.02)


async def test_without_squid_there_is_no_sandbox_with_a_network(tmp_path: Path) -> None:
    with pytest.raises(SandboxStartError, match="needs squid, which is not installed; install it"):
        async with filtering_proxy("internet", Egress(places=(str(tmp_path),))):
            pass


async def test_a_squid_that_fails_says_why(open_place: Path) -> None:
    fake = open_place / "squid"
    fake.write_text("#!/bin/sh\necho 'FATAL: no memory' >&2\n")
    fake.chmod(0o755)
    with pytest.raises(SandboxStartError, match="squid does not start: no memory"):
        async with filtering_proxy("internet", Egress(places=(str(open_place), "/usr/bin"))):
            pass


def test_networks_without_others_are_exactly_the_rest() -> None:
    assert [str(n) for n in without(["10.0.0.0/30"], ["10.0.0.1/32", "::/0"])] == [
        "10.0.0.2/31",
        "10.0.0.0/32",
    ]
    assert without(["10.0.0.0/30", "fd00::/8"], ["10.0.0.0/8", "fc00::/7"]) == []


async def test_without_isolation_there_is_the_hosts_own_network_and_it_says_so() -> None:
    async with open_plain(HOSTS) as sandbox:
        assert sandbox.info.network == "internet"
