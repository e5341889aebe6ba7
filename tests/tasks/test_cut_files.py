"""Files that are empty or lack their end: told by few bytes, named, and refused where many are."""

import io
import os
import struct
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image
from tests.tasks.raw_competitions import SAMPLE, TRAIN, Small, plain, zipped

from proctor.schemas.errors import TaskError
from proctor.tasks.competitions.downloaded import mark_of
from proctor.tasks.competitions.prepared import OddFiles, manifest_of
from proctor.tasks.competitions.raw.ends import ending_of, is_cut
from proctor.tasks.competitions.raw.odd import Odd

FOLDERS = """
[[recipe.files]]
part = "train"
raw = "train/{id}.*"
to = "train/"
[[recipe.files]]
part = "test"
raw = "train/{id}.*"
to = "test/"
"""
NOISE = np.random.default_rng(0).integers(0, 256, (24, 20, 3), dtype=np.uint8)


def saved(kind: str, **how: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(NOISE).save(file, kind, **how)
    return file.getvalue()


JPEG = saved("JPEG")


def recording() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(600))
    return file.getvalue()


def array() -> bytes:
    file = io.BytesIO()
    np.save(file, NOISE)
    return file.getvalue()


def columns() -> bytes:
    file = io.BytesIO()
    pl.DataFrame({"a": range(50)}).write_parquet(file)
    return file.getvalue()


def box(kind: bytes, count: int) -> bytes:
    return struct.pack(">L4s", 8 + count, kind) + bytes(count)


WHOLE: dict[str, bytes] = {
    "plain.jpg": JPEG,
    "progressive.jpeg": saved("JPEG", progressive=True),
    "thumbnail.JPG": saved("JPEG", exif=b"Exif\0\0" + JPEG),
    "called.jpg": saved("PNG"),
    "plain.png": saved("PNG"),
    "plain.webp": saved("WEBP"),
    "plain.tif": saved("TIFF"),
    "packed.tiff": saved("TIFF", compression="tiff_lzw"),
    "big.tif": saved("TIFF", big_tiff=True),
    "pages.tif": saved("TIFF", save_all=True, append_images=[Image.fromarray(NOISE)]),
    "plain.wav": recording(),
    "plain.aif": b"FORM" + struct.pack(">L", 304) + b"AIFFSSND" + bytes(296),
    "plain.npy": array(),
    "plain.parquet": columns(),
    "plain.mp4": box(b"ftyp", 16) + box(b"mdat", 200) + box(b"moov", 80),
}


@pytest.fixture
def cut(tmp_path: Path) -> Callable[[str, bytes], bool]:
    def told(name: str, data: bytes) -> bool:
        place = tmp_path / "looked at"
        place.write_bytes(data)
        return is_cut(str(place), ending_of(name), len(data))

    return told


