"""Raw files: found in folders and archives, moved with their rows, and named where they fail."""

import importlib
import os
import signal
import stat
import subprocess
import sys
import tarfile
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import pytest
from tests.tasks.raw_competitions import (
    FORM,
    HEAD,
    RAW,
    SAMPLE,
    TRAIN,
    Small,
    plain,
    read_text_table,
    tree,
    upstream,
    write_tree,
    zipped,
)

from proctor.schemas.errors import TaskError
from proctor.tasks.competitions import kaggle_modules, prepared
from proctor.tasks.competitions.definition import Definition
from proctor.tasks.competitions.library import Competitions
from proctor.tasks.competitions.output import WHEN
from proctor.tasks.competitions.prepared import is_whole, place_of
from proctor.tasks.competitions.raw.files import Raw

IDS = [f"a{n}" for n in range(20)]
TRAIN_IDS, TEST_IDS = upstream(IDS, test_size=0.25)
MOVED = """
[[recipe.files]]
part = "train"
raw = "train/{id}.jpg"
to = "train/{id}.jpg"
[[recipe.files]]
part = "test"
raw = "train/{id}.jpg"
to = "test/{id}.jpg"
"""
IMAGES: dict[str, str | bytes] = {f"train/{each}.jpg": f"image {each}" for each in IDS}
FLAT: dict[str, str | bytes] = {f"{each}.jpg": f"image {each}" for each in IDS}


def sevenzipped(files: dict[str, str | bytes], *, plain: bool = False) -> bytes:
    """A .7z archive, whose list of members can be plain, that is, not be packed itself."""
    py7zr: Any = importlib.import_module("py7zr")
    file = BytesIO()
    with py7zr.SevenZipFile(file, "w") as archive:
        archive.set_encoded_header_mode(not plain)
        for name, data in files.items():
            archive.writestr(data, name)
    return file.getvalue()


def tarred(files: dict[str, str | bytes], mode: Literal["w", "w:gz"] = "w:gz") -> bytes:
    file = BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            held = data.encode() if isinstance(data, str) else data
            member.size = len(held)
            archive.addfile(member, BytesIO(held))
    return file.getvalue()


PACKED: dict[str, dict[str, str | bytes]] = {
    "folders": {"train.csv": TRAIN, **IMAGES},
    "archives with folders": {
        "train.csv.zip": zipped({"train.csv": TRAIN}),
        "x.zip": zipped(IMAGES),
    },
    "archives called as the folder": {"train.csv": TRAIN, "train.zip": zipped(FLAT)},
    "one archive with all": {"small.zip": zipped({"train.csv": TRAIN, **IMAGES})},
    "archives in an archive": {
        "small.zip": zipped(
            {"train.csv.zip": zipped({"train.csv": TRAIN}), "train.zip": zipped(FLAT)}
        )
    },
    "7z": {"train.csv": TRAIN, "train.7z": sevenzipped(IMAGES)},
    "7z called as the folder": {"train.csv": TRAIN, "train.7z": sevenzipped(FLAT)},
    "tar": {"train.csv": TRAIN, "train.tar.gz": tarred(IMAGES)},
    "a folder further down": {"train.csv": TRAIN, "train/train.zip": zipped(FLAT)},
}


@pytest.mark.parametrize("how", PACKED)
def test_files_move_with_their_rows_from_folders_and_archives_alike(
    tmp_path: Path, how: str
) -> None:
    small = Small(tmp_path, plain() + MOVED + SAMPLE, PACKED[how])
    public = small.prepared() / "public"
    assert tree(public / "train") == sorted(f"{each}.jpg" for each in TRAIN_IDS)
    assert tree(public / "test") == sorted(f"{each}.jpg" for each in TEST_IDS)
    assert all((public / "test" / f"{e}.jpg").read_text() == f"image {e}" for e in TEST_IDS)
    assert sorted(each.name for each in small.prepared().iterdir()) == [
        "manifest.json",
        "private",
        "public",
    ]
    told = small.library.task("small").instructions
    for part in ("test", "train"):
        count = len(list((public / part).iterdir()))
        assert f"- `/data/{part}.csv`\n- `/data/{part}/`, with {count} files\n" in told


