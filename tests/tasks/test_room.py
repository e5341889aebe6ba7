"""Room on the disk: asked for before archives are unpacked, by what their members state."""

import os
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.tasks.raw_competitions import SAMPLE, TRAIN, Small, plain, write_tree, zipped
from tests.tasks.test_raw_files import MOVED, sevenzipped, tarred

from proctor.schemas.errors import TaskError
from proctor.tasks.competitions.raw.archives import Zip
from proctor.tasks.competitions.raw.files import Raw

KILO: dict[str, str | bytes] = {"train/a.bin": bytes(1000), "train/b.bin": bytes(1000)}


def raw_in(root: Path, files: Mapping[str, str | bytes], free: int) -> Raw:
    write_tree(root / "raw", files)
    (root / "scratch").mkdir()
    return Raw(root / "raw", root / "scratch", lambda _: free)


def stating(archive: bytes, size: int) -> bytes:
    """A zip whose list of members says that each unpacks to so much."""
    changed = bytearray(archive)
    at = changed.find(b"PK\1\2")
    while at >= 0:
        struct.pack_into("<L", changed, at + 24, size)
        at = changed.find(b"PK\1\2", at + 4)
    return bytes(changed)


def test_the_members_of_zips_are_added_up_and_the_archives_named(tmp_path: Path) -> None:
    packed = {"train.zip": zipped(KILO), "more.zip": zipped({"c.bin": bytes(500)})}
    raw = raw_in(tmp_path, packed, free=2400)
    raw.check_room(KILO, tmp_path)
    raw.check_room(["train/a.bin", "c.bin"], tmp_path)
    with pytest.raises(TaskError) as told:
        raw.check_room([*KILO, "c.bin"], tmp_path)
    said = str(told.value)
    assert said.startswith("train.zip, more.zip: 2.5 kB are to be unpacked, and 2.4 kB are free")
    assert f"in {tmp_path}; make room" in said
    raw.close()


def test_what_lies_in_the_folder_itself_needs_no_room(tmp_path: Path) -> None:
    raw = raw_in(tmp_path, {**KILO, "train.zip": zipped(KILO)}, free=0)
    raw.check_room([*KILO, "nowhere"], tmp_path)
    raw.close()


@pytest.mark.parametrize(
    ("packed", "needed"),
    [
        ({"train.7z": sevenzipped(KILO)}, r"train\.7z: 2\.0 kB"),
        ({"train.tar": tarred(KILO, "w")}, r"train\.tar: 2\.0 kB"),
        ({"train.tar.gz": tarred(KILO)}, r"train\.tar\.gz: train/a\.bin: 1\.0 kB"),
        ({"all.zip": zipped({"train.zip": bytes(1600)})}, r"all\.zip: train\.zip: 1\.6 kB"),
    ],
)
def test_an_archive_that_is_unpacked_whole_needs_room_before(
    tmp_path: Path, packed: dict[str, str | bytes], needed: str
) -> None:
    free = 1500 if "train.tar.gz" not in packed else 900
    raw = raw_in(tmp_path, packed, free)
    with pytest.raises(TaskError, match=rf"{needed}.* are free"):
        raw.open_archives()
    assert not [path for path in (tmp_path / "scratch").rglob("*") if path.is_file()]


def test_a_table_in_an_archive_needs_room_before(tmp_path: Path) -> None:
    raw = raw_in(tmp_path, {"train.csv.zip": zipped({"train.csv": TRAIN})}, free=10)
    with pytest.raises(TaskError, match=r"train\.csv\.zip: .* are to be unpacked"):
        raw.table("train.csv")
    raw.close()


def test_pictures_that_together_are_larger_than_the_disk_are_refused_before_the_first(
    tmp_path: Path,
) -> None:
    free = os.statvfs(tmp_path)
    each = min(free.f_bavail * free.f_frsize // 8 + 1, (1 << 32) - 1)
    count = free.f_bavail * free.f_frsize // each + 1
    images = {f"train/a{n}.jpg": "image" for n in range(max(20, count * 2))}
    table = "id,x,y\n" + "".join(f"a{n},1,{n % 2}\n" for n in range(len(images)))
    packed = stating(zipped(images), each)
    small = Small(tmp_path, plain() + MOVED + SAMPLE, {"train.csv": table, "x.zip": packed})
    with pytest.raises(TaskError, match=r"small: x\.zip: .* GB are to be unpacked"):
        small.prepared()


@pytest.mark.parametrize("stated", [0, 10])
def test_a_member_that_holds_more_than_it_states_is_stopped(tmp_path: Path, stated: int) -> None:
    path, to = tmp_path / "x.zip", tmp_path / "out"
    path.write_bytes(stating(zipped({"a.bin": bytes(1 << 20)}), stated))
    archive = Zip(path, "x.zip")
    with pytest.raises(TaskError, match=r"x\.zip: a\.bin is damaged.*download it again"):
        archive.put("a.bin", str(to), link=False)
    assert to.stat().st_size <= stated
    archive.close()


def test_a_7z_member_that_holds_more_than_it_states_is_stopped(tmp_path: Path) -> None:
    archive = sevenzipped({"a.bin": bytes(1000)}, plain=True)
    start = 32 + struct.unpack_from("<Q", archive, 12)[0]
    head = archive[start:].replace(b"\x83\xe8", b"\x80\x0a")  # 1000, and 10
    assert head != archive[start:]
    begin = struct.pack("<QQL", start - 32, len(head), zlib.crc32(head))
    whole = archive[:8] + struct.pack("<L", zlib.crc32(begin)) + begin + archive[32:start] + head
    raw = raw_in(tmp_path, {"x.7z": whole}, free=500)
    with pytest.raises(TaskError, match=r"x\.7z is damaged"):
        raw.open_archives()
    assert all(path.stat().st_size <= 10 for path in tmp_path.rglob("a.bin"))
