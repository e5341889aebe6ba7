"""Competitions' files from Kaggle: its real client, against a server on loopback."""

import base64
import hashlib
import io
import json
import os
import signal
import stat
import subprocess
import sys
import time
import traceback
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proctor.schemas.errors import TaskError
from proctor.tasks.competitions.download.fetch import chosen, fetch
from proctor.tasks.competitions.download.kaggle import Listed, Listing
from proctor.tasks.competitions.progress import Unwatched

ID = "some-competition"
FILES = {
    "train.csv": os.urandom(3 << 20),
    "test.csv": b"id\n3\n",
    "images/a b.png": os.urandom(1000),
}


def zip_of(files: dict[str, bytes]) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return held.getvalue()


def tree(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def kaggle(kaggle_server: Any) -> Any:
    kaggle_server.files[ID] = FILES
    kaggle_server.archives[ID] = zip_of(FILES)
    return kaggle_server


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return tmp_path / "data" / ID / "raw"


class Watching(Unwatched):
    """What a preparation told."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, int | None]] = []
        self.done: list[int] = []
        self.waits: list[float] = []

    def step(self, name: str, total: int | None = None, unit: str = "") -> None:
        del unit
        self.steps.append((name, total))
        self.done.append(0)

    def advance(self, amount: int) -> None:
        self.done[-1] += amount

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)


def refusal(raw: Path, **how: Any) -> str:
    """What is told of a download that fails; its traceback never holds a secret."""
    with pytest.raises(TaskError) as told:
        fetch(ID, raw, progress=how.pop("progress", Watching()), **how)
    whole = "".join(traceback.format_exception(told.value))
    assert not [each for each in SECRETS if each in whole]
    assert not raw.exists()
    return str(told.value)


KEY = "0123456789abcdef-key-of-kaggle"
SECRETS = (
    KEY,
    "fedcba-signature-of-an-address",
    base64.b64encode(f"somebody:{KEY}".encode()).decode(),
)


def test_all_files_come_as_one_archive_that_is_checked_and_then_gone(
    kaggle: Any, raw: Path
) -> None:
    seen, zipped = Watching(), kaggle.archives[ID]
    fetch(ID, raw, md5=hashlib.md5(zipped).hexdigest(), progress=seen)  # noqa: S324 - Kaggle's sum
    assert tree(raw) == FILES
    assert {path.name for path in raw.parent.iterdir()} == {"raw", ".raw.downloaded", ".raw.lock"}
    size = sum(map(len, FILES.values()))
    assert seen.steps == [
        ("connect", None),
        ("download", len(zipped)),
        ("check", len(zipped)),
        ("extract", size),
    ]
    assert seen.done == [0, len(zipped), len(zipped), size]
    before = len(kaggle.asked)
    fetch(ID, raw)
    assert len(kaggle.asked) == before


def test_the_key_goes_to_kaggle_and_not_to_its_storage(kaggle: Any, raw: Path) -> None:
    fetch(ID, raw)
    sent = dict(kaggle.keys)
    assert sent == {"api.kaggle.com": f"Basic {SECRETS[2]}", "storage.googleapis.com": None}


def test_files_come_one_by_one_where_that_is_less(kaggle: Any, raw: Path) -> None:
    kaggle.page = 1
    fetch(ID, raw, files=["test.csv", "images/"])
    assert tree(raw) == {name: FILES[name] for name in ("test.csv", "images/a b.png")}
    assert f"{ID}/ all" not in kaggle.asked
    assert kaggle.asked.count("ListDataFiles") == 3


def test_a_single_file_that_kaggle_zipped_is_opened(kaggle: Any, raw: Path) -> None:
    kaggle.files[ID] = {**FILES, "test.csv": zip_of({"test.csv": b"id\n4\n"}), "a.zip": zip_of({})}
    fetch(ID, raw, files=["test.csv", "a.zip"])
    assert tree(raw) == {"test.csv": b"id\n4\n", "a.zip": zip_of({})}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["a.csv"], ["a.csv"]),
        (["b/*.png"], ["b.zip"]),
        (["c.csv"], ["c.csv.zip"]),
        (["d/"], ["d/1", "d/2"]),
        (["a.csv", "nowhere.csv"], []),
        (["a.csv", "b/", "c.csv", "d/*"], []),
        ([], []),
    ],
)
def test_what_is_needed_is_found_in_the_list_or_all_is_taken(
    files: list[str], expected: list[str]
) -> None:
    names = ("a.csv", "b.zip", "c.csv.zip", "d/1", "d/2")
    listing = Listing(tuple(Listed(name, 10) for name in names), is_whole=True)
    assert [each.name for each in chosen(files, listing)] == expected


def test_a_cut_connection_is_taken_up_where_it_broke(kaggle: Any, raw: Path) -> None:
    seen = Watching()
    kaggle.breaks(2_000_000)
    kaggle.breaks(500_000)
    fetch(ID, raw, progress=seen)
    assert tree(raw) == FILES
    ranges = [each for each in kaggle.asked if each.startswith(f"{ID}/")]
    assert ranges[0] == f"{ID}/ all"
    starts = [int(each.rpartition("=")[2].rstrip("-")) for each in ranges[1:]]
    assert 2_000_000 - starts[0] < 100_000
    assert 2_500_000 - starts[1] < 200_000
    assert len(seen.waits) == 2


def test_a_file_of_another_version_is_not_put_together_with_the_first(
    kaggle: Any, raw: Path
) -> None:
    kaggle.breaks(2_000_000)
    watching = Watching()

    def changed(seconds: float) -> None:
        watching.waits.append(seconds)
        kaggle.etag = '"two"'
        kaggle.archives[ID] = zip_of({"other.csv": b"x" * 3_000_000})

    watching.wait = changed  # type: ignore[method-assign]
    fetch(ID, raw, progress=watching)
    assert tree(raw) == {"other.csv": b"x" * 3_000_000}


@pytest.mark.parametrize("without", ["ranges", "etag"])
def test_what_cannot_be_taken_up_begins_again(kaggle: Any, raw: Path, without: str) -> None:
    setattr(kaggle, without, None)
    kaggle.breaks(2_000_000)
    fetch(ID, raw, progress=Watching())
    assert tree(raw) == FILES


def test_failures_that_pass_are_waited_out_as_long_as_kaggle_asks(kaggle: Any, raw: Path) -> None:
    seen = Watching()
    for method in ("GetCompetition", "ListDataFiles", "DownloadDataFiles", "storage"):
        kaggle.fails(method, 500)
    kaggle.fails("ListDataFiles", 429, **{"Retry-After": "0.25"})
    kaggle.fails("storage", 403)  # its address has expired
    fetch(ID, raw, progress=seen, first_wait_s=0.001)
    assert tree(raw) == FILES
    assert 0.25 in seen.waits
    assert len(seen.waits) == 6
    assert max(seen.waits) < 0.3


@pytest.mark.parametrize("method", ["ListDataFiles", "storage"])
def test_a_server_that_goes_on_failing_is_given_up(kaggle: Any, raw: Path, method: str) -> None:
    for _ in range(9):
        kaggle.fails(method, 503)
    assert "answers with HTTP 503, again and again" in refusal(raw, check_rules=False)
    assert len(kaggle.faults[method]) == 3


def test_a_wait_that_is_too_long_is_told_and_not_held(kaggle: Any, raw: Path) -> None:
    kaggle.fails("ListDataFiles", 429, **{"Retry-After": "7200"})
    assert "wait 7200 s" in refusal(raw)


def test_a_kaggle_that_cannot_be_reached_is_told(
    kaggle: Any, raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del kaggle
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    assert "the connection to Kaggle fails (ProxyError)" in refusal(raw)


def test_rules_that_are_not_accepted_name_the_page(kaggle: Any, raw: Path) -> None:
    kaggle.entered = False
    said = refusal(raw)
    assert f"https://www.kaggle.com/c/{ID}/rules" in said
    assert "--skip-rules-check" in said
    kaggle.fails("ListDataFiles", 403)
    assert f"https://www.kaggle.com/c/{ID}/rules" in refusal(raw, check_rules=False)
    fetch(ID, raw, check_rules=False)
    assert tree(raw) == FILES


def test_a_competition_that_kaggle_does_not_have_is_told(kaggle: Any, raw: Path) -> None:
    kaggle.archives.clear()
    assert f"no such competition, or not this file of it: {ID} (HTTP 404)" in refusal(raw)


def test_credentials_that_are_refused_are_told(kaggle: Any, raw: Path) -> None:
    kaggle.fails("GetCompetition", 401)
    assert "does not take the credentials (HTTP 401)" in refusal(raw)


def test_no_credentials_are_told_before_anything_is_asked(
    kaggle: Any, raw: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("KAGGLE_USERNAME")
    monkeypatch.delenv("KAGGLE_KEY")
    said = refusal(raw)
    assert "KAGGLE_USERNAME and KAGGLE_KEY" in said
    assert "--raw DIR" in said
    assert not kaggle.asked
    assert capfd.readouterr() == ("", "")


def test_an_archive_with_another_sum_is_refused_and_kept_for_whoever_takes_it(
    kaggle: Any, raw: Path
) -> None:
    said = refusal(raw, md5="0" * 32)
    assert hashlib.md5(kaggle.archives[ID]).hexdigest() in said  # noqa: S324 - Kaggle's sum
    assert "--no-checksums" in said
    fetch(ID, raw)
    assert kaggle.asked.count(f"{ID}/ all") == 1


@pytest.mark.parametrize("name", ["../out.txt", "/out.txt", "a/../../out.txt", "a\\..\\out.txt"])
def test_an_archive_with_a_path_that_leads_outside_is_refused_whole(
    kaggle: Any, raw: Path, name: str
) -> None:
    kaggle.archives[ID] = zip_of({"good.txt": b"", name: b"out"})
    assert "would lie outside" in refusal(raw)
    assert not list(raw.parent.parent.parent.rglob("*.txt"))


def test_a_list_with_a_path_that_leads_outside_is_refused(kaggle: Any, raw: Path) -> None:
    kaggle.files[ID] = {"../out.txt": b"out", **FILES}
    assert "would lie outside" in refusal(raw, files=["../out.txt"])


def test_an_archive_with_a_link_or_one_name_twice_is_refused(kaggle: Any, raw: Path) -> None:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        link = zipfile.ZipInfo("link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    kaggle.archives[ID] = held.getvalue()
    assert "no plain file" in refusal(raw)


@pytest.mark.parametrize("damage", [b"no zip at all", "flipped"])
def test_a_damaged_archive_is_told(kaggle: Any, raw: Path, damage: Any) -> None:
    whole = bytearray(kaggle.archives[ID])
    whole[1_000_000] ^= 255
    kaggle.archives[ID] = bytes(whole) if damage == "flipped" else damage
    assert "not a zip that can be extracted" in refusal(raw)


def room(size: int) -> Callable[[Path], int]:
    return lambda place: size * place.is_dir()


def test_a_disk_without_room_is_told_before_anything_is_downloaded(kaggle: Any, raw: Path) -> None:
    said = refusal(raw, free=room(5_000_000))
    assert "6.3 MB are needed" in said
    assert "5.0 MB are free" in said
    assert "--data" in said
    assert f"{ID}/ all" not in kaggle.asked
    said = refusal(raw, free=room(9), files=["test.csv"])
    assert "9 bytes are free" in said


FETCH = f"""
import sys
from pathlib import Path
from proctor.tasks.competitions.download.fetch import fetch
fetch({ID!r}, Path(sys.argv[1]))
"""


def test_a_killed_download_goes_on_where_it_was(kaggle: Any, raw: Path) -> None:
    kaggle.breaks(2_500_000, stalls=True)
    part = raw.parent / "raw.partial" / f"{ID}.zip.part"
    process = subprocess.Popen([sys.executable, "-c", FETCH, str(raw)])
    try:
        while not (part.exists() and part.stat().st_size >= 2 << 20):
            assert process.poll() is None
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not raw.exists()
    had = part.stat().st_size
    fetch(ID, raw)
    assert tree(raw) == FILES
    assert kaggle.asked[-1] == f"{ID}/ bytes={had}-"
    assert not part.parent.exists()


def test_credentials_in_a_file_serve_as_well(
    kaggle: Any, raw: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("KAGGLE_USERNAME")
    monkeypatch.delenv("KAGGLE_KEY")
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path))
    (tmp_path / "kaggle.json").write_text(json.dumps({"username": "somebody", "key": KEY}))
    done = subprocess.run(
        [sys.executable, "-c", FETCH, str(raw)], check=True, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("", "")
    assert tree(raw) == FILES
    assert kaggle.keys[0] == ("api.kaggle.com", f"Basic {SECRETS[2]}")


def test_without_the_extra_the_remedy_is_told(raw: Path) -> None:
    blocked = "import sys; sys.modules['kaggle'] = None\n"
    done = subprocess.run(
        [sys.executable, "-c", blocked + FETCH, str(raw)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert "TaskError: downloading needs Kaggle's client: pip install" in done.stderr


@pytest.mark.parametrize("mark", ['"one"', '"older"'])
def test_a_part_that_is_whole_is_taken_if_it_is_of_this_version(
    kaggle: Any, raw: Path, mark: str
) -> None:
    zipped = kaggle.archives[ID]
    part = raw.parent / "raw.partial" / f"{ID}.zip.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(zipped if mark == kaggle.etag else b"x" * len(zipped))
    note = {"mark": mark, "size_bytes": len(zipped)}
    part.with_name(f"{part.name}.json").write_text(json.dumps(note))
    seen = Watching()
    fetch(ID, raw, progress=seen)
    assert tree(raw) == FILES
    came = [total for name, total in seen.steps if name == "download"]
    assert came == ([] if mark == kaggle.etag else [len(zipped)])
