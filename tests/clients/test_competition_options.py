"""Which competitions are on offer or worked, and what they may use, by the command line."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from fastmcp import Client
from fastmcp.client.transports import StdioTransport

from proctor.clients.cli.offering import without_competitions
from proctor.clients.cli.run_tasks import Kind, TaskChoice
from proctor.schemas.sandbox import Overrides, SandboxSpec
from proctor.schemas.task import Limits, TaskCard
from proctor.tasks.catalog import Catalog
from proctor.tasks.competitions.library import OFFLINE, Competitions

ONE = "cell-samples"
DECLARED = sorted(OFFLINE.glob("*/competition.toml"))
LOOK = """
import os
print("seen:", [each for each in {places} if os.path.exists(each)])
"""


def names_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def card(name: str, *splits: str) -> TaskCard:
    return TaskCard(
        id=name, title=name, kind="competition", category="low", splits=splits, digest="",
        limits=Limits(),
    )  # fmt: skip


CARDS = [card(f"competition/{name}", "lite") for name in ("a-one", "a-two", "b-one")]


def test_a_run_without_a_choice_takes_the_bundled_tasks_and_what_needs_no_download(
    tmp_path: Path,
) -> None:
    library = Competitions(tmp_path)
    catalog = TaskChoice().offered(Catalog(competitions=library), [])
    found = TaskChoice().chosen(catalog.cards(), [], library)
    competitions = [each.id for each in found if each.kind == "competition"]
    assert competitions == sorted(f"competition/{path.parent.name}" for path in DECLARED)
    assert {each.kind for each in found} == {"competition", "error_analysis"}
    assert not any(each.kind == "competition" for each in without_competitions(found))
    assert not names_in(tmp_path)


def test_what_would_have_to_be_downloaded_is_left_out_unless_it_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    library = Competitions(tmp_path)
    cards = Catalog(competitions=library, among=library.ids).cards()
    named = "competition/spooky-author-identification"
    assert [each.id for each in TaskChoice().chosen(cards, [named], library)] == [named]
    left = TaskChoice().chosen(cards, ["competition/[ks]*"], library)
    assert [each.id for each in left] == ["competition/kiln-gas"]
    assert "would have to be downloaded first: proctor competitions" in capsys.readouterr().err
    with pytest.raises(typer.Exit):
        TaskChoice(split="lite").chosen(cards, [], library)
    assert "no task is left: 22 of the competitions" in capsys.readouterr().err


def chosen(**options: Any) -> list[str]:
    found = TaskChoice(kind=Kind.COMPETITION, **options).chosen(CARDS, [])
    return [each.id.removeprefix("competition/") for each in found]


def test_what_is_excluded_is_left_out_whether_its_prefix_is_written_or_not() -> None:
    assert chosen(exclude=["a-*"]) == ["b-one"]
    assert chosen(exclude=["competition/a-one", "b-one"], split="lite") == ["a-two"]
    assert chosen(exclude=["a-one"], limit=1) == ["a-two"]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"exclude": ["a-tow"]}, "--exclude 'a-tow' matches no task; did you mean competition/a-"),
        ({"exclude": ["*"]}, "no task is left: --exclude * takes all"),
        ({"split": "dev"}, "--split dev (there are: lite)"),
    ],
)
def test_a_choice_that_leaves_nothing_or_misspells_is_refused(
    options: dict[str, Any], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(BaseException, match="2"):
        chosen(**options)
    assert problem in capsys.readouterr().err


def test_a_pattern_leaves_out_what_is_not_supported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    library = Competitions(tmp_path)
    names = ("siim-covid19-detection", "spaceship-titanic", ONE)
    cards = [library.definition(name).card() for name in names]
    found = TaskChoice().chosen(cards, ["competition/*"], library)
    assert [each.id for each in found] == [f"competition/{ONE}"]
    told = capsys.readouterr().err
    assert "1 of the competitions are not supported yet, and left out" in told
    assert told.endswith("downloaded first: proctor competitions prepare spaceship-titanic\n")
    with pytest.raises(BaseException, match="2"):
        TaskChoice().chosen(cards[:1], ["competition/*"], library)
    assert "none of these competitions is supported yet" in capsys.readouterr().err
    assert TaskChoice().chosen(cards, [cards[0].id], library) == cards[:1]


def test_a_split_may_be_a_file_of_ids(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    listed = tmp_path / "mine.txt"
    listed.write_text("b-one\n\n# not a-one\ncompetition/a-two  # this one\n", "utf-8")
    assert chosen(split=str(listed)) == ["a-two", "b-one"]
    listed.write_text("b-one\nb-oen\n", "utf-8")
    with pytest.raises(BaseException, match="2"):
        chosen(split=str(listed))
    assert (
        f"{listed}:2: no task is called 'b-oen'; did you mean competition/b-one?"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    "wrong",
    ["--sign-key none.pem", "--memory much", "--out full"],
)
def test_what_can_be_refused_is_before_anything_is_prepared(
    proctor: Any, tmp_path: Path, wrong: str
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").touch()
    said = proctor("run", f"competition/{ONE}", *wrong.split(), "--data", "data", expect=2)
    assert wrong.split()[-2] in said
    assert not (tmp_path / "data").exists()


def test_a_run_prepares_only_what_it_works(proctor: Any, tmp_path: Path) -> None:
    options = ["--split", "offline", "--exclude", "kiln-*", "--exclude", "ward-*", "--limit", "1"]
    place = tmp_path / "data"
    proctor("run", *options, "--agent", "noop", "--data", str(place), "--out", "run", "--no-eval")
    assert names_in(place) == ["bakery-sales"]
    assert list(json.loads((tmp_path / "run/run.json").read_text())["tasks"]) == [
        "competition/bakery-sales"
    ]


def test_a_run_that_cannot_prepare_says_why_and_how_to_go_on_without(
    proctor: Any, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    said = proctor("run", f"competition/{ONE}", "--data", "file", expect=2)
    assert "choose another place with --data" in said
    assert f"--exclude competition/{ONE} goes on without it" in said


@pytest.mark.parametrize(
    ("wanted", "offered"),
    [
        ("prepared", {ONE}),
        ("none", set[str]()),
        (
            "offline",
            {path.name for path in OFFLINE.iterdir() if (path / "competition.toml").exists()},
        ),
        ("kiln-gas, competition/pump-*", {"kiln-gas", "pump-faults"}),
    ],
)
async def test_a_server_offers_the_competitions_that_it_is_told_to(
    proctor_command: list[str], data: Path, tmp_path: Path, wanted: str, offered: set[str]
) -> None:
    command = [*proctor_command, "serve", "--competitions", wanted, "--data", str(tmp_path / "own")]
    environment = {**os.environ, "PROCTOR_COMPETITIONS": str(data)}
    transport = StdioTransport(command[0], command[1:], env=environment, keep_alive=False)
    async with Client(transport, timeout=60) as client:
        told = str((await client.call_tool("list_tasks", {})).content[0])
    names = {each.split(":")[0] for each in told.split("competition/")[1:]}
    assert names == offered
    assert names_in(data) == [ONE]


async def test_a_competition_that_a_server_is_told_to_open_need_not_be_on_offer(
    proctor_command: list[str], data: Path, tmp_path: Path
) -> None:
    command = [*proctor_command, "serve", "--competitions", "none", "--task", f"competition/{ONE}"]
    environment = {**os.environ, "PROCTOR_COMPETITIONS": str(data)}
    own = ["--data", str(tmp_path / "own")]
    transport = StdioTransport(command[0], [*command[1:], *own], env=environment, keep_alive=False)
    async with Client(transport, timeout=60) as client:
        assert f"Task: competition/{ONE}" in str(await client.call_tool("status", {}))


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (
            ["--competitions", "kiln-gsa"],
            "no competition or split 'kiln-gsa'; did you mean kiln-gas?",
        ),
        (["--competitions", "all", "--tasks", "."], "no competition or split 'all'"),
        (["--image", "x:y", "--backend", "bubblewrap"], "--image goes with containers"),
    ],
)
def test_a_server_refuses_what_it_cannot_offer(
    proctor: Any, options: list[str], problem: str
) -> None:
    assert problem in proctor("serve", *options, expect=2)


def test_an_image_is_set_over_any_tasks() -> None:
    spec = SandboxSpec(image="its/own:1")
    assert Overrides(image="mine:2").applied_to(spec).image == "mine:2"
    assert Overrides().applied_to(spec).image == "its/own:1"


def test_an_agents_process_sees_nothing_of_the_data_directory(
    proctor: Any, tmp_path: Path, data: Path
) -> None:
    private = next(data.rglob("private"))
    places = [data, private, private / "answers.csv", OFFLINE, OFFLINE / ONE / "leaderboard.csv"]
    (tmp_path / "look.py").write_text(LOOK.format(places=[*map(str, places)]), "utf-8")
    command = f"{sys.executable} look.py"
    told = proctor(
        "run", f"competition/{ONE}", "--agent-command", f"{command} {places[2]}", expect=2
    )
    assert "which no agent may see" in told
    proctor("run", f"competition/{ONE}", "--agent-command", command, "--out", "run", "--no-eval")
    (log,) = (tmp_path / "run").rglob("agent.log")
    assert "seen: []" in log.read_text("utf-8")
