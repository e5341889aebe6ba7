"""The time and the machine that competitions get."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from proctor.schemas.run import Lock
from proctor.tasks.competitions.definition import Definition, read_definition
from proctor.tasks.competitions.library import KAGGLE, OFFLINE, Competitions

GIBIBYTE = 1 << 30


@pytest.fixture
def declared(tmp_path: Path) -> Any:
    """A competition whose rows Proctor makes, with more said of it."""

    def declare(splits: str, more: str = "") -> Definition:
        place = tmp_path / "cell-samples"
        place.mkdir()
        for path in (OFFLINE / "cell-samples").iterdir():
            text = path.read_text("utf-8").replace('splits = ["offline"]', f"{splits}\n{more}")
            (place / path.name).write_text(text, "utf-8")
        return read_definition(place)

    return declare


@pytest.mark.parametrize(
    "name", ["spooky-author-identification", "siim-isic-melanoma-classification", "AI4Code"]
)
def test_a_competition_of_kaggles_has_a_day_and_a_large_machine(name: str) -> None:
    file = read_definition(KAGGLE / name).file
    assert (file.limits.time_s, file.limits.turns) == (86_400, 1000)
    assert (file.memory_bytes, file.workspace_bytes) == (16 * GIBIBYTE, 4 * GIBIBYTE)


@pytest.mark.parametrize("splits", ["", 'splits = ["offline"]', 'splits = ["low", "mine"]'])
def test_any_other_has_what_a_task_has(declared: Any, splits: str) -> None:
    file = declared(splits).file
    assert (file.limits.time_s, file.limits.tool_calls, file.limits.turns) == (3600, 500, 50)
    assert (file.memory_bytes, file.cpus, file.gpus) == (4 * GIBIBYTE, None, 0)


def test_what_is_declared_holds_and_the_rest_stays_as_usual(declared: Any, tmp_path: Path) -> None:
    said = "cpus = 2\nmemory_bytes = 2147483648\nlimits = { turns = 7 }"
    file = declared('splits = ["low"]', said).file
    assert (file.limits.time_s, file.limits.turns) == (3600, 7)
    task = Competitions(tmp_path / "data", [tmp_path]).task("cell-samples")
    assert (task.limits, task.sandbox.cpus, task.sandbox.memory_bytes) == (file.limits, 2, 1 << 31)


def test_a_digest_that_was_not_known_yet_is_no_change_and_another_task_is() -> None:
    def lock(**tasks: str) -> Lock:
        return Lock(
            run_id="x", started_at=datetime.now(UTC), flags={}, versions={}, tasks=tasks,
            candidates=(), epochs=1,
        )  # fmt: skip

    assert not [*lock(one="").differences(lock(one="abc"))]
    assert not [*lock(one="abc").differences(lock(one=""))]
    assert [*lock(one="abc").differences(lock(one="abd"))]
    assert [*lock(one="").differences(lock())]
