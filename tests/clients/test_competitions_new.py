"""``proctor competitions new``, and what a user then does with the competition."""

import csv
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from fastmcp import Client
from fastmcp.client.transports import StdioTransport
from typer.testing import CliRunner, Result

from proctor.clients.cli import app
from proctor.clients.reports.rows import row_of
from proctor.schemas.result import RunResult
from proctor.tasks.competitions.definition import read_definition

SCORES = "score,by\n0.9,us\n0.8,them\n0.7,\n0.6,\n"


@pytest.fixture
def proctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "scores.csv").write_text(SCORES, "utf-8")
    write_table(tmp_path / "data.csv", 120)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PROCTOR_COMPETITIONS", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "160")

    def run(*arguments: str, expect: int = 0) -> Result:
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == expect, result.output
        return result

    return run


def write_table(path: Path, count: int) -> None:
    """Visits with a number, gaps, a category, a date, a text, and who came again."""
    rng = np.random.default_rng(8)
    wait, kind = np.round(rng.gamma(2, 10, count), 1), rng.choice(["new", "known"], count)
    again = wait / 20 - (kind == "known") + rng.normal(0, 0.5, count) < 0.6
    pl.DataFrame(
        {
            "visit": rng.permutation(count) + 500,
            "wait": pl.Series(wait).set(pl.Series(rng.random(count) < 0.1), None),
            "kind": kind,
            "day": [f"2025-{1 + n % 12:02d}-{1 + n % 28:02d}" for n in range(count)],
            "note": [f"case {n}, as usual" for n in range(count)],
            "again": np.where(again, "yes", "no"),
        }
    ).write_csv(path)


NEW = ("competitions", "new", "data.csv", "--id", "visits", "--target", "again", "--into", "own")
GIVEN = ("--no-baselines", "--leaderboard", "scores.csv")


def test_a_table_becomes_a_competition_that_the_oracle_wins(proctor: Any) -> None:
    told = proctor(*NEW, "--ids", "visit", *GIVEN)
    assert "roc_auc: again has two values; 'yes' counts as 1" in told.stdout
    assert "84 rows to train on, 36 for the test" in told.stdout
    assert "proctor run competition/visits --tasks own" in told.stdout
    assert "the test has 36 rows" in told.stderr

    (listed,) = json.loads(proctor("competitions", "list", "--tasks", "own", "--json").stdout)
    assert (listed["id"], listed["teams"], listed["prepared"]) == ("visits", 4, False)
    shown = proctor("competitions", "show", "visits", "--tasks", "own").stdout
    assert "| `kind` | text | 0.0% | `known`, `new` |" in shown
    assert "competition/visits" in proctor("tasks", "list", "--tasks", "own").stdout

    ran = proctor("run", "competition/visits", "--tasks", "own", "--json")
    (best,) = [RunResult.model_validate(each) for each in json.loads(ran.stdout)["results"]]
    assert best.evaluation
    assert (best.evaluation.percentage, row_of(best).medal) == (100, "gold")

    (place,) = map(Path, proctor("competitions", "prepare", "--tasks", "own").stdout.split())
    sample = str(place / "public" / "sample_submission.csv")
    graded = proctor("competitions", "grade", sample, "visits", "--tasks", "own", "--json")
    report = json.loads(graded.stdout)
    assert (report["score"], report["any_medal"], report["rank"]) == (0.5, False, 5)


def test_baselines_are_really_run_for_the_leaderboard(proctor: Any, tmp_path: Path) -> None:
    write_table(tmp_path / "data.csv", 200)
    left = [part for column in ("visit", "kind", "day", "note") for part in ("--drop", column)]
    told = proctor(*NEW, "--seed", "4", *left)  # numbers alone: one way to look at them
    definition = read_definition(tmp_path / "own" / "visits")
    with (definition.place / "leaderboard.csv").open(encoding="utf-8") as held:
        by = {row["by"]: float(row["score"]) for row in csv.DictReader(held)}
    assert len(by) >= 30
    assert by["DummyClassifier(strategy=prior) on all columns"] == 0.5
    medals = definition.competition.medals
    assert medals.gold > medals.median > 0.5
    assert f"the median of {len(by)} teams is" in told.stdout
    assert "baselines are left out; KNeighborsClassifier(n_neighbors=15)" in told.stderr


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((*NEW, "--no-baselines"), "give scores with --leaderboard FILE"),
        ((*NEW, "--test", "1.5"), "--test 1.5: a share lies between 0 and 1"),
        ((*NEW, *GIVEN[:2], "none.csv"), "none.csv: there is no such file"),
        ((*NEW, *GIVEN, "--into", "data.csv"), "choose another --into"),
        (("competitions", "list", "--tasks", "none"), "--tasks none: there is no such"),
    ],
)
def test_a_wrong_use_is_said_in_a_sentence(
    proctor: Any, tmp_path: Path, arguments: tuple[str, ...], problem: str
) -> None:
    assert problem in proctor(*arguments, expect=2).stderr
    assert not (tmp_path / "own").exists()


def test_a_competition_is_replaced_only_with_force(proctor: Any) -> None:
    proctor(*NEW, *GIVEN)
    assert "own/visits exists" in proctor(*NEW, *GIVEN, expect=2).stderr
    proctor(*NEW, *GIVEN, "--force", "--title", "Who comes again")
    assert "Who comes again" in proctor("competitions", "list", "--tasks", "own").stdout


def test_a_competition_that_cannot_be_read_is_complained_of(proctor: Any, tmp_path: Path) -> None:
    proctor(*NEW, *GIVEN)
    with (tmp_path / "own" / "visits" / "data.csv").open("a") as data:
        data.write("\n")
    assert "competition/visits" in proctor("tasks", "list", "--tasks", "own").stdout
    told = proctor("tasks", "check", "--tasks", "own", expect=2)
    assert "not the file that the competition was made of" in told.stderr


async def test_a_server_offers_own_competitions(
    proctor: Any, proctor_command: list[str], tmp_path: Path
) -> None:
    proctor(*NEW, *GIVEN)
    environment = dict(os.environ)
    arguments = [*proctor_command[1:], "serve", "--tasks", str(tmp_path / "own")]
    arguments += ["--data", str(tmp_path / "sessions")]
    transport = StdioTransport(proctor_command[0], arguments, env=environment, keep_alive=False)
    async with Client(transport, timeout=60) as client:
        offered = await client.call_tool("list_tasks")
        assert "competition/visits" in str(offered.content)
        told = await client.call_tool("start_task", {"task_id": "competition/visits"})
        assert "/data/train.csv" in str(told.content)
        seen = await client.call_tool("bash_exec", {"command": "cat /data/*.csv | grep -c again"})
        assert "2" in str(seen.content)  # the headers of training rows and sample
