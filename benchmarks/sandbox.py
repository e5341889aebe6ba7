"""How fast sandboxes are, as ratios: each measure against a peer, in turns, in the same run.

``python benchmarks/sandbox.py [--rounds N] [--json FILE] [MEASURE]...`` prints a table and writes
JSON. It needs a container engine with the sandbox image (``proctor image build``) and bubblewrap;
``swerex`` also the extra ``bench`` and PyPI, and is left out without that extra.
"""

import argparse
import io
import json
import os
import platform
import secrets
import socket
import statistics
import sys
import tarfile
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import anyio
import docker
from anyio.to_thread import run_sync

from proctor.sandbox_backends.archive import pack
from proctor.sandbox_backends.base import Backend, Sandbox
from proctor.sandbox_backends.docker import DockerBackend
from proctor.sandbox_backends.image import image_name
from proctor.sandbox_backends.local import open_bubblewrap
from proctor.sandbox_backends.pool import Pool
from proctor.sandbox_backends.servers import LABEL, this_server
from proctor.schemas.sandbox import SandboxSpec
from proctor.tasks.catalog import Catalog

Work = Callable[[], Awaitable[object]]

SPEC = SandboxSpec()
FOUR_KB = b"x" * 4096
MANY = 32
BURST = 10
CROSS_VALIDATION = b"""
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

X, y = load_breast_cancer(return_X_y=True)
model = make_pipeline(StandardScaler(), LogisticRegression())
print(cross_val_score(model, X, y, cv=5).mean())
"""
DAEMON = "(setsid sh -c 'trap \"\" TERM INT HUP; sleep 300' >/dev/null 2>&1 &) ; sleep 300"


@dataclass(frozen=True)
class Row:
    """One measure: ours and a peer's median, and the median of the ratios pair by pair."""

    measure: str
    ours: float
    peer: float
    ratio: float
    target: str
    unit: str = "ms"


async def seconds(work: Work) -> float:
    """How long it takes."""
    started = time.perf_counter()
    await work()
    return time.perf_counter() - started


async def faster(
    measure: str, ours: Work, peer: Work, *, rounds: int, target: str, burst: int = 1
) -> Row:
    """How many times faster `ours` is than `peer`; both are run once before they are timed.

    In every round each of the two is called `burst` times in a row, as the other's call would
    leave it cold caches, sleeping processors and what an engine does after it has answered.
    """
    await ours()
    await peer()
    pairs = [
        (await seconds(partial(_several, ours, burst)) / burst,
         await seconds(partial(_several, peer, burst)) / burst)
        for _ in range(rounds)
    ]  # fmt: skip
    return Row(
        measure,
        statistics.median(pair[0] for pair in pairs) * 1000,
        statistics.median(pair[1] for pair in pairs) * 1000,
        statistics.median(pair[1] / pair[0] for pair in pairs),
        target,
    )


async def _several(work: Work, times: int) -> None:
    for _ in range(times):
        await work()


class Bench:
    """What the measures share."""

    def __init__(self, docker_backend: DockerBackend, rounds: int) -> None:
        self.docker = docker_backend
        self.rounds = rounds
        self.client: Any = docker.DockerClient.from_env(max_pool_size=MANY)

    def container(self, sandbox_number: int = 0) -> Any:  # noqa: ANN401 - docker-py's
        """A container of ours, as docker-py sees it; the newest is number 0."""
        return self.client.containers.list(filters={"label": f"{LABEL}={this_server()}"})[
            sandbox_number
        ]

    async def sdk(self, call: Callable[..., object], *arguments: object) -> None:
        """A call of docker-py, which blocks."""
        await run_sync(partial(call, *arguments))

    @asynccontextmanager
    async def twin(self, network: str = "none", tmpfs: Sequence[str] = ()) -> AsyncGenerator[Any]:
        """A container that can be written to, which put_archive needs."""
        made = self.client.containers.run(
            image_name(),
            ["sleep", "3600"],
            detach=True,
            network_mode=network,
            tmpfs=dict.fromkeys(tmpfs, ""),
            init=True,
        )
        try:
            yield made
        finally:
            made.remove(force=True)


