"""``check_submission`` in sessions of competitions: the form, and nothing of the labels."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import polars as pl
import pytest

from proctor.tasks.catalog import Catalog
from proctor.tasks.competitions.library import Competitions

ONE = "competition/cell-samples"
RIGHT = "has the form asked for, as far as"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Competitions:
    found = Competitions(tmp_path_factory.mktemp("data"))
    found.prepare(ONE)
    return found


class Agent:
    """A client in a session of the competition."""

    def __init__(self, client: Any, record: Any) -> None:
        self.client = client
        self.record = record

    async def run(self, command: str) -> None:
        told = await self.client.call_tool("bash_exec", {"command": command})
        assert "code: 0" in str(told) or "code 0" in str(told), told

    async def check(self) -> str:
        with anyio.fail_after(60):
            result = await self.client.call_tool("check_submission", {}, raise_on_error=False)
        return str(result.content[0].text)

    async def checked(self, text: str) -> str:
        """What is told of a submission."""
        await self.client.call_tool("write_file", {"path": "submission.csv", "content": text})
        return await self.check()


@pytest.fixture
def sitting(serving: Any, mini_task: Path, library: Competitions) -> Any:
    @asynccontextmanager
    async def sit(**options: Any) -> AsyncGenerator[Agent]:
        catalog = Catalog([mini_task.parent], library, [ONE])
        async with serving(catalog=catalog, **options) as server:
            ticket = await server.ticket(task_id=ONE)
            async with server.client(ticket["token"]) as client:
                yield Agent(client, lambda: server.record(ticket["session_id"]))

    return sit


def submission(library: Competitions, *values: float) -> str:
    """The test's ids with these values in turn."""
    ids = pl.read_csv(library.prepare(ONE) / "public" / "sample_submission.csv")["sample_id"]
    said = [values[number % len(values)] for number in range(len(ids))]
    return pl.DataFrame({"sample_id": ids, "malignant": said}).write_csv()


async def test_competitions_have_it_where_nobody_says_otherwise(sitting: Any) -> None:
    async with sitting() as agent:
        assert "check_submission" in [tool.name for tool in await agent.client.list_tools()]
        assert "check_submission says" in str(await agent.client.call_tool("status", {}))
        assert "submission.csv: it does not exist" in await agent.check()
        record = await agent.record()
        assert (record["feedback"]["before"], record["feedback"]["after"]) == ("validity", "score")
        assert (record["checks"], record["tool_calls"]) == (1, 1)


async def test_an_operator_may_take_it_away(sitting: Any) -> None:
    async with sitting(feedback="none/none") as agent:
        assert "check_submission" not in [tool.name for tool in await agent.client.list_tools()]
        assert "nothing of how the work stands is told" in await agent.check()


async def test_the_same_is_told_whatever_the_labels_are(
    sitting: Any, library: Competitions
) -> None:
    reference = (library.prepare(ONE) / "private" / "reference.csv").read_text("utf-8")
    opposite = pl.read_csv(reference.encode()).with_columns(1 - pl.col("malignant")).write_csv()
    async with sitting() as agent:
        told = [
            await agent.checked(text)
            for text in (reference, opposite, submission(library, 0.0, 1.0, 0.5))
        ]
        broken = [
            await agent.checked(text.replace("\n", "\n1,0.5\n", 1))
            for text in (reference, opposite)
        ]
        calls = (await agent.record())["tool_calls"]
    assert set(told) == {told[0]}
    assert RIGHT in told[0]
    assert len(set(broken)) == 1
    assert "unknown sample_id: '1'" in broken[0]
    assert calls == 10


HOSTILE = {
    "a link": ("ln -s /data/sample_submission.csv submission.csv", "it is a link"),
    "a link to what is hidden": ("ln -s /etc/passwd submission.csv", "it is a link"),
    "a directory": ("mkdir submission.csv", "it is not a file"),
    "a FIFO": ("mkfifo submission.csv", "no plain files: 'submission.csv'"),
    "nothing in it": (": > submission.csv", "is empty"),
    "a sparse file": ("truncate -s 10G submission.csv", "more than"),
    "many columns": (
        "python3 -c \"print(','.join(f'c{n}' for n in range(10**6)))\" > submission.csv",
        "columns, more than 10000",
    ),
    "a line without end": (
        "head -c 50000000 /dev/zero | tr '\\0' a > submission.csv",
        "a line break",
    ),
    "NUL bytes": (
        "printf 'sample_id,malignant\\n\\0\\0,\\0\\n' > submission.csv",
        "missing sample_id|not a CSV table",
    ),
    "zeros": ("head -c 100000000 /dev/zero > submission.csv", "no header"),
    "a quote that stays open": (
        "(echo sample_id,malignant; echo '\"1,0.5'; seq 1 200000) > submission.csv",
        "missing sample_id|not a CSV table",
    ),
    "an open quote in the header": (
        "(echo '\"sample_id,malignant'; seq 1 200000) > submission.csv",
        "each quote closed",
    ),
    "no text": ("head -c 100000 /dev/urandom > submission.csv", "no header|no column|not a CSV"),
}


async def test_hostile_files_are_told_apart_in_bounded_time(sitting: Any) -> None:
    told: dict[str, str] = {}
    async with sitting() as agent:
        for name, (command, _) in HOSTILE.items():
            await agent.run(f"rm -rf submission.csv; {command}")
            told[name] = await agent.check()
        assert (await agent.record())["state"] == "open"
    for name, (_, expected) in HOSTILE.items():
        with pytest.raises(AssertionError, match=expected):
            raise AssertionError(told[name])
        assert len(told[name]) < 2000, name
        assert RIGHT not in told[name], name
