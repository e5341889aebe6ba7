"""Kaggle's competitions of MLE-bench's Lite split, prepared from small raw files of their shape."""

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tasks.kaggle_lite_raw import (
    BUILDERS,
    KAGGLE,
    Columns,
    Expected,
    Raw,
    competition,
    tf_records,
)

from proctor.evaluator.competitions import check_form, measure
from proctor.evaluator.earned import report
from proctor.schemas.competition import Compat
from proctor.schemas.errors import TaskError
from proctor.tasks.competitions.definition import read_definition
from proctor.tasks.competitions.output import WHEN
from proctor.tasks.competitions.preparing.prepare import prepare
from proctor.tasks.competitions.raw.tfrecords import texts


@dataclass
class Prepared:
    """A competition whose files were made."""

    name: str
    expected: Expected
    place: Path

    @property
    def public(self) -> Path:
        """What agents get."""
        return self.place / "public"

    def answers(self) -> Columns:
        """The answers' cells."""
        return cells(self.place / "private" / "answers.csv")

    def graded(self, path: Path, compat: Compat) -> Any:
        """What a submission earns."""
        task, answers = competition(self.name), self.place / "private" / "answers.csv"
        measured = measure(task, path, answers, compat)
        assert measured.reason is None
        return report(task, path, measured, datetime(2026, 1, 2, tzinfo=UTC), compat=compat)


def cells(path: Path) -> Columns:
    """A table of text; objects' values are JSON."""
    if path.suffix == ".json":
        objects: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))
        return {name: [json.dumps(each[name]) for each in objects] for name in objects[0]}
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    return {name: table[name].tolist() for name in table.columns}


@pytest.fixture(scope="module", params=sorted(BUILDERS))
def prepared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    name: str = request.param
    raw = Raw(tmp_path_factory.mktemp("raw"))
    expected = BUILDERS[name](raw)
    data = tmp_path_factory.mktemp("data")
    place = prepare(read_definition(KAGGLE / name), data, raw=raw.place)
    return Prepared(name, expected, place)


def test_the_answers_are_those_of_the_rows_that_scikit_learn_draws(prepared: Prepared) -> None:
    form, found, expected = competition(prepared.name).form, prepared.answers(), prepared.expected
    assert found[form.ids[0]] == expected.ids
    assert {name: found[name] for name in expected.truth} == expected.truth
    assert set(form.true_columns) == set(expected.truth)


def test_agents_get_exactly_these_files(prepared: Prepared) -> None:
    public, expected = prepared.public, prepared.expected
    found = {path.relative_to(public).as_posix() for path in public.rglob("*") if path.is_file()}
    assert found == {"description.md", expected.sample, *expected.tables, *expected.files}
    for path, data in expected.files.items():
        assert (public / path).read_bytes() == data, path
    for path, table in expected.tables.items():
        assert cells(public / path) == table, path


def test_no_table_of_the_tests_rows_tells_what_is_asked_for(prepared: Prepared) -> None:
    form = competition(prepared.name).form
    for path in prepared.expected.tests:
        assert not {*form.targets, *form.truth} & set(cells(prepared.public / path)), path


def test_the_description_names_what_agents_get(prepared: Prepared) -> None:
    expected, said = prepared.expected, (prepared.public / "description.md").read_text("utf-8")
    for path in (expected.sample, *expected.tables, *expected.files):
        folder, _, name = path.rpartition("/")
        assert f"`{folder.partition('/')[0]}/" in said if folder else f"`{name}`" in said, path
    for name in competition(prepared.name).form.ids:
        assert f"`{name}`" in said


def test_train_and_test_have_no_row_in_common(prepared: Prepared) -> None:
    """By a column that tells rows apart, and by files, whose bytes do."""
    expected, public = prepared.expected, prepared.public
    mark = expected.mark or competition(prepared.name).form.ids[0]
    train: set[str] = set()
    for path in expected.tables.keys() - expected.tests:
        train |= set(cells(public / path).get(mark, ()))
    test = set(expected.ids) if not expected.mark else set[str]()
    for path in expected.tests:
        test |= set(cells(public / path).get(mark, ()))
    assert not train & test
    by_part: dict[bool, set[bytes]] = {False: set(), True: set()}
    for path in expected.files:
        if path.endswith((".jpg", ".png", ".tif", ".aif", ".wav", ".dcm", ".xyz")):
            by_part["test" in path.lower()].add((public / path).read_bytes())
    assert not by_part[True] & by_part[False]
    assert train or by_part[False]


