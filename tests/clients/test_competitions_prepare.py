"""``proctor competitions prepare``, as a user has it, with a Kaggle on loopback."""

import csv
import io
import json
import os
import re
import signal
import subprocess
import time
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from PIL import Image
from typer.testing import CliRunner

from proctor.clients.cli import app

ONE, OTHER = "spooky-author-identification", "aerial-cactus-identification"
OFFLINE, UNSUPPORTED = "cell-samples", "AI4Code"


class Said(NamedTuple):
    out: str
    err: str


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def prepare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, data: Path) -> Any:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, expect: int = 0) -> Said:
        command = ["competitions", "prepare", *arguments, "--data", str(data)]
        result = CliRunner().invoke(app, command)
        assert result.exit_code == expect, result.output
        return Said(result.stdout, result.stderr)

    return run


def raw_files(competition: str) -> dict[str, bytes]:
    """Small raw data of a competition."""
    text = io.StringIO()
    writer = csv.writer(text)
    if competition == ONE:
        rows = [(f"id{n}", f"A raven said {n}.", ("EAP", "HPL", "MWS")[n % 3]) for n in range(60)]
        writer.writerows([("id", "text", "author"), *rows])
        return {"train.csv": text.getvalue().encode(), "test.csv": b"id,text\nid99,Nevermore.\n"}
    writer.writerows([("id", "has_cactus"), *((f"{n}.jpg", n % 2) for n in range(40))])
    images = {f"train/{n}.jpg": os.urandom(200) for n in range(40)}
    return {"train.csv": text.getvalue().encode(), **images}