def test_files_are_linked_where_others_may_read_them_and_else_copied(tmp_path: Path) -> None:
    small = Small(tmp_path, plain() + MOVED + SAMPLE, PACKED["folders"])
    secret, *others = [small.raw / f"train/{each}.jpg" for each in TRAIN_IDS]
    secret.chmod(0o600)
    train = small.prepared() / "public/train"
    assert all((train / each.name).samefile(each) for each in others)
    copy = train / secret.name
    assert not copy.samefile(secret)
    assert copy.stat().st_mode & 0o777 == 0o644
    assert secret.stat().st_mode & 0o777 == 0o600
    assert copy.read_text() == secret.read_text()


@pytest.mark.parametrize("how", PACKED)
def test_no_number_and_no_time_of_a_tests_file_tells_when_the_raw_one_was_written(
    tmp_path: Path, how: str
) -> None:
    files = """
[[recipe.files]]
part = "test"
raw = "train/{id}.jpg"
to = "test/{id}.jpg"
[[recipe.files]]
part = "all"
raw = "train/{id}.jpg"
to = "pool/{id}.jpg"
"""
    small = Small(tmp_path, plain("copy = ['train/']\n") + files + SAMPLE, PACKED[how])
    given = [path for path in small.raw.rglob("*") if path.is_file()]
    for n, path in enumerate(given):
        os.utime(path, (n, n))
    public = small.prepared() / "public"
    for folder, count in (("test", 5), ("pool", 20), ("train", 20)):
        infos = [path.stat() for path in sorted(public.glob(f"{folder}/*.jpg"))]
        assert len(infos) == count
        assert not {each.st_ino for each in infos} & {path.stat().st_ino for path in given}
        assert {(each.st_atime, each.st_mtime, each.st_mode) for each in infos} == {
            (WHEN, WHEN, stat.S_IFREG | 0o644)
        }
        changed = [each.st_ctime_ns for each in infos]
        assert changed == sorted(changed)


def test_a_second_file_of_the_same_name_is_refused_where_it_is_copied(tmp_path: Path) -> None:
    twice = MOVED.replace("test/{id}.jpg", "test/one.jpg")
    small = Small(tmp_path, plain() + twice + SAMPLE, PACKED["folders"])
    with pytest.raises(TaskError, match=r"there is a file test/one\.jpg already"):
        small.prepared()


def test_a_tar_that_says_it_is_larger_than_the_disk_is_refused_before(tmp_path: Path) -> None:
    member = tarfile.TarInfo("train/a0.jpg")
    member.size = 1 << 60
    packed = {"train.csv": TRAIN, "train.tar": member.tobuf() + bytes(1 << 10)}
    small = Small(tmp_path, plain() + MOVED + SAMPLE, packed)
    with pytest.raises(TaskError, match=r"train\.tar: 1\.2 EB are to be unpacked.* free"):
        small.prepared()


def test_an_id_that_no_file_can_be_called_is_named(tmp_path: Path) -> None:
    small = Small(tmp_path, plain() + MOVED + SAMPLE, PACKED["folders"])
    table = small.raw / "train.csv"
    table.write_text(TRAIN.replace("a0,", "a\0,"), "utf-8")
    with pytest.raises(TaskError, match="is not among the raw files"):
        small.prepared()


def test_nested_folders_labels_and_new_ids_make_paths(tmp_path: Path) -> None:
    files = """
[[recipe.files]]
part = "test"
raw = "pool/{y}/{id[0]}/{id[1]}/{id:0>4}.png"
to = "test/{id}.png"
"""
    held = {
        f"pool/{n % 2}/a/{str(n)[0]}/{'0' * (3 - len(str(n)))}a{n}.png": str(n) for n in range(20)
    }
    declared = plain('renumber = { id = { test = "T{}" } }\n') + files + SAMPLE
    small = Small(tmp_path, declared, {"train.csv": TRAIN, **held})
    public = small.prepared() / "public"
    assert [(public / f"test/T{n}.png").read_text() for n in range(5)] == [e[1:] for e in TEST_IDS]


