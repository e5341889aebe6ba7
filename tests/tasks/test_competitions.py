"""Competitions as tasks: prepared, on offer, worked and graded."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proctor.sandbox_backends.base import Backend
from proctor.schemas.errors import TaskError
from proctor.tasks.catalog import BUNDLED as ERROR_ANALYSIS
from proctor.tasks.catalog import Catalog
from proctor.tasks.check import check_task
from proctor.tasks.competitions.definition import CHECKSUMS, FILE, SourceSplit, read_definition
from proctor.tasks.competitions.library import OFFLINE, Competitions
from proctor.tasks.competitions.prepared import is_whole, place_of
from proctor.tasks.competitions.preparing.making import made_files
from proctor.tasks.competitions.preparing.prepare import prepare
from proctor.tasks.competitions.preparing.proof import check_provable, sums
from proctor.tasks.competitions.sources.splits import split_rows

NAMES = sorted(path.parent.name for path in OFFLINE.glob(f"*/{FILE}"))
EACH = pytest.mark.parametrize("name", NAMES)
ONE = "competition/cell-samples"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Competitions:
    """Prepared once for all tests that only read."""
    return Competitions(tmp_path_factory.mktemp("data"))


@pytest.fixture
def changed(tmp_path: Path) -> Any:
    """A competition's directory with its declaration changed."""

    def change(old: str, new: str) -> Path:
        place = tmp_path / "own" / "cell-samples"
        place.mkdir(parents=True)
        for path in (OFFLINE / "cell-samples").iterdir():
            text = path.read_text("utf-8")
            (place / path.name).write_text(text.replace(old, new), "utf-8")
        return place

    return change


@EACH
def test_a_competition_is_made_the_same_each_time_and_as_its_leaderboard_saw_it(name: str) -> None:
    definition = read_definition(OFFLINE / name)
    files = made_files(definition)
    assert files == made_files(definition)
    assert sums(files) == definition.checksums


@EACH
def test_the_answers_win_gold_and_the_sample_no_medal(name: str) -> None:
    definition = read_definition(OFFLINE / name)
    check_provable(definition, made_files(definition))


@EACH
def test_a_leaderboard_has_many_teams_and_medals_apart(name: str) -> None:
    definition = read_definition(OFFLINE / name)
    medals = definition.competition.medals
    assert medals.teams >= 30
    steps = [medals.gold, medals.silver, medals.bronze, medals.median]
    assert steps == sorted(set(steps), reverse=not definition.file.lower_is_better)


@EACH
def test_nothing_that_agents_are_given_has_the_answers(name: str) -> None:
    definition = read_definition(OFFLINE / name)
    files, form = made_files(definition), definition.file.form
    test = pl.read_csv(files["public/test.csv"])
    train = pl.read_csv(files["public/train.csv"])
    answers = pl.read_csv(files["private/answers.csv"])
    targets = set(answers.columns) - set(form.ids)
    assert targets
    assert not targets & set(test.columns)
    assert not set(train[form.ids[0]]) & set(test[form.ids[0]])
    assert answers[form.ids[0]].equals(test[form.ids[0]])
    sample = pl.read_csv(files["public/sample_submission.csv"])
    assert all(sample[each].n_unique() == 1 for each in form.targets)
    assert np.corrcoef(np.arange(len(test)), test[form.ids[0]].to_numpy())[0, 1] < 0.2


def test_rows_of_a_group_are_in_one_part_only() -> None:
    files = made_files(read_definition(OFFLINE / "ward-stays"))
    parts = [pl.read_csv(files[f"public/{part}.csv"])["ward"] for part in ("train", "test")]
    assert not set(parts[0]) & set(parts[1])


@settings(max_examples=50)
@given(
    st.lists(st.integers(0, 6), min_size=8, max_size=40).filter(lambda each: len(set(each)) > 3),
    st.sampled_from(["rows", "group", "time"]),
    st.integers(0, 99),
)
def test_a_split_uses_every_row_once_and_keeps_its_rule(
    cells: list[int], by: Any, seed: int
) -> None:
    split = SourceSplit(by=by, column="" if by == "rows" else "when", test=0.4, seed=seed)
    train, test = split_rows(split, pl.DataFrame({"when": cells}))
    assert sorted([*train, *test]) == list(range(len(cells)))
    values = np.array(cells)
    if by == "group":
        assert not set(values[train]) & set(values[test])
    if by == "time":
        assert values[train].max() < values[test].min()
        assert (np.diff(values[train]) >= 0).all()


def test_what_is_prepared_is_found_again_and_damage_is_mended(tmp_path: Path) -> None:
    library = Competitions(tmp_path)
    assert not library.is_prepared(ONE)
    place = library.prepare(ONE)
    assert library.is_prepared(ONE)
    before = (place / "public/train.csv").stat().st_mtime_ns
    assert library.prepare("cell-samples") == place
    assert (place / "public/train.csv").stat().st_mtime_ns == before
    (place / "public/train.csv").write_text("id\n", "utf-8")
    assert not library.is_prepared(ONE)
    library.prepare(ONE)
    assert library.is_prepared(ONE)


def test_only_the_answers_are_closed_to_others_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        place = Competitions(tmp_path).prepare(ONE)
    finally:
        os.umask(before)
    assert (place / "public").stat().st_mode & 0o777 == 0o755
    assert (place / "public/test.csv").stat().st_mode & 0o777 == 0o644
    assert (place / "private").stat().st_mode & 0o777 == 0o700