@pytest.mark.parametrize("name", WHOLE)
def test_a_file_that_was_cut_anywhere_is_told_from_a_whole_one(cut: Any, name: str) -> None:
    whole = WHOLE[name]
    assert not cut(name, whole)
    lost = [20, 40, *range(60, len(whole), max(1, len(whole) // 50)), len(whole) - 1]
    assert [n for n in lost if n < len(whole) and not cut(name, whole[: len(whole) - n])] == []


@pytest.mark.parametrize("name", [each for each in WHOLE if "parquet" not in each])
@pytest.mark.parametrize("more", [b"\0" * 100, b"appended by a camera" * 100])
def test_a_whole_file_may_have_more_behind_it(cut: Any, name: str, more: bytes) -> None:
    assert not cut(name, WHOLE[name] + more)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.jpg", b"GIF89a and so on"),
        ("a.png", b"words"),
        ("a.npy", b"\x93NUMPY\x01\0\x04\0{{{{"),
        ("a.npy", b"\x93NUMPY\x09\0\x01\0\0\0 "),
        ("a.wav", b"RIFF\xff\xff\xff\xffWAVE"),
        ("a.tif", b"II*\0\x08\0\0\0\xff\xff" + bytes(10)),
        ("a.jpg", b"\xff\xd8\xff\xff\xff\xda\0\2..\xff\xd9" + bytes(90)),
        ("a.mp4", box(b"ftyp", 8) + struct.pack(">L4sQ", 1, b"moov", 16) + bytes(4)),
    ],
)
def test_what_cannot_be_told_is_believed(cut: Any, name: str, data: bytes) -> None:
    assert not cut(name, data)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif", "a.wav"])
def test_a_place_on_the_disk_that_was_never_written_to_is_told(cut: Any, name: str) -> None:
    assert cut(name, bytes(5000))


def small_of(root: Path, files: dict[str, bytes]) -> Small:
    return Small(root, plain() + FOLDERS + SAMPLE, {"train.csv": TRAIN, **files})


def pictures() -> dict[str, bytes]:
    return {f"train/a{n}.jpg": JPEG for n in range(20)}


def test_a_few_files_that_are_cut_or_empty_are_named_and_taken_as_they_are(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {**pictures(), "train/a3.txt": b"", "train/a5.jpg": b""}
    declared = plain("copy = ['train/']\n") + FOLDERS.replace('train/"', 'some/"') + SAMPLE
    small = Small(tmp_path, declared, {"train.csv": TRAIN, **files})
    os.truncate(small.raw / "train/a7.jpg", len(JPEG) - 9)
    place = small.prepared()
    told = ("train/a3.txt (empty)", "train/a5.jpg (empty)", "train/a7.jpg (cut short)")
    assert manifest_of(place).odd == OddFiles(count=3, named=told)
    assert [path.read_bytes() for path in place.glob("public/*/a7.jpg")] == [JPEG[:-9]] * 2


def test_a_folder_of_whole_files_has_nothing_odd(tmp_path: Path) -> None:
    assert manifest_of(small_of(tmp_path, pictures()).prepared()).odd == OddFiles()


@pytest.mark.parametrize("damaged", [6, 20])
def test_a_copy_with_many_cut_files_is_refused(tmp_path: Path, damaged: int) -> None:
    small = small_of(tmp_path, pictures())
    for n in range(damaged):
        os.truncate(small.raw / f"train/a{n}.jpg", 300)
    with pytest.raises(TaskError) as told:
        small.prepared()
    assert f"{damaged} of 20 files are empty or cut short: train/a0.jpg (cut short)," in str(
        told.value
    )
    assert f"and {damaged - 5} more; this copy" in str(told.value)


def test_the_only_picture_must_not_be_cut(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"1 of 1 .*train/a0\.jpg \(cut short\)"):
        small_of(tmp_path, {**dict.fromkeys(_texts(), b"x"), "train/a0.jpg": JPEG[:-9]}).prepared()


def _texts() -> list[str]:
    return [f"train/a{n}.txt" for n in range(20)]


def test_a_share_of_a_large_folder_may_be_odd() -> None:
    assert _looked(2000, empty=20) is None
    assert "21 of 2000" in str(_looked(2000, empty=21))
    assert _looked(100, empty=5) is None


def _looked(count: int, *, empty: int) -> TaskError | None:
    odd = Odd()
    for n in range(count):
        size = min(1, max(0, n + 1 - empty))
        odd.look(f"{n}.jpg", os.devnull if not size else __file__, size)
    try:
        odd.check()
    except TaskError as error:
        return error
    return None


def test_what_was_downloaded_is_told_and_never_refused(tmp_path: Path) -> None:
    small = small_of(tmp_path, {path: data[:-9] for path, data in pictures().items()})
    mark_of(small.raw).touch()
    assert manifest_of(small.prepared()).odd.count == 20


def test_members_of_archives_are_not_looked_into_but_for_empty_ones(tmp_path: Path) -> None:
    held: dict[str, str | bytes] = {path: data[:-9] for path, data in pictures().items()}
    small = small_of(tmp_path, {"train.zip": zipped({**held, "train/a2.jpg": b""})})
    assert manifest_of(small.prepared()).odd == OddFiles(count=1, named=("train/a2.jpg (empty)",))


def test_only_the_first_names_are_kept_and_fewer_are_told() -> None:
    odd = Odd()
    for n in range(200):
        odd.empty(f"{n:03}.txt", 0)
    files = odd.files()
    assert (files.count, len(files.named), files.named[-1]) == (200, 100, "099.txt (empty)")
    assert files.said().endswith("004.txt (empty) and 195 more")
    assert OddFiles(count=1, named=("a",)).said() == "a"