@pytest.mark.parametrize("packed", [False, True])
def test_folders_of_a_row_come_whole_but_for_what_leaks(tmp_path: Path, *, packed: bool) -> None:
    files = """
[[recipe.files]]
part = "test"
raw = "scans/{id:0>5}/"
to = "test/{id}/"
but = ["*.json"]
"""
    held: dict[str, str | bytes] = {}
    for each in IDS:
        held[f"scans/{each:0>5}/deep/1.dcm"] = each
        held[f"scans/{each:0>5}/truth.json"] = "1"
    raw: dict[str, str | bytes] = {"scans.zip": zipped(held)} if packed else held
    small = Small(tmp_path, plain() + files + SAMPLE, {"train.csv": TRAIN, **raw})
    assert tree(small.prepared() / "public/test") == sorted(f"{e}/deep/1.dcm" for e in TEST_IDS)


@pytest.mark.parametrize("packed", [False, True])
def test_a_pattern_finds_the_files_of_a_row_and_not_anothers(
    tmp_path: Path, *, packed: bool
) -> None:
    files = """
[[recipe.files]]
part = "test"
raw = "clips/{id}_*.mp4"
to = "test/"
"""
    held: dict[str, str | bytes] = {f"clips/{e}_{v}.mp4": e for e in IDS for v in ("end", "side")}
    raw: dict[str, str | bytes] = {"clips.zip": zipped(held)} if packed else held
    small = Small(tmp_path, plain() + files + SAMPLE, {"train.csv": TRAIN, **raw})
    assert tree(small.prepared() / "public/test") == sorted(
        f"{e}_{v}.mp4" for e in TEST_IDS for v in ("end", "side")
    )


def test_files_and_folders_are_copied_whole_but_for_what_leaks(tmp_path: Path) -> None:
    declared = plain('copy = ["notes.md", "old/", "extra/*.txt"]\nbut = ["labels.*"]\n') + SAMPLE
    raw: dict[str, str | bytes] = {
        "train.csv": TRAIN,
        "notes.md": "n",
        "old.zip": zipped({"old/a/1": "1", "old/labels.csv": "2", "__MACOSX/old/x": ""}),
        "extra/1.txt": "1",
        "extra/2.bin": "2",
    }
    small = Small(tmp_path, declared, raw)
    assert {"notes.md", "old/a/1", "extra/1.txt"} <= set(small.public())
    assert not {"old/labels.csv", "extra/2.bin"} & set(small.public())
    assert "`/data/notes.md`" in small.library.task("small").instructions


def test_a_file_that_may_be_missing_is_passed_over(tmp_path: Path) -> None:
    raw = {
        "train.csv": TRAIN,
        **{path: data for path, data in IMAGES.items() if "a1.jpg" not in path},
    }
    optional = MOVED.replace("to =", "optional = true\nto =")
    small = Small(tmp_path, plain() + optional + SAMPLE, raw)
    assert len(list((small.prepared() / "public").rglob("*.jpg"))) == 19


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"train/a7.jpg": None}, r"train/a7\.jpg is not among the raw files in .*--raw"),
        ({"train/a7.jpg": ""}, r"train/a7\.jpg is empty; download it again"),
        ({"train.csv": None}, r"train\.csv is not among the raw files"),
        ({"train.csv": TRAIN.replace("y", "z")}, "no column 'y'"),
        ({"train.csv": ""}, r"train\.csv is damaged"),
        ({"train.csv": "id,x,y\na,1\nb,2,3,4\n"}, r"train\.csv is damaged"),
        ({"train.csv": b"id,x,y\n\xff\xfe,1,2\n"}, r"train\.csv is damaged"),
        (
            {"train.csv": None, "train.csv.zip": zipped({"train.csv": TRAIN})[:-30]},
            r"train\.csv\.zip is damaged",
        ),
        ({"train.csv": None, "train.csv.7z": b"7z\xbc\xaf\x27\x1c"}, r"train\.csv\.7z is damaged"),
        ({"train.csv": None, "train.tgz": b"\x1f\x8b\x08"}, r"train\.tgz is damaged"),
        ({"train.csv": TRAIN.replace("a7,", "../../a7,")}, "leads out of"),
    ],
)
def test_what_is_missing_or_damaged_is_named(
    tmp_path: Path, change: dict[str, str | bytes | None], problem: str
) -> None:
    files = {
        path: data for path, data in {**PACKED["folders"], **change}.items() if data is not None
    }
    small = Small(tmp_path, plain() + MOVED + SAMPLE, files)
    with pytest.raises(TaskError, match=problem):
        small.prepared()
    assert tree(tmp_path / "data") == ["small/.lock"]