@pytest.fixture
def kaggle(kaggle_server: Any) -> Any:
    for competition in (ONE, OTHER):
        files = raw_files(competition)
        held = io.BytesIO()
        with zipfile.ZipFile(held, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        kaggle_server.files[competition] = files
        kaggle_server.archives[competition] = held.getvalue()
    return kaggle_server


def left(data: Path, competition: str) -> set[str]:
    """What lies in a competition's directory, besides locks."""
    return {path.name for path in (data / competition).iterdir() if path.suffix != ".lock"} - {
        ".lock"
    }


def test_a_competition_of_kaggles_is_downloaded_and_made(
    kaggle: Any, prepare: Any, data: Path
) -> None:
    said = prepare(ONE)
    place = Path(said.out.strip())
    assert (place / "public" / "train.csv").exists()
    assert left(data, ONE) == {place.name}
    for step in ("connect", "download", "split"):
        assert f"{ONE}: {step}" in said.err
    asked = len(kaggle.asked)
    assert prepare(ONE).out == said.out
    assert len(kaggle.asked) == asked


def test_several_are_prepared_at_once_and_raw_files_are_kept_where_asked(
    kaggle: Any, prepare: Any, data: Path
) -> None:
    (data.parent / "some.txt").write_text(f"# these\n\n{ONE}  # the first\ncompetition/{OTHER}\n")
    said = prepare("--list", "some.txt", "--no-checksums", "--keep-raw", "--jobs", "2")
    assert {Path(line).parent.name for line in said.out.split()} == {ONE, OTHER}
    assert (data / OTHER / "raw" / "train" / "7.jpg").exists()
    assert f"{OTHER}/ all" in kaggle.asked


def test_one_that_fails_does_not_stop_the_others(kaggle: Any, prepare: Any) -> None:
    said = prepare(OTHER, ONE, OFFLINE, "--jobs", "1", expect=1)
    assert {Path(line).parent.name for line in said.out.split()} == {ONE, OFFLINE}
    assert "its MD5 is" in said.err
    assert f"1 of 3 are not prepared: {OTHER}" in said.err
    kaggle.entered = False
    said = prepare(OTHER, expect=1)
    assert f"https://www.kaggle.com/c/{OTHER}/rules" in said.err
    assert "not prepared" not in said.err
    prepare(OTHER, "--skip-rules-check", "--no-checksums")


def test_what_fails_all_alike_is_told_once(
    prepare: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    said = prepare(ONE, OTHER, expect=1)
    assert said.err.count("Kaggle needs to know who asks") == 1
    assert "2 of 2 are not prepared" in said.err


def test_raw_files_come_from_a_folder_instead(prepare: Any, tmp_path: Path, data: Path) -> None:
    for competition in (ONE, OTHER):
        for name, content in raw_files(competition).items():
            path = tmp_path / "mine" / competition / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    prepare(ONE, "--raw", f"mine/{ONE}")
    assert (tmp_path / "mine" / ONE / "train.csv").exists()
    assert "raw" not in left(data, ONE)
    said = prepare(ONE, OTHER, OFFLINE, "--raw", "mine")
    assert len(said.out.split()) == 3
    assert "there is no folder nowhere" in prepare(ONE, "--raw", "nowhere", expect=2).err
    assert "comes from no raw files" in prepare(OFFLINE, "--raw", "mine", expect=1).err


def test_raw_files_that_are_cut_short_are_told_at_the_end_and_again_next_time(
    prepare: Any, tmp_path: Path
) -> None:
    files = raw_files(OTHER)
    picture = io.BytesIO()
    Image.effect_noise((32, 32), 50).save(picture, "JPEG")
    for name, content in {**files, "train/7.jpg": picture.getvalue()[:-30]}.items():
        path = tmp_path / "mine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    for _ in range(2):
        said = prepare(OTHER, "--raw", "mine")
        assert Path(said.out.strip()).is_dir()
        assert f"{OTHER}: 1 raw file is empty or cut short" in said.err
        assert "train/7.jpg (cut short)" in said.err


def test_raw_files_that_a_user_put_in_place_are_not_removed(
    kaggle: Any, prepare: Any, data: Path
) -> None:
    (data / ONE / "raw").mkdir(parents=True)
    (data / ONE / "raw" / "train.csv").write_bytes(raw_files(ONE)["train.csv"])
    prepare(ONE)
    assert (data / ONE / "raw" / "train.csv").exists()
    assert not kaggle.asked


def test_a_name_that_is_unknown_is_told_with_its_nearest(prepare: Any, tmp_path: Path) -> None:
    (tmp_path / "some.txt").write_text(f"{ONE}\n# comment\nspooky-author-identificaton\n")
    said = prepare("--list", "some.txt", expect=2).err
    assert (
        f"some.txt:3: there is no competition 'spooky-author-identificaton'; did you mean {ONE}?"
        in said
    )
    assert "did you mean low?" in prepare("--split", "Low", expect=2).err
    assert "did you mean cell-samples?" in prepare("--exclude", "cell-sample", expect=2).err
    assert "see 'proctor competitions list'" in prepare("zzzzzzzz", expect=2).err
    assert "missing.txt" in prepare("--list", "missing.txt", expect=2).err
    assert "no competition is left" in prepare(OFFLINE, "--exclude", OFFLINE, expect=2).err


def test_what_is_not_supported_is_left_out_of_lists_and_fails_where_it_is_named(
    prepare: Any, tmp_path: Path
) -> None:
    (tmp_path / "some.txt").write_text(f"{UNSUPPORTED}\n{OFFLINE}\n{OFFLINE}\n")
    done = prepare("--list", "some.txt")
    assert f"{UNSUPPORTED} is left out, as it is not supported yet" in done.err
    assert [Path(line).parent.name for line in done.out.split()] == [OFFLINE]
    assert "left out" in prepare("--split", "high", "--raw", "none", expect=2).err
    named = prepare(UNSUPPORTED, OFFLINE, expect=1).err
    assert f"competition/{UNSUPPORTED} is not supported yet" in named
    (tmp_path / "some.txt").write_text(UNSUPPORTED)
    assert "no competition is left" in prepare("--list", "some.txt", expect=2).err


def test_without_a_name_the_offline_ones_are_prepared(kaggle: Any, prepare: Any) -> None:
    listed = CliRunner().invoke(app, ["competitions", "list", "--json"]).stdout
    offline = {each["id"] for each in json.loads(listed) if "offline" in each["splits"]}
    others = [option for each in offline - {OFFLINE} for option in ("--exclude", each)]
    for wanted in ((), ("--split", "offline")):
        (line,) = prepare(*wanted, *others).out.split()
        assert Path(line).parent.name == OFFLINE
    assert not kaggle.asked


def test_ctrl_c_leaves_nothing_half_written_and_what_came_goes_on(
    kaggle: Any, prepare: Any, data: Path, proctor_command: list[str]
) -> None:
    kaggle.breaks(3000, stalls=True)
    command = [*proctor_command, "competitions", "prepare", OTHER, "--no-checksums"]
    with subprocess.Popen(
        [*command, "--data", str(data)], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        while f"{OTHER}/ all" not in kaggle.asked:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert out == ""
    assert "stopping" in err
    assert "Traceback" not in err
    assert left(data, OTHER) == {"raw.partial"}
    kaggle.faults.clear()
    place = Path(prepare(OTHER, "--no-checksums").out.strip())
    assert left(data, OTHER) == {place.name}


def test_a_terminal_shows_a_bar_of_bytes_and_of_files(
    kaggle: Any, prepare: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    del kaggle
    for name, value in (("FORCE_COLOR", "1"), ("TERM", "xterm"), ("COLUMNS", "160")):
        monkeypatch.setenv(name, value)
    said = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", prepare(OTHER, "--no-checksums").err)
    size = r"[\d.]+ (bytes|kB)"
    assert re.search(rf"{OTHER} download ━+ 0 bytes of {size}", said)
    assert re.search(rf"{OTHER} extract ━+ 0 bytes of {size}", said)
    assert re.search(rf"{OTHER} split .* 0 files", said)