async def execute(bench: Bench) -> AsyncGenerator[Row]:
    """``true``: ours against docker-py's exec in the same container."""
    async with bench.docker(SPEC) as sandbox:
        container = bench.container()
        yield await faster(
            "exec of true, against docker-py's in the same container",
            lambda: sandbox.exec(["true"], timeout_s=30),
            lambda: bench.sdk(container.exec_run, ["true"]),
            rounds=bench.rounds,
            target=">= 40 (25)",
            burst=BURST,
        )
        yield await faster(
            "exec of true, against what starting it costs on the host",
            lambda: sandbox.exec(["true"], timeout_s=30),
            _start_true,
            rounds=bench.rounds,
            target="(a limit)",
            burst=BURST,
        )


async def _start_true() -> None:
    os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)


async def files(bench: Bench) -> AsyncGenerator[Row]:
    """Reading and writing 4 kB, against archives through the engine."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        info = tarfile.TarInfo("f")
        info.size = len(FOUR_KB)
        tar.addfile(info, io.BytesIO(FOUR_KB))
    async with bench.docker(SPEC) as sandbox, bench.twin() as twin:

        def get() -> None:
            b"".join(twin.get_archive("/tmp/f")[0])  # noqa: S108 - in the container

        def put() -> None:
            twin.put_archive("/tmp", archive.getvalue())  # noqa: S108 - in the container

        yield await faster(
            "write of 4 kB, against put_archive",
            lambda: sandbox.write("f", io.BytesIO(FOUR_KB)),
            lambda: bench.sdk(put),
            rounds=bench.rounds,
            target=">= 100 (60)",
            burst=BURST,
        )
        yield await faster(
            "read of 4 kB, against get_archive",
            lambda: sandbox.fetch("f", max_bytes=10_000),
            lambda: bench.sdk(get),
            rounds=bench.rounds,
            target=">= 100 (60)",
            burst=BURST,
        )


async def swerex(bench: Bench) -> AsyncGenerator[Row]:
    """Ours against swe-rex's server inside a container of the same image, through its own client.

    Its container has none of our limits, the host's network, so that no proxy stands between, and
    its files in memory as ours has: on a disk its writes took 4.4 ms instead of 3.0.
    """
    try:
        from swerex.runtime import abstract, remote  # noqa: PLC0415 - of an extra
    except ModuleNotFoundError as missing:
        print(f"swerex is left out: no module {missing.name}; pip install -e '.[bench]'")
        return
    token = secrets.token_hex()
    tmp = "/tmp"  # noqa: S108 - in the container
    async with bench.docker(SPEC) as sandbox, bench.twin("host", [tmp]) as twin:
        peer = remote.RemoteRuntime(auth_token=token, port=await _serve_swerex(bench, twin, token))
        await peer.wait_until_alive(timeout=60)
        await peer.create_session(abstract.CreateBashSessionRequest())
        true = abstract.Command(command=["true"], check=True)
        echo = abstract.BashAction(command="echo hi")
        read = abstract.ReadFileRequest(path=f"{tmp}/f")
        write = abstract.WriteFileRequest(path=read.path, content=FOUR_KB.decode())
        measures: list[tuple[str, Work, Work, str]] = [
            (
                "exec of true",
                lambda: sandbox.exec(["true"], timeout_s=30),
                lambda: peer.execute(true),
                ">= 4",
            ),
            (
                "bash of echo hi",
                lambda: sandbox.exec(["bash", "-c", "echo hi"], timeout_s=30),
                lambda: peer.run_in_session(echo),
                ">= 20",
            ),
            (
                "write of 4 kB",
                lambda: sandbox.write("f", io.BytesIO(FOUR_KB)),
                lambda: peer.write_file(write),
                ">= 5",
            ),
            (
                "read of 4 kB",
                lambda: sandbox.fetch("f", max_bytes=10_000),
                lambda: peer.read_file(read),
                ">= 5",
            ),
        ]
        for name, ours, theirs, target in measures:
            yield await faster(
                f"{name}, against swe-rex",
                ours,
                theirs,
                rounds=bench.rounds,
                target=target,
                burst=BURST,
            )


async def _serve_swerex(bench: Bench, container: Any, token: str) -> int:  # noqa: ANN401 - docker-py's
    """Install swe-rex in a container and start its server there; the port it will listen on."""
    python = container.exec_run(
        ["python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    )
    archive = io.BytesIO()
    with tempfile.TemporaryDirectory() as target:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        wheels = ["--target", target, "--only-binary=:all:"]
        wheels += ["--python-version", python.output.decode().strip()]
        with anyio.fail_after(600):
            await anyio.run_process(
                [*pip, *wheels, f"swe-rex=={version('swe-rex')}"], stdout=None, stderr=None
            )
        with tarfile.open(fileobj=archive, mode="w") as tar:
            tar.add(target, "swerex")
    await bench.sdk(container.put_archive, "/opt", archive.getvalue())
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    container.exec_run(
        ["python3", "-m", "swerex", "--host=127.0.0.1", f"--port={port}", f"--auth-token={token}"],
        environment={"PYTHONPATH": "/opt/swerex"},
        detach=True,
    )
    return port


async def many(bench: Bench) -> AsyncGenerator[Row]:
    """32 sandboxes at once: calls per second."""
    async with AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(bench.docker(SPEC)) for _ in range(MANY)]
        containers = [bench.container(number) for number in range(MANY)]

        async def all_at_once(calls: Sequence[Work]) -> None:
            async with anyio.create_task_group() as tasks:
                for call in calls:
                    tasks.start_soon(call)

        async def several(sandbox: Sandbox) -> None:
            for _ in range(5):
                await sandbox.list("")
                await sandbox.fetch("f", max_bytes=10_000)
                await sandbox.exec(["true"], timeout_s=60)

        for sandbox in opened:
            await sandbox.write("f", io.BytesIO(FOUR_KB))
        row = await faster(
            "32 sandboxes",
            lambda: all_at_once([partial(several, sandbox) for sandbox in opened]),
            lambda: all_at_once([partial(bench.sdk, c.exec_run, ["true"]) for c in containers]),
            rounds=max(3, bench.rounds // 5),
            target=">= 30",
        )
        ours, peer = MANY * 15 / row.ours * 1000, MANY / row.peer * 1000
        yield Row(
            "32 sandboxes, calls each second, against docker-py's exec",
            ours,
            peer,
            row.ratio * 15,
            row.target,
            "1/s",
        )


async def ready(bench: Bench) -> AsyncGenerator[Row]:
    """Until a session can be worked on: opened, with its task's files restored."""
    workspace = Catalog()["used-cars"].workspace

    async def session(backend: Backend) -> float:
        started = time.perf_counter()
        async with backend(SPEC) as sandbox:
            await sandbox.restore(pack(workspace))
            return time.perf_counter() - started

    cold, bubble, warm = [], [], []
    for _ in range(max(5, bench.rounds // 2)):
        cold.append(await session(bench.docker))
        bubble.append(await session(open_bubblewrap))
        async with Pool.warming(bench.docker, 1, [SPEC]) as pool:
            async with pool(SPEC):  # once it is handed out, it was ready
                pass
            await anyio.sleep(1)  # for the next one to be started
            warm.append(await session(pool))
    for name, ours, target in (
        ("session ready from the pool, against a cold container", warm, ">= 8"),
        ("session ready in bubblewrap, against a cold container", bubble, ">= 6"),
    ):
        yield Row(
            name,
            statistics.median(ours) * 1000,
            statistics.median(cold) * 1000,
            statistics.median(c / o for c, o in zip(cold, ours, strict=True)),
            target,
        )


async def python(bench: Bench) -> AsyncGenerator[Row]:
    """``run_python``: forked from a preloaded interpreter against cold."""
    async with bench.docker(SPEC) as sandbox:
        for name, script, target in (
            ("run_python of a cross-validation", CROSS_VALIDATION, ">= 8"),
            ("run_python of pass", b"pass\n", ">= 2"),
        ):
            await sandbox.write("script.py", io.BytesIO(script))

            async def run(*, preloaded: bool) -> None:
                ended = await sandbox.exec(
                    [sandbox.info.python, f"{sandbox.info.workdir}/script.py"],
                    timeout_s=120,
                    preloaded=preloaded,
                )
                assert ended.exit_code == 0, ended.stderr.text()  # noqa: S101

            yield await faster(
                f"{name}, against cold",
                partial(run, preloaded=True),
                partial(run, preloaded=False),
                rounds=max(5, bench.rounds // 3),
                target=target,
            )


async def survivors(bench: Bench) -> AsyncGenerator[Row]:
    """Daemons that ignore SIGTERM and outlive a timeout, of 30."""
    async with bench.docker(SPEC) as sandbox:
        for _ in range(30):
            await sandbox.exec(["sh", "-c", DAEMON], timeout_s=0.2)
        listed = await sandbox.exec(
            ["sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -o 'sleep [3]00' | wc -l"],
            timeout_s=30,
        )
    left = float(listed.stdout.text())
    yield Row("survivors of a timeout", left, 30, 0, "0 of 30", "of")


async def memory(bench: Bench) -> AsyncGenerator[Row]:
    """Idle memory of a session: what its processes alone hold, and the server's growth."""
    n = 8
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(bench.docker(SPEC))
        before = _resident_mib()
        for _ in range(n):
            sandbox = await stack.enter_async_context(bench.docker(SPEC))
            await sandbox.exec(["true"], timeout_s=30)
        server = (_resident_mib() - before) / n
        pids = [int(bench.container(number).attrs["State"]["Pid"]) for number in range(n)]
        helpers = statistics.median(sum(map(_pss_mib, _tree(pid))) for pid in pids)
    yield Row("idle memory of a session", helpers + server, 10, (helpers + server) / 10, "<= 1",
              "MiB")  # fmt: skip


def _resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _tree(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in children for each in _tree(int(child)))]


def _pss_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


MEASURES = {
    each.__name__: each for each in (execute, files, swerex, many, ready, python, survivors, memory)
}


async def measure(names: Sequence[str], rounds: int) -> list[Row]:
    """Take measures, and print each as it comes."""
    rows: list[Row] = []
    async with DockerBackend.connected(say=print) as backend:
        await backend.prepare()
        bench = Bench(backend, rounds)
        for name in names:
            async for row in MEASURES[name](bench):
                rows.append(row)
                print(
                    f"{row.measure:60} {row.ours:9.2f} {row.unit:4} {row.peer:9.2f} {row.unit:4} "
                    f"{row.ratio:7.1f}   {row.target}",
                    flush=True,
                )
        bench.client.close()
    return rows


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("measures", nargs="*", metavar="MEASURE", help=", ".join(MEASURES))
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--json", type=Path, default=Path("sandbox-benchmark.json"))
    chosen = parser.parse_args()
    machine = {
        "cpus": os.cpu_count(),
        "platform": platform.platform(),
        "python": sys.version.split()[0],
        "engine": docker.from_env().version()["Version"],
    }
    print(f"{'measure':60} {'ours':>14} {'peer':>14} {'ratio':>7}   target")
    rows = anyio.run(measure, chosen.measures or list(MEASURES), chosen.rounds)
    chosen.json.write_text(
        json.dumps({"machine": machine, "rows": [asdict(row) for row in rows]}, indent=2)
    )
    print(f"{machine}\nwritten to {chosen.json}")


if __name__ == "__main__":
    main()