def test_a_member_with_a_wrong_checksum_is_named(tmp_path: Path) -> None:
    packed = bytearray(zipped(FLAT))
    with zipfile.ZipFile(BytesIO(packed)) as archive:
        start = archive.getinfo("a7.jpg").header_offset
    packed[start + 30 + len("a7.jpg")] ^= 0xFF
    small = Small(
        tmp_path, plain() + MOVED + SAMPLE, {"train.csv": TRAIN, "train.zip": bytes(packed)}
    )
    with pytest.raises(TaskError, match=r"train\.zip: a7\.jpg is damaged.*download it again"):
        small.prepared()


def test_two_rows_cannot_share_a_place(tmp_path: Path) -> None:
    moved = MOVED.replace("test/{id}.jpg", "test/{y}.jpg")
    small = Small(tmp_path, plain() + moved + SAMPLE, PACKED["folders"])
    with pytest.raises(TaskError, match=r"there is a file test/[01]\.jpg already"):
        small.prepared()


@pytest.mark.parametrize("name", ["../../out.jpg", "/out.jpg", "a\\..\\b"])
def test_an_archive_whose_members_leave_their_folder_is_refused(tmp_path: Path, name: str) -> None:
    files = {"train.zip": zipped({"train.csv": TRAIN, name: "x"})}
    small = Small(tmp_path, plain() + SAMPLE, files)
    with pytest.raises(TaskError, match=r"train\.zip: its member .* would be unpacked elsewhere"):
        small.prepared()


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_link_that_leads_out_of_the_raw_folder_is_refused(tmp_path: Path, kind: str) -> None:
    small = Small(tmp_path, plain() + MOVED + SAMPLE, PACKED["folders"])
    secret = tmp_path / "secret"
    write_tree(secret, {"a7.jpg": "mine", **FLAT})
    if kind == "file":
        (small.raw / "train/a7.jpg").unlink()
        (small.raw / "train/a7.jpg").symlink_to(secret / "a7.jpg")
    else:
        (small.raw / "train").rename(tmp_path / "aside")
        (small.raw / "train").symlink_to(secret)
    with pytest.raises(TaskError, match="leads out of the folder"):
        small.prepared()


def test_links_within_the_raw_folder_and_to_it_are_followed(tmp_path: Path) -> None:
    small = Small(tmp_path, plain() + MOVED + SAMPLE, PACKED["folders"])
    (small.raw / "train").rename(small.raw / "images")
    (small.raw / "train").symlink_to("images")
    (tmp_path / "alias").symlink_to(small.raw)
    small.raw = tmp_path / "alias"
    assert len([path for path in small.public() if path.endswith(".jpg")]) == 20
    assert not any(path.is_symlink() for path in small.prepared().rglob("*"))