@pytest.mark.parametrize("compat", ["strict", "upstream"])
def test_the_reference_wins_gold_and_the_sample_is_valid(
    prepared: Prepared, compat: Compat
) -> None:
    reference = prepared.place / "private" / "reference.csv"
    best = prepared.graded(reference, compat)
    assert best.gold_medal
    sample = prepared.public / prepared.expected.sample
    assert not prepared.graded(sample, compat).any_medal
    check_form(competition(prepared.name), reference, sample.read_bytes())


def test_the_sample_says_what_kaggles_says(prepared: Prepared) -> None:
    form, expected = competition(prepared.name).form, prepared.expected
    found, said = cells(prepared.public / expected.sample), expected.said
    assert found[form.ids[0]] == expected.ids
    for place, target in enumerate(form.targets):
        wanted = said[place] if isinstance(said, tuple) else said
        if isinstance(wanted, list):
            assert found[target] == wanted
        else:
            assert {float(each) for each in found[target]} == {float(wanted)}


def test_every_competition_of_the_lite_split_is_here() -> None:
    lite = {path.name for path in KAGGLE.iterdir() if "lite" in competition(path.name).splits}
    assert lite == set(BUILDERS)
    assert len(lite) == 22


@pytest.mark.parametrize(
    "name",
    [
        "dogs-vs-cats-redux-kernels-edition",
        "leaf-classification",
        "mlsp-2013-birds",
        "nomad2018-predict-transparent-conductors",
        "spooky-author-identification",
    ],
)
def test_raw_files_that_were_unpacked_by_hand_serve_as_well(tmp_path: Path, name: str) -> None:
    expected = BUILDERS[name](raw := Raw(tmp_path / "raw"))
    for path in list(raw.place.glob("*.zip")):
        with zipfile.ZipFile(path) as archive:
            archive.extractall(raw.place)
        path.unlink()
    place = prepare(read_definition(KAGGLE / name), tmp_path / "data", raw=raw.place)
    made = Prepared(name, expected, place)
    test_the_answers_are_those_of_the_rows_that_scikit_learn_draws(made)
    test_agents_get_exactly_these_files(made)


@pytest.mark.parametrize(
    ("name", "folders"),
    [
        ("aerial-cactus-identification", ["test"]),
        ("denoising-dirty-documents", ["test"]),
        ("dogs-vs-cats-redux-kernels-edition", ["test"]),
        ("leaf-classification", ["images"]),
        ("mlsp-2013-birds", ["essential_data/src_wavs", "supplemental_data/spectrograms"]),
        ("siim-isic-melanoma-classification", ["test", "jpeg/test"]),
        ("the-icml-2013-whale-challenge-right-whale-redux", ["test2"]),
    ],
)
def test_no_inode_and_no_time_tells_a_dog_from_a_cat(
    tmp_path: Path, name: str, folders: list[str]
) -> None:
    BUILDERS[name](raw := Raw(tmp_path / "raw"))
    for path in list(raw.place.glob("*.zip")):
        with zipfile.ZipFile(path) as archive:
            archive.extractall(raw.place)
        path.unlink()
    place = prepare(read_definition(KAGGLE / name), tmp_path / "data", raw=raw.place)
    known = {path.stat().st_ino for path in raw.place.rglob("*")}
    for folder in folders:
        infos = [path.stat() for path in place.glob(f"public/{folder}/*")]
        assert len(infos) > 1
        assert not known & {each.st_ino for each in infos}
        assert {each.st_mtime for each in infos} == {WHEN}


# Raw files that are wrong


def changed(
    tmp_path: Path, name: str, packed: str, change: Callable[[dict[str, bytes]], object]
) -> str:
    """Prepare from raw files with other members of an archive; returns what is wrong with them."""
    raw = Raw(tmp_path / "raw")
    BUILDERS[name](raw)
    with zipfile.ZipFile(raw.place / packed) as archive:
        members = {each: archive.read(each) for each in archive.namelist()}
    change(members)
    raw.zip(packed, members)
    with pytest.raises(TaskError) as caught:
        prepare(read_definition(KAGGLE / name), tmp_path / "data", raw=raw.place)
    assert not list((tmp_path / "data").rglob("public"))
    return str(caught.value)


