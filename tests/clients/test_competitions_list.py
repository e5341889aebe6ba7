"""``proctor competitions list`` and ``show``, as a user has them."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from proctor.clients.cli import app
from proctor.tasks.competitions.library import Competitions

ONE = "cell-samples"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where one competition is prepared."""
    place = tmp_path_factory.mktemp("competitions")
    Competitions(place).prepare(ONE)
    return place


@pytest.fixture
def proctor(data: Path) -> Any:
    def run(*arguments: str, expect: int = 0, columns: int = 160) -> str:
        environment = {"COLUMNS": str(columns), "PROCTOR_COMPETITIONS": str(data)}
        result = CliRunner().invoke(app, arguments, env=environment)
        assert result.exit_code == expect, result.output
        return result.stdout if expect == 0 else result.stderr

    return run


def test_the_list_can_be_narrowed_and_says_what_each_takes(proctor: Any) -> None:
    def listed(*options: str) -> dict[str, str]:
        rows = json.loads(proctor("competitions", "list", *options, "--json"))
        return {each["id"]: each["state"] for each in rows}

    assert listed("--prepared") == {ONE: "prepared"}
    assert {listed("--split", "offline")[each] for each in ("kiln-gas", "ward-stays")} == {"ready"}
    assert set(listed("--split", "lite").values()) == {"download"}
    assert "vesuvius-challenge-ink-detection" in listed("--category", "high")
    everything, supported = listed(), listed("--supported")
    assert everything.keys() - supported.keys() == {
        each for each, state in everything.items() if state == "unsupported"
    }
    assert "did you mean lite?" in proctor("competitions", "list", "--split", "lit", expect=2)


@pytest.mark.parametrize("columns", [80, 200])
def test_the_list_shows_whole_ids_at_any_width(proctor: Any, data: Path, columns: int) -> None:
    *rows, total = proctor("competitions", "list", columns=columns).splitlines()
    ids = [each.removeprefix("competition/") for each in Competitions(data).ids]
    assert [row.split()[0] for row in rows] == ["competition", *ids]
    assert {len(row) <= columns for row in rows} == {True}
    assert total.startswith(f"{len(ids)} competitions: 1 prepared, ")


def test_a_competition_is_shown_with_its_issues_or_why_it_is_not_supported(proctor: Any) -> None:
    shown = proctor("competitions", "show", "AI4Code")
    assert "unsupported: its test is filled with families of notebooks" in shown
    assert "1025 teams" in shown
    shown = json.loads(
        proctor("competitions", "show", "siim-isic-melanoma-classification", "--json")
    )
    assert any("TFRecords" in each for each in shown["issues"])
    assert shown["limits"]["time_s"] == 24 * 3600