def test_names_are_sorted_folder_by_folder_and_each_comes_once(tmp_path: Path) -> None:
    write_tree(
        tmp_path / "raw",
        {
            "train.zip": zipped({"train/b/2.png": "", "train/b-c/1.png": "", "train/b/10.png": ""}),
            "train/b/2.png": "unpacked",
        },
    )
    (tmp_path / "scratch").mkdir()
    raw = Raw(tmp_path / "raw", tmp_path / "scratch")
    found = ("train/b/10.png", "train/b/2.png", "train/b-c/1.png")
    assert raw.names("train/*/*.png") == raw.names("train/") == found
    assert raw.names("train/b/*") == found[:2]
    assert raw.names("*.png") == ()
    assert raw.read("train/b/2.png") == b"unpacked"
    assert raw.read("train/b/10.png") == b""
    raw.close()


def test_the_downloaded_raw_files_serve_where_none_are_given(tmp_path: Path) -> None:
    small = Small(tmp_path, plain() + SAMPLE, {"train.csv": TRAIN})
    with pytest.raises(TaskError, match=r"there are no raw files of small .*--raw DIR"):
        small.library.task("small")
    small.library.raw_folder("small").parent.mkdir(parents=True)
    small.raw.rename(small.library.raw_folder("small"))
    assert small.library.task("small").id == "competition/small"


def test_a_competition_is_ready_once_its_raw_files_are_there(tmp_path: Path) -> None:
    small = Small(tmp_path, plain() + SAMPLE, {"train.csv": TRAIN})
    assert not small.library.is_ready("small")
    small.prepared()
    assert small.library.is_ready("small")
    assert Competitions(tmp_path).is_ready("cell-samples")
    other = Small(tmp_path / "other", plain() + SAMPLE, {"train.csv": TRAIN})
    other.library.raw_folder("small").mkdir(parents=True)
    assert other.library.is_ready("small")
    assert not other.library.is_ready("none")


def test_raw_files_are_downloaded_when_nobody_has_them(tmp_path: Path) -> None:
    small = Small(tmp_path, plain() + SAMPLE, {})

    def download(definition: Definition, folder: Path) -> None:
        write_tree(folder, {"train.csv": TRAIN, "id": definition.file.id})

    library = Competitions(tmp_path / "data", [tmp_path / "declared"], download)
    place = library.prepare("small")
    assert library.is_prepared("small")
    assert (tmp_path / "data/small/raw/id").read_text() == "small"
    assert library.prepare("small") == place
    assert small.library.is_prepared("small")


def test_a_raw_folder_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    small = Small(tmp_path, plain() + SAMPLE, {})
    small.raw = tmp_path / "none"
    with pytest.raises(TaskError, match=r"there is no folder .*none; give .* with --raw"):
        small.prepared()


def test_an_offline_competition_takes_no_raw_files(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="comes from no raw files; leave --raw out"):
        Competitions(tmp_path).prepare("cell-samples", raw=tmp_path)


KILLED = """
import os, signal, sys
from pathlib import Path
from proctor.tasks.competitions.library import Competitions
seen = 0
def stop(event, arguments):
    global seen
    if event == sys.argv[4] and sys.argv[1] in str(arguments[1]):
        seen += 1
        if seen == int(sys.argv[5]):
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(stop)
Competitions(Path(sys.argv[1]), [Path(sys.argv[2])]).prepare("small", raw=Path(sys.argv[3]))
"""