SMALL_DISK = """
import resource, sys
from pathlib import Path
from proctor.schemas.errors import TaskError
from proctor.tasks.competitions.library import Competitions

name, raw, data = sys.argv[1:]
resource.setrlimit(resource.RLIMIT_FSIZE, (60, resource.RLIM_INFINITY))
try:
    Competitions(Path(data)).prepare(name, Path(raw))
except TaskError as error:
    print(error)
"""


def test_a_table_for_which_there_is_no_room_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    name, data = "spooky-author-identification", tmp_path / "data"
    BUILDERS[name](raw := Raw(tmp_path / "raw"))
    for path in raw.place.glob("*.zip"):  # so that nothing is unpacked, where polars is not at work
        zipfile.ZipFile(path).extractall(raw.place)
    command = [sys.executable, "-c", SMALL_DISK, name, str(tmp_path / "raw"), str(data)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert f"{name} cannot be prepared in {data}: File too large" in said
    assert [path.name for path in (data / name).iterdir()] == [".lock"]


def test_too_few_files_cannot_be_split(tmp_path: Path) -> None:
    def keep_one(members: dict[str, bytes]) -> None:
        for path in list(members)[1:]:
            del members[path]

    said = changed(tmp_path, "dogs-vs-cats-redux-kernels-edition", "train.zip", keep_one)
    assert "1 files cannot be split" in said


def test_a_picture_that_is_called_neither_cat_nor_dog_is_named(tmp_path: Path) -> None:
    said = changed(
        tmp_path, "dogs-vs-cats-redux-kernels-edition", "train.zip",
        lambda members: members.update({"train/fox.1.jpg": b""}),
    )  # fmt: skip
    assert "train/fox.1.jpg" in said
    assert "'cat.' or 'dog.'" in said


def test_a_clean_page_that_is_no_picture_is_named(tmp_path: Path) -> None:
    def spoil(members: dict[str, bytes]) -> None:
        for path in members:
            members[path] = members[path][:40]

    said = changed(tmp_path, "denoising-dirty-documents", "train_cleaned.zip", spoil)
    assert "no PNG picture" in said


def test_a_clip_of_another_name_and_too_few_days_are_named(tmp_path: Path) -> None:
    name = "the-icml-2013-whale-challenge-right-whale-redux"
    said = changed(
        tmp_path / "name", name, "train2.zip",
        lambda members: members.update({"train2/whale.aif": b""}),
    )  # fmt: skip
    assert "train2/whale.aif" in said

    def keep_one_day(members: dict[str, bytes]) -> None:
        for path in [each for each in members if "/20090328" not in each]:
            del members[path]

    said = changed(tmp_path / "days", name, "train2.zip", keep_one_day)
    assert "20090328" in said


def test_a_recording_without_labels_is_named(tmp_path: Path) -> None:
    path = "mlsp_contest_dataset/essential_data/rec_labels_test_hidden.txt"

    def hide(members: dict[str, bytes]) -> None:
        head, *lines = members[path].decode().splitlines()
        members[path] = "\n".join([head, *(f"{line.split(',')[0]},?" for line in lines)]).encode()

    assert "has no labels" in changed(tmp_path, "mlsp-2013-birds", "mlsp_contest_dataset.zip", hide)
    said = changed(
        tmp_path / "head", "mlsp-2013-birds", "mlsp_contest_dataset.zip",
        lambda members: members.update({path: b"<html>"}),
    )  # fmt: skip
    assert "rec_labels_test_hidden.txt" in said
    assert "<html>" in said


@pytest.mark.parametrize("cut", [5, 20, 300, -1])
def test_tf_records_that_are_cut_off_are_named(tmp_path: Path, cut: int) -> None:
    (tmp_path / "a.tfrec").write_bytes(tf_records(["ISIC_1"])[:cut])
    with pytest.raises(TaskError, match=r"a\.tfrec: not TFRecords"):
        texts(tmp_path / "a.tfrec", "image_name")


@given(st.binary(max_size=60), st.integers(0, 400))
def test_damaged_tf_records_are_refused_or_read(data: bytes, at: int) -> None:
    whole = tf_records(["ISIC_1", "ISIC_2"])
    with TemporaryDirectory() as place:
        path = Path(place) / "a.tfrec"
        path.write_bytes(whole[:at] + data + whole[at + len(data) :])
        with suppress(TaskError):
            assert len(texts(path, "image_name")) <= len(whole)
