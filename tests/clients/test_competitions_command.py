"""``proctor competitions``, and runs of competitions, as a user has them."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from anyio import Path as AsyncPath
from fastmcp import Client
from fastmcp.client.transports import StdioTransport

from proctor.clients.reports.rows import row_of
from proctor.schemas.result import RunResult
from proctor.tasks.competitions.library import KAGGLE

ONE = "cell-samples"


def results(printed: str) -> list[RunResult]:
    return [RunResult.model_validate(each) for each in json.loads(printed)["results"]]


def test_the_oracle_wins_gold_and_doing_nothing_is_invalid(proctor: Any) -> None:
    (best,) = results(proctor("run", f"competition/{ONE}", "--json"))
    assert best.evaluation
    assert (best.kind, best.category, best.evaluation.percentage) == ("competition", "low", 100)
    assert row_of(best).medal == "gold"
    (none,) = results(proctor("run", f"competition/{ONE}", "--agent", "noop", "--json"))
    assert none.evaluation
    assert none.evaluation.percentage == 0
    assert (row_of(none).outcome, row_of(none).medal) == ("invalid", None)


def test_a_result_has_what_it_earned_by_which_rule_and_can_be_verified(
    proctor: Any, tmp_path: Path
) -> None:
    proctor("run", "competition/cell-*", "--out", "done", "--compat", "upstream")
    (path,) = (tmp_path / "done").rglob("result.json")
    graded = json.loads(path.read_text())["evaluation"]
    assert {each["reasoning"] for each in graded["results"]} == {
        "roc_auc: beats the median, gold medal"
    }
    earned = graded["competition"]
    assert (earned["score"], earned["rank"], earned["percentile"]) == (1, 1, 100)
    assert (earned["gold_medal"], earned["compat"]) == (True, "upstream")
    assert json.loads((tmp_path / "done" / "run.json").read_text())["conditions"]["compat"] == (
        "upstream"
    )
    assert "DIFFERS" not in proctor("verify", str(path))
    document = json.loads(path.read_text())
    document["evaluation"]["competition"] |= {"score": 0.5, "rank": 9}
    path.write_text(json.dumps(document), "utf-8")
    told = proctor("verify", str(path), expect=1)
    assert "competition.score: 0.5 is 1.0; competition.rank: 9 is 1" in told
    assert "any medal" in proctor("report", "done")
    found = json.loads(proctor("competitions", "report", "done", "--json"))["records"]
    these = next(each for each in found if each["split"] == "these")
    assert (these["any_medal_percentage"], these["compat"]) == (100, "upstream")
    again = json.loads(proctor("grade", "done", "--compat", "strict", "--json"))
    assert again[0]["why"] == ["--compat upstream, now strict"]


def test_a_submission_is_graded_by_itself(proctor: Any, data: Path, tmp_path: Path) -> None:
    reference = next(data.rglob("reference.csv"))
    report = json.loads(proctor("competitions", "grade", str(reference), ONE, "--json"))
    assert (report["score"], report["gold_medal"], report["rank"]) == (1.0, True, 1)
    other = proctor("competitions", "grade", str(reference), ONE, "--compat", "upstream", "--json")
    assert json.loads(other)["compat"] == "upstream"
    (tmp_path / "submission.csv").write_text("sample_id,malignant\n1,0.5\n", "utf-8")
    told = proctor("competitions", "grade", "submission.csv", ONE, expect=1)
    assert "missing sample_id" in told
    assert "there is no competition 'x'" in proctor(
        "competitions", "grade", str(reference), "x", expect=2
    )


def test_competitions_are_listed_shown_and_prepared(proctor: Any, tmp_path: Path) -> None:
    rows = {each["id"]: each for each in json.loads(proctor("competitions", "list", "--json"))}
    assert rows[ONE]["prepared"]
    assert not rows["kiln-gas"]["prepared"]
    assert ONE in proctor("competitions", "list")
    assert "nuclei" in proctor("competitions", "show", ONE)
    place = proctor("competitions", "prepare", ONE, "--data", str(tmp_path / "other")).strip()
    assert Path(place, "public", "train.csv").exists()


def test_own_competitions_are_listed_and_checked_without_a_download(
    proctor: Any, tmp_path: Path
) -> None:
    for name in ("AI4Code", "spooky-author-identification"):
        shutil.copytree(KAGGLE / name, tmp_path / "own" / name)
    empty = ("--tasks", "own")
    rows = json.loads(proctor("tasks", "list", *empty, "--json"))
    assert [(each["id"], each["points"]) for each in rows] == [
        ("competition/AI4Code", 100), ("competition/spooky-author-identification", 100)
    ]  # fmt: skip
    told = proctor("tasks", "check", *empty, expect=2)
    assert "competition/AI4Code is left out, as it is not supported yet" in told
    assert "spooky-author-identification is left out, as it would have to be downloaded" in told


def test_competitions_have_a_list_of_their_own(proctor: Any) -> None:
    assert "no task matches 'competition/x*'" in proctor("run", "competition/x*", expect=2)
    assert "competition/" not in proctor("tasks", "list", "--json")
    shown = proctor("tasks", "show", f"competition/{ONE}")
    assert "ROC curve" in shown


async def test_an_agent_is_told_whether_its_submission_is_valid_and_no_more(
    proctor_command: list[str], data: Path, tmp_path: Path
) -> None:
    command = [*proctor_command, "serve", "--feedback", "validity/score", "--data", str(tmp_path)]
    environment = {**os.environ, "PROCTOR_COMPETITIONS": str(data)}
    transport = StdioTransport(command[0], command[1:], env=environment, keep_alive=False)
    async with Client(transport, timeout=60) as client:

        async def call(tool: str, **arguments: Any) -> str:
            result = await client.call_tool(tool, arguments)
            return "\n".join(getattr(part, "text", "") for part in result.content)

        assert f"competition/{ONE}" in await call("list_tasks")
        assert "/data/train.csv" in await call("start_task", task_id=f"competition/{ONE}")
        assert "does not exist" in await call("check_submission")
        copied = "cp /data/sample_submission.csv submission.csv && chmod u+w submission.csv"
        await call("bash_exec", command=copied)
        assert "has the form asked for" in await call("check_submission")
        await call("bash_exec", command="echo 1,0.5 >> submission.csv")
        assert "unknown sample_id: '1'" in await call("check_submission")
        await call("bash_exec", command="cp /data/sample_submission.csv submission.csv")
        told = await call("submit", answer="")
        assert "10 of the 100 points graded" in told


@pytest.mark.parametrize("compat", ["strict", "upstream"])
async def test_a_server_grades_by_the_rule_that_it_is_told(
    proctor_command: list[str], data: Path, tmp_path: Path, compat: str
) -> None:
    command = [*proctor_command, "serve", "--compat", compat, "--data", str(tmp_path)]
    environment = {**os.environ, "PROCTOR_COMPETITIONS": str(data)}
    transport = StdioTransport(command[0], command[1:], env=environment, keep_alive=False)
    async with Client(transport, timeout=60) as client:
        await client.call_tool("start_task", {"task_id": f"competition/{ONE}"})
        copied = "cp /data/sample_submission.csv submission.csv"
        await client.call_tool("bash_exec", {"command": copied})
        told = str(await client.call_tool("submit", {"answer": ""}))
    assert "medal" not in told
    (record,) = [path async for path in AsyncPath(tmp_path).rglob("session.json")]
    found = json.loads(await record.read_text("utf-8"))["grade"]["competition"]
    assert (found["compat"], found["valid_submission"]) == (compat, True)