KILLED = """
import os, signal, sys
from pathlib import Path
from proctor.tasks.competitions.definition import read_definition
from proctor.tasks.competitions.preparing.prepare import prepare
written = 0
def stop(event, arguments):
    global written
    if event == "os.chmod" and (written := written + 1) == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(stop)
prepare(read_definition(Path(sys.argv[1])), Path(sys.argv[2]))
"""


@pytest.mark.parametrize("at", [1, 4, 9])
def test_a_preparation_that_is_killed_leaves_nothing_that_counts(tmp_path: Path, at: int) -> None:
    definition = read_definition(OFFLINE / "cell-samples")
    command = [sys.executable, "-c", KILLED, str(definition.place), str(tmp_path), str(at)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    place = place_of(definition, tmp_path)
    assert not place.exists()
    prepare(definition, tmp_path)
    assert is_whole(place)
    assert sorted(path.name for path in place.parent.iterdir()) == [".lock", place.name]


def test_files_other_than_those_of_the_leaderboard_are_refused(
    changed: Any, tmp_path: Path
) -> None:
    definition = read_definition(changed("seed = 20261101", "seed = 1"))
    with pytest.raises(TaskError, match="not those that its leaderboard was made with"):
        prepare(definition, tmp_path / "data")
    assert not place_of(definition, tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('kind = "dataset"', 'kind = "magic"', "source.kind"),
        ("rows = 3000", "rows = 0", "source.settings.rows"),
        ("test = 0.4", 'test = 0.4\nby = "group"', "column goes with"),
        ('id = "cell-samples"', 'id = "others"', "is not the directory's name"),
        ("score,by", "place,by", "it has no column 'score'"),
    ],
)
def test_a_wrong_declaration_is_refused_by_its_key(
    changed: Any, old: str, new: str, problem: str
) -> None:
    place = changed(old, new)
    with pytest.raises(TaskError, match=re.escape(problem)):
        made_files(read_definition(place))


def test_a_direction_that_is_not_the_metrics_is_refused(changed: Any) -> None:
    place = changed("lower_is_better = false", "lower_is_better = true")
    lines = (place / "leaderboard.csv").read_text("utf-8").splitlines()
    (place / "leaderboard.csv").write_text("\n".join([lines[0], *lines[:0:-1]]), "utf-8")
    definition = read_definition(place)
    with pytest.raises(TaskError, match="lower_is_better is not as the metric has it"):
        check_provable(definition, made_files(definition))


def test_catalogs_prepare_a_competition_only_when_it_is_asked_for(library: Competitions) -> None:
    plain = Catalog([ERROR_ANALYSIS], library)
    assert not any(each.startswith("competition/") for each in plain.ids)
    task = plain[ONE]
    assert (task.kind, task.category, task.splits) == ("competition", "low", ("offline",))
    offering = plain.offering([ONE])
    assert ONE in offering.ids
    assert offering[ONE].digest() == task.digest()
    with pytest.raises(TaskError, match="no task 'competition/none'"):
        plain["competition/none"]


def test_a_digest_does_not_depend_on_where_the_files_lie(
    library: Competitions, tmp_path: Path
) -> None:
    assert library.task(ONE).digest() == Competitions(tmp_path).task(ONE).digest()


def test_instructions_say_files_columns_metric_and_format_and_no_threshold(
    library: Competitions,
) -> None:
    task = library.task(ONE)
    told = task.instructions
    for said in ("/data/train.csv", "`sample_id`, `malignant`", "ROC curve", "submission.csv"):
        assert said in told
    gold = read_definition(OFFLINE / "cell-samples").competition.medals.gold
    assert f"{gold:g}" not in told
    assert not task.workspace


async def test_a_competition_proves_itself_as_any_task_does(
    library: Competitions, isolating: Backend
) -> None:
    findings = [each async for each in check_task(library.task(ONE), isolating)]
    assert [each.detail for each in findings if not each.ok] == []
    assert {"solution", "untouched"} <= {each.check for each in findings}


LOOK = """
import os
found = []
for root in ("/data", "/workspace", "/tmp", "/home", "/root", "/grading"):
    for place, _, names in os.walk(root):
        found += [os.path.join(place, name) for name in names]
print("\\n".join(found))
open("/data/new", "w")
"""


async def test_a_sandbox_has_the_public_files_read_only_and_no_others(
    library: Competitions, isolating: Backend
) -> None:
    task = library.task(ONE)
    async with isolating(task.sandbox) as sandbox:
        result = await sandbox.exec([sandbox.info.python, "-c", LOOK], timeout_s=60)
    seen = {path for path in result.stdout.text().split() if path.startswith("/data")}
    assert seen == {
        f"/data/{name}"
        for name in ("train.csv", "test.csv", "sample_submission.csv", "description.md")
    }
    assert not re.search(r"answers|reference\.csv|leaderboard", result.stdout.text())
    assert "Read-only file system" in result.stderr.text()


def test_checksums_name_every_file_that_is_made() -> None:
    for name in NAMES:
        said = json.loads((OFFLINE / name / CHECKSUMS).read_text("utf-8"))
        assert {"public/train.csv", "public/test.csv", "private/answers.csv"} <= said.keys()


def test_a_data_directory_that_cannot_be_written_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    with pytest.raises(TaskError, match="choose another place with --data"):
        Competitions(tmp_path / "file").task(ONE)


def test_two_that_prepare_at_once_agree(tmp_path: Path) -> None:
    async def both() -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(2):
                tasks.start_soon(anyio.to_thread.run_sync, Competitions(tmp_path).prepare, ONE)

    anyio.run(both)
    assert Competitions(tmp_path).is_prepared(ONE)