@pytest.mark.parametrize(("event", "at"), [("os.link", 1), ("os.link", 13), ("os.rename", 1)])
def test_a_preparation_that_is_killed_leaves_nothing_that_counts(
    tmp_path: Path, event: str, at: int
) -> None:
    small = Small(tmp_path, plain() + MOVED + SAMPLE, PACKED["folders"])
    places = (tmp_path / "data", tmp_path / "declared", small.raw)
    command = [sys.executable, "-c", KILLED, *map(str, places), event, str(at)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    place = place_of(small.library.definition("small"), tmp_path / "data")
    assert not place.exists()
    assert len(list(place.parent.iterdir())) == 2
    assert small.prepared() == place
    assert sorted(path.name for path in place.parent.iterdir()) == [".lock", place.name]
    assert len(tree(small.raw)) == 21


def test_what_was_moved_is_missed_when_it_is_gone_cut_short_or_joined_by_more(
    tmp_path: Path,
) -> None:
    small = Small(tmp_path, plain() + MOVED + SAMPLE, PACKED["7z"])
    place = small.prepared()
    image = place / "public/test" / f"{TEST_IDS[0]}.jpg"

    def damaged_by(harm: Any) -> bool:
        assert is_whole(small.prepared())
        harm()
        return not small.library.is_prepared("small")

    assert damaged_by(image.unlink)
    assert damaged_by(lambda: image.write_text("x"))
    assert damaged_by(lambda: (image.parent / "more.jpg").write_text("x"))
    assert damaged_by(lambda: (place / "private/answers.csv").write_text("id,y\n"))
    assert damaged_by((place / "manifest.json").unlink)
    os.utime(small.prepared() / "public/train.csv")
    assert small.library.is_prepared("small")


def test_another_version_of_the_engine_prepares_anew_and_mixes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = Small(tmp_path, plain() + MOVED + SAMPLE, PACKED["folders"])
    before = small.prepared()
    monkeypatch.setattr(prepared, "RECIPE", prepared.RECIPE + 1)
    assert not small.library.is_prepared("small")
    after = small.prepared()
    assert after != before
    assert is_whole(before)
    assert is_whole(after)


def test_a_changed_recipe_or_description_prepares_anew(tmp_path: Path) -> None:
    small = Small(tmp_path, plain() + SAMPLE, {"train.csv": TRAIN})
    before = small.prepared()
    declared = tmp_path / "declared/small"
    text = (declared / "competition.toml").read_text()
    (declared / "competition.toml").write_text(text.replace("seed = 0", "seed = 1"))
    library = Competitions(small.library.data, [declared.parent])
    assert not library.is_prepared("small")
    assert library.prepare("small", raw=small.raw) != before


def test_a_digest_stands_for_what_agents_are_given_wherever_it_lies(tmp_path: Path) -> None:
    def digest(name: str, how: str, **change: str) -> str:
        small = Small(tmp_path / name, plain() + MOVED + SAMPLE, {**PACKED[how], **change})
        small.prepared()
        (mount,) = small.library.task("small").sandbox.mounts
        return mount.digest

    first = digest("one", "folders")
    assert first == digest("two", "one archive with all")
    assert first != digest("three", "folders", **{"train/a3.jpg": "longer than it was"})


def test_the_reference_answers_and_thresholds_are_the_tasks(tmp_path: Path) -> None:
    small = Small(tmp_path, plain() + SAMPLE, {"train.csv": TRAIN})
    small.prepared()
    task = small.library.task("small")
    assert task.grading["leaderboard.json"] == b"[]"
    assert task.solution
    assert (
        task.solution.files["submission.csv"]
        == (small.prepared() / "private/reference.csv").read_bytes()
    )


MODULE = """
import polars as pl

def prepare(raw, out):
    names = raw.names("train/*.jpg")
    rows = pl.DataFrame({"id": [n.split("/")[1] for n in names], "y": range(len(names))})
    for name in names:
        out.file(name, f"all/{name.split('/')[1]}")
    out.write("notes.txt", raw.read("train.csv")[:2])
    out.table("train.csv", rows[:10])
    out.answers(rows[10:])
    out.reference(rows[10:].with_columns(y=pl.lit(7)))
    out.sample(rows[10:].with_columns(y=pl.lit(0)))
"""


def test_a_module_prepares_what_a_recipe_cannot_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tree(tmp_path / "modules", {"by_names.py": MODULE})
    monkeypatch.setattr(kaggle_modules, "__path__", [str(tmp_path / "modules")])
    declared = HEAD + FORM + 'module = "by_names"\n' + RAW
    small = Small(tmp_path, declared, PACKED["folders"])
    place = small.prepared()
    assert len(tree(place / "public/all")) == 20
    assert (place / "public/notes.txt").read_text() == "id"
    assert read_text_table(place / "private/answers.csv").height == 10
    assert set(read_text_table(place / "private/reference.csv")["y"]) == {"7"}
    assert is_whole(place)
