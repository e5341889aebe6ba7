"""A Docker engine of a test's own, which the test may kill, restart and starve.

Its one image holds no file: containers see the system and the interpreter of this machine.
"""

import io
import os
import shutil
import sys
import tarfile
import tempfile
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from signal import SIGTERM, Signals
from subprocess import DEVNULL, CompletedProcess

import anyio
from anyio.abc import Process
from anyio.to_thread import run_sync

from proctor.schemas.sandbox import Overrides

IMAGE = "proctor-test:bare"
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64")
NO_NETWORK = ("--bridge=none", "--iptables=false", "--ip-forward=false", "--ip-masq=false")
CONTAINERD = """version = 2
root = "{place}/containerd"
state = "{place}/run"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "{place}/containerd.sock"
"""
WITHIN_S = 60
DATA_BYTES = 64 << 20


def own_engine_problem() -> str | None:
    """Why no engine can be started here; None where one can."""
    if os.geteuid() != 0:
        return "only root can start a container engine"
    for program in ("dockerd", "containerd", "runc"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    return None


class OwnEngine:
    """An engine that keeps everything below one directory."""

    def __init__(self, place: Path, *options: str) -> None:
        self.data = place / "data"
        """Images and containers, on a file system of `DATA_BYTES`."""
        self.socket = place / "docker.sock"
        self.url = f"unix://{self.socket}"
        self._log = place / "log"
        containerd = place / "containerd.sock"
        self._command = [
            "dockerd",
            *NO_NETWORK,
            *options,
            f"--containerd={containerd}",
            f"--data-root={self.data}",
            f"--exec-root={place / 'run'}",
            f"--pidfile={place / 'pid'}",
            f"--host={self.url}",
        ]
        self._process: Process | None = None

    @property
    def overrides(self) -> Overrides:
        """What containers of its image need."""
        places = dict.fromkeys((*filter(os.path.isdir, SYSTEM), sys.base_prefix))
        shown = [each for each in places if not Path(each).is_symlink()]
        binds = [{"Type": "bind", "Source": it, "Target": it, "ReadOnly": True} for it in shown]
        path = f"{sys.base_prefix}/bin:/usr/bin:/bin"
        return Overrides(container={"mounts": binds, "environment": {"PATH": path}})

    async def start(self) -> None:
        """Have it answer."""
        self._process = await _started(self._command, self._log)
        with anyio.fail_after(WITHIN_S):
            while (await self._docker("ps", check=False)).returncode:
                assert self._process.returncode is None, self._log.read_text()[-2000:]
                await anyio.sleep(0.05)

    async def end(self, signal: Signals) -> None:
        """Have it end by a signal."""
        assert self._process
        self._process.send_signal(signal)
        with anyio.fail_after(WITHIN_S):
            await self._process.wait()
        self._process = None

    async def containers(self) -> list[str]:
        """Every container that there is, by id.

        Killed, an engine may go on to list one that it removed as it came back.
        """
        if not (listed := (await self._docker("ps", "-aq")).stdout.decode().split()):
            return []
        found = await self._docker("inspect", "--format={{.Id}}", *listed, check=False)
        return found.stdout.decode().split()

    async def clear(self) -> None:
        """End it, and whatever it runs."""
        if self._process is None or self._process.returncode is not None:
            await self.start()
        try:
            if left := await self.containers():
                await self._docker("rm", "--force", *left, check=False)
        finally:
            await self.end(SIGTERM)

    async def load_image(self) -> None:
        """Have `IMAGE`."""
        await self._docker("import", "-", IMAGE, given=_bare())

    async def _docker(
        self, *words: str, given: bytes = b"", check: bool = True
    ) -> CompletedProcess[bytes]:
        command = ["docker", f"--host={self.url}", *words]
        return await anyio.run_process(command, input=given, check=check)


async def _started(command: Sequence[str], log: Path) -> Process:
    with await run_sync(log.open, "ab") as target:
        return await anyio.open_process(command, stdin=DEVNULL, stdout=target, stderr=target)


def _bare() -> bytes:
    """A root directory with nothing in it but links, where the system has such."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for link in _links():
            archive.addfile(link)
        archive.addfile(_entry("etc", tarfile.DIRTYPE))
    return target.getvalue()


def _links() -> Iterator[tarfile.TarInfo]:
    for path in map(Path, SYSTEM):
        if path.is_symlink():
            link = _entry(path.name, tarfile.SYMTYPE)
            link.linkname = str(path.readlink())
            yield link


def _entry(name: str, kind: bytes) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = kind, 0o755
    return entry


@asynccontextmanager
async def own_engine(*options: str) -> AsyncGenerator[OwnEngine]:
    """Run an engine for as long as the context lasts, with further `options` of dockerd."""
    async with _place() as place, _containerd(place):
        engine = OwnEngine(place, *options)
        try:
            await engine.start()
            await engine.load_image()
            yield engine
        finally:
            with anyio.CancelScope(shield=True):
                await engine.clear()


@asynccontextmanager
async def _place() -> AsyncGenerator[Path]:
    """A directory in memory, to be forgotten with whatever is mounted in it."""
    place = Path(tempfile.mkdtemp(prefix="proctor-engine-"))
    try:
        for each in (place, place / "data"):
            each.mkdir(exist_ok=True)
            limit = f"size={DATA_BYTES},mode=755"
            await anyio.run_process(["mount", "-t", "tmpfs", "-o", limit, "proctor", str(each)])
        yield place
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.run_process(["umount", "--recursive", "--lazy", str(place)])
            await run_sync(place.rmdir)


@asynccontextmanager
async def _containerd(place: Path) -> AsyncGenerator[None]:
    """What holds the containers while the engine is gone."""
    config = place / "containerd.toml"
    config.write_text(CONTAINERD.format(place=place))
    process = await _started(["containerd", f"--config={config}"], place / "log")
    try:
        yield
    finally:
        process.terminate()
        with anyio.CancelScope(shield=True):
            await process.wait()
