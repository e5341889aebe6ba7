"""What a sandbox sees of a competition: the public files, read-only, and nothing of the answers."""

import json
from pathlib import Path
from typing import Any

import pytest

from proctor.sandbox_backends.base import Backend
from proctor.sandbox_backends.local import open_plain
from proctor.tasks.catalog import Catalog
from proctor.tasks.competitions.library import OFFLINE, Competitions

ONE = "competition/cell-samples"
HIDDEN = ("answers.csv", "reference.csv", "leaderboard.csv", "leaderboard.json")
SPY = """
import json, os, sys
places, names = json.loads(sys.argv[1]), json.loads(sys.argv[2])
opened, found, written = [], [], []
for place in places:
    try:
        opened.append(os.listdir(place) if os.path.isdir(place) else open(place).read())
    except OSError:
        pass
for top, folders, files in os.walk("/"):
    if top in ("/proc", "/sys"):
        folders[:] = []
    found += [os.path.join(top, each) for each in files if each in names]
for path in ("/data/train.csv", "/data/new"):
    try:
        open(path, "a").close()
        written.append(path)
    except OSError:
        pass
try:
    os.remove("/data/test.csv")
    written.append("removed")
except OSError:
    pass
print(json.dumps([opened, found, written]))
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Competitions:
    """Prepared below a directory that anybody may enter, so that only the walls are in the way."""
    data = tmp_path_factory.mktemp("data")
    for place in (data, data.parent, data.parent.parent):
        place.chmod(0o755)
    found = Competitions(data)
    found.prepare(ONE)
    return found


async def test_a_session_cannot_reach_answers_reference_or_leaderboard(
    serving: Any, mini_task: Path, library: Competitions, isolating: Backend
) -> None:
    place = library.prepare(ONE)
    places = [place, place / "private", place / "private" / "answers.csv", library.data,
              OFFLINE / "cell-samples", OFFLINE / "cell-samples" / "leaderboard.csv",
              "/data/../private", "/data/../private/answers.csv"]  # fmt: skip
    arguments = [json.dumps([str(each) for each in places]), json.dumps(HIDDEN)]
    catalog = Catalog([mini_task.parent], library, [ONE])
    before = {path: path.read_bytes() for path in (place / "public").iterdir()}
    async with serving(catalog=catalog, backend=isolating) as server:
        ticket = await server.ticket(task_id=ONE)
        async with server.client(ticket["token"]) as client:
            await client.call_tool("write_file", {"path": "spy.py", "content": SPY})
            call = {"script_path": "spy.py", "args": arguments}
            told = (await client.call_tool("run_python", call)).content[0].text
    (line,) = (each for each in told.splitlines() if each.startswith("[["))
    assert json.loads(line) == [[], [], []]
    assert {path: path.read_bytes() for path in (place / "public").iterdir()} == before


async def test_sessions_share_the_files_that_lie_on_disk(
    serving: Any, mini_task: Path, library: Competitions, isolating: Backend
) -> None:
    public = library.prepare(ONE) / "public"
    inode = (public / "train.csv").stat().st_ino
    catalog = Catalog([mini_task.parent], library, [ONE])
    async with serving(catalog=catalog, backend=isolating) as server:
        ticket = await server.ticket(task_id=ONE)
        async with server.client(ticket["token"]) as client:
            look = {"command": "stat -c inode:%i /data/train.csv"}
            assert f"inode:{inode}" in str(await client.call_tool("bash_exec", look))


async def test_without_isolation_a_session_says_that_it_needs_some(
    serving: Any, mini_task: Path, library: Competitions
) -> None:
    catalog = Catalog([mini_task.parent], library, [ONE])
    async with serving(catalog=catalog, backend=open_plain) as server:
        ticket = await server.ticket(task_id=ONE)
        async with server.client(ticket["token"]) as client:
            told = await client.call_tool("status", {}, raise_on_error=False)
            assert "mounts data, which needs isolation" in str(told)
        record = await server.record(ticket["session_id"])
        assert record["state"] == "failed"
        assert "mounts data, which needs isolation" in record["error"]
