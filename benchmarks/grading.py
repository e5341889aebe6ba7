"""What grading in sandboxes costs, against the same probes run bare, in turns in the same run.

``python benchmarks/grading.py [--rounds N] [--json FILE] [TASK]...`` prints a table and writes
JSON. Bare means: verdict code and drivers as plain processes of this user, as many at once. Where
no task is named, ``competition.py`` follows: large submissions from file to score.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import competition
from anyio.to_thread import run_sync

from proctor.evaluator.agent_side import CASES_AT_ONCE
from proctor.evaluator.grade import measure
from proctor.evaluator.verdicts import STEADY
from proctor.evaluator.work import Work
from proctor.sandbox_backends.archive import pack
from proctor.sandbox_backends.base import Backend
from proctor.sandbox_backends.docker import DockerBackend
from proctor.sandbox_backends.local import open_bubblewrap
from proctor.schemas.errors import SandboxStartError
from proctor.schemas.task import FileTree, Task
from proctor.tasks.catalog import Catalog

SEED = 20261121
TARGET = "<= 1.5"
ROWS = 1_000_000
"""Of a submission to a competition."""


@dataclass(frozen=True)
class Row:
    """One task: medians in seconds, and the median of the ratios round by round."""

    task: str
    backend: str
    ours: float
    bare: float
    ratio: float
    target: str = TARGET


def handed_in(task: Task) -> FileTree:
    """The workspace with the reference solution."""
    return {**task.workspace, **(task.solution.files if task.solution else {})}


def lay_out(tree: FileTree, root: Path) -> None:
    """Write files."""
    for path, data in tree.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)


async def bare(task: Task, probe: str, driver: str) -> None:
    """Draw a probe's cases, run the driver on each, and judge, without any sandbox."""
    kit = files("proctor.evaluator").joinpath("probe_kit.py").read_bytes()
    with TemporaryDirectory() as place:
        root = Path(place)
        await run_sync(lay_out, {**task.grading, "probe_kit.py": kit}, root / "grading")
        await run_sync(lay_out, handed_in(task), root / "workspace")
        await python(root / "grading", "probe_kit.py", "cases", probe, str(SEED), f"{root}/cases")
        limit = anyio.CapacityLimiter(CASES_AT_ONCE)

        async def case(name: str) -> None:
            async with limit:
                (root / "outputs" / name).mkdir(parents=True)
                code = root / "grading" / driver
                await python(
                    root / "workspace", code, f"{root}/cases/{name}", f"{root}/outputs/{name}"
                )

        async with anyio.create_task_group() as tasks:
            for path in sorted((root / "cases").iterdir()):
                tasks.start_soon(case, path.name)
        (root / "failures.json").write_text("{}")
        await python(root / "grading", "probe_kit.py", "judge", probe, str(SEED), f"{root}/outputs",
                     f"{root}/failures.json", f"{root}/verdicts.json")  # fmt: skip


async def python(cwd: Path, *arguments: object) -> None:
    """Run a script, which must end well."""
    argv = [sys.executable, *map(str, arguments)]
    await anyio.run_process(argv, cwd=cwd, env={**os.environ, **STEADY}, stderr=subprocess.PIPE)


async def seconds_of_probe(task: Task, backend: Backend, snapshot: Path) -> float:
    """How long the criteria take that run the agent's code."""
    behaviour = {c.id for c in task.rubric.criteria if c.grader == "behaviour"}
    work = Work(
        task=task, answer="", snapshot=snapshot, snapshot_sha256="", seed=SEED, backend=backend
    )
    started = time.perf_counter()
    scores = await measure(work, task.rubric.only(behaviour))
    assert all(scores[id_].credit == 1 for id_ in behaviour), scores  # noqa: S101
    return time.perf_counter() - started


async def compare(task: Task, name: str, backend: Backend, rounds: int) -> Row:
    """Grade and run bare, in turns."""
    options = next(c.options for c in task.rubric.criteria if c.grader == "behaviour")
    probe, driver = options.get("probe", "probe.py"), options.get("driver", "driver.py")
    ours, without = [], []
    with TemporaryDirectory() as place:
        snapshot = Path(place, "snapshot.tar")
        snapshot.write_bytes(pack(handed_in(task)).getvalue())
        for _ in range(rounds):
            ours.append(await seconds_of_probe(task, backend, snapshot))
            started = time.perf_counter()
            await bare(task, probe, driver)
            without.append(time.perf_counter() - started)
    return Row(
        task.id,
        name,
        statistics.median(ours),
        statistics.median(without),
        statistics.median(o / b for o, b in zip(ours, without, strict=True)),
    )


@asynccontextmanager
async def backends() -> AsyncGenerator[dict[str, Backend]]:
    """What can be had here."""
    try:
        async with DockerBackend.connected(say=print) as docker:
            await docker.prepare()
            yield {"bubblewrap": open_bubblewrap, "docker": docker}
    except SandboxStartError as error:
        print(f"without containers: {error}")
        yield {"bubblewrap": open_bubblewrap}


async def measure_all(names: list[str], rounds: int) -> list[Row]:
    """Take measures, and print each as it comes."""
    rows: list[Row] = []
    catalog = Catalog()
    async with backends() as available:
        for name in names or catalog.ids:
            for backend_name, backend in available.items():
                rows.append(await compare(catalog[name], backend_name, backend, rounds))
                row = rows[-1]
                print(f"{row.task:24} {row.backend:11} {row.ours:8.2f} s {row.bare:8.2f} s "
                      f"{row.ratio:6.2f}   {row.target}", flush=True)  # fmt: skip
    return rows


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", nargs="*", metavar="TASK")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, default=Path("grading-benchmark.json"))
    chosen = parser.parse_args()
    machine = {
        "cpus": os.cpu_count(),
        "platform": platform.platform(),
        "python": sys.version.split()[0],
    }
    print(f"{'task':24} {'backend':11} {'graded':>10} {'bare':>10} {'ratio':>6}   target")
    rows = anyio.run(measure_all, chosen.tasks, chosen.rounds)
    competitions = [] if chosen.tasks else competition.compare_all(ROWS, chosen.rounds)
    document = {
        "machine": machine,
        "rows": [asdict(row) for row in rows],
        "competitions": competitions,
    }
    chosen.json.write_text(json.dumps(document, indent=2))
    print(f"{machine}\nwritten to {chosen.json}")


if __name__ == "__main__":
    main()
