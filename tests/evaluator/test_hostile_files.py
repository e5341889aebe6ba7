"""Files that were crafted: read as what they say, or refused with the reason."""

import csv
import io
import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proctor.evaluator.arrays import MAX_UNPACKED_BYTES
from proctor.evaluator.documents import MAX_DEPTH, listed, parse_json, shown
from proctor.evaluator.tables import numbers, read_table
from proctor.evaluator.work import Work
from proctor.sandbox_backends.local import open_plain
from proctor.schemas.errors import SubmissionError
from proctor.tasks.catalog import read_task

IDS, VALUES = ["a", "b", "007"], [1.5, -2.0, 1e-9]
TABLES = {
    "t.csv": b"id,x\na,1.5\nb,-2.0\n007,1e-09\n",
    "other.csv": b'\xef\xbb\xbfx,id\r\n"1.5","a"\r\n\r\n-2.0,b\r\n1e-09,007',
    "t.json": json.dumps([{"x": x, "id": i} for i, x in zip(IDS, VALUES, strict=True)]).encode(),
}


def npz(**arrays: Any) -> bytes:
    target = io.BytesIO()
    np.savez_compressed(target, **arrays)
    return target.getvalue()


def npy(array: Any) -> bytes:
    target = io.BytesIO()
    np.save(target, array)
    return target.getvalue()


def header(shape: str, descr: str = "'<f8'") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def zipped(content: bytes, how: int = zipfile.ZIP_DEFLATED) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", how) as archive:
        archive.writestr("x.npy", content)
    return target.getvalue()


@pytest.mark.parametrize("name", [*TABLES, "t.npz"])
def test_every_format_gives_the_same_table(name: str) -> None:
    packed = npz(id=np.array(IDS), x=np.array(VALUES))
    table = read_table(TABLES.get(name, packed), name, ("id", "x"), 3)
    assert table["id"].tolist() == IDS
    assert numbers(table["x"], name).tolist() == VALUES


CRAFTED = {
    "short row": ("t.csv", b"id,x\n1\n", "line 2 has 1 cells, and the header 2"),
    "long row": ("t.csv", b"id,x\n1,2\n1,2,3\n", "line 3 has 3 cells"),
    "stray quote": ("t.csv", b'id,x\n1,"2"3\n', "in line 2"),
    "index column": ("t.csv", b",id,x\n0,1,2\n", "a column too many: ''"),
    "utf-16": ("t.csv", "id,x\n1,2\n".encode("utf-16"), "not text in UTF-8"),
    "nul": ("t.csv", "id,x\n1,2\n".encode("utf-16-le"), "NUL"),
    "huge cell": ("t.csv", b"id,x\n1," + b"9" * 200_000, "larger than field limit"),
    "wide": ("t.csv", b"," * 20_000 + b"\n", "20001 columns"),
    "json digits": ("t.json", b'[{"id":1,"x":' + b"1" * 5000 + b"}]", "not JSON"),
    "json infinity": ("t.json", b'[{"id":1,"x":1e999}]', "beyond the range"),
    "no zip": ("t.npz", b"PK\x03\x04", "no archive that can be read"),
    "pickled": ("t.npz", npz(id=[1], x=np.array([{}])), "no numbers, booleans or text"),
    "unequal": ("t.npz", npz(id=[1, 2], x=[1]), "not of one length"),
    "a column too many": ("t.npz", npz(id=[1], x=[1], y=[1]), "too many: 'y'"),
}


@pytest.mark.parametrize("case", CRAFTED)
def test_a_table_that_is_off_is_refused_with_the_reason(case: str) -> None:
    name, data, reason = CRAFTED[case]
    with pytest.raises(SubmissionError, match=reason) as refused:
        read_table(data, name, ("id", "x"), 100)
    assert len(str(refused.value)) < 1000
    assert str(refused.value).isascii()


ARCHIVES = {
    "bomb": (zipped(b"\0" * (MAX_UNPACKED_BYTES + 1)), "unpacks to more than"),
    "other packing": (zipped(npy(np.zeros(9)), zipfile.ZIP_LZMA), "not packed as numpy packs"),
    "no array": (zipped(b"hello"), "no numpy array"),
    "torn": (zipped(npy(np.zeros(9)))[:-40], "no archive that can be read"),
    "altered": (zipped(npy(np.zeros(9)), 0).replace(b"NUMPY", b"NUMPX"), "no numpy array"),
    "matrix": (npz(x=np.zeros((2, 2))), "not that of a column"),
    "scalar": (npz(x=np.float64(1)), "not that of a column"),
    "dates": (npz(x=np.array(["2020-01-01"], "M8[D]")), "no numbers, booleans or text"),
    "records": (npz(x=np.zeros(2, "f8,f8")), "no numbers, booleans or text"),
    "promises": (zipped(header("(90,)")), "does not hold as much as it declares"),
    "more than it says": (zipped(header("(1,)") + b"\0" * 9), "does not hold as much"),
    "rows of nothing": (zipped(header("(1000000000000,)", "'<U0'")), "more than 100 rows"),
    "negative": (zipped(header("(-1,)")), "not that of a column"),
    "wide text": (zipped(header("(1,)", "'<U99999999'")), "unpacks to more than"),
    "no characters": (zipped(header("(1,)", "'<U1'") + b"\xff" * 4), "'x.npy' of t.npz"),
    "parentheses": (zipped(b"\x93NUMPY\x01\x00v\x00" + b"(" * 118), "no numpy array"),
    "long header": (zipped(b"\x93NUMPY\x02\x00\xff\xff\xff\xff{"), "no numpy array"),
    "version": (zipped(b"\x93NUMPY\x09\x00"), "no numpy array"),
}


@pytest.mark.parametrize("case", ARCHIVES)
def test_an_archive_is_refused_by_what_it_declares(case: str) -> None:
    data, reason = ARCHIVES[case]
    with pytest.raises(SubmissionError, match=reason):
        read_table(data, "t.npz", ("x",), 100)


def test_an_archive_that_lies_about_its_size_yields_no_more_than_it_said() -> None:
    honest = zipped(npy(np.zeros(1 << 20)))
    size = (8 << 20) + 128
    lying = honest.replace(size.to_bytes(4, "little"), (64).to_bytes(4, "little"))
    assert lying != honest
    with pytest.raises(SubmissionError):
        read_table(lying, "t.npz", ("x",), 1 << 20)


@pytest.mark.parametrize(
    "text", ["nan", "inf", "-Infinity", "1e999", "1_0", "0x1", "\u0661", "", "1,5", "--1", "true"]
)
def test_what_is_no_finite_number_is_refused(text: str) -> None:
    rows = io.StringIO()
    csv.writer(rows).writerows([["id", "x"], ["7", text]])
    table = read_table(rows.getvalue().encode(), "t.csv", ("id", "x"), 1)
    with pytest.raises(SubmissionError, match="no finite numbers"):
        numbers(table["x"], "t.csv")


@pytest.mark.parametrize(
    ("path", "reason"), [("link.csv", "it is a link"), ("dir", "it is not a file"), ("x", "exist")]
)
async def test_what_is_no_plain_file_is_refused(
    mini_task: Path, tmp_path: Path, path: str, reason: str
) -> None:
    archive = tmp_path / "work.tar"
    with tarfile.open(archive, "w") as target:
        link, folder = tarfile.TarInfo("link.csv"), tarfile.TarInfo("dir")
        link.type, link.linkname, folder.type = tarfile.SYMTYPE, "/etc/passwd", tarfile.DIRTYPE
        target.addfile(link)
        target.addfile(folder)
    work = Work(
        task=read_task(mini_task), answer="", snapshot=archive, snapshot_sha256="", seed=7,
        backend=open_plain,
    )  # fmt: skip
    with pytest.raises(SubmissionError, match=reason):
        async with work.file(path, max_bytes=1):
            pass


texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)


@given(st.lists(st.tuples(texts, st.floats(allow_nan=False, allow_infinity=False))))
def test_a_csv_that_was_written_is_read_back(rows: list[tuple[str, float]]) -> None:
    target = io.StringIO()
    csv.writer(target).writerows([("id", "x"), *rows])
    table = read_table(target.getvalue().encode(), "t.csv", ("id", "x"), 100)
    assert table["id"].tolist() == [id_ for id_, _ in rows]
    assert numbers(table["x"], "t.csv").tolist() == [x for _, x in rows]


SEEDS = [*TABLES.values(), npz(id=np.array(IDS), x=np.array(VALUES))]


@given(
    st.sampled_from(["t.csv", "t.json", "t.npz"]),
    st.one_of(st.binary(max_size=200), st.sampled_from(SEEDS)),
    st.integers(0, 400),
    st.binary(max_size=4),
)
@settings(max_examples=300)
def test_whatever_is_handed_in_is_a_table_or_refused(
    name: str, data: bytes, at: int, edit: bytes
) -> None:
    crafted = data[:at] + edit + data[at + len(edit) :]
    try:
        read_table(crafted, name, ("id", "x"), 100)
    except SubmissionError as error:
        assert len(str(error)) < 1000  # noqa: PT017 - either outcome is right


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(texts, below, max_size=3),
    max_leaves=10,
)


@given(json_values)
def test_a_document_is_read_as_json_means_it(value: object) -> None:
    assert parse_json(json.dumps(value).encode(), "d.json") == value


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"a": {"b": 1, "b": 2}}', "'b' stands twice"),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "beyond 64 levels"),
        (b"-Infinity", "not a JSON value"),
        (b"-1e400", "beyond the range"),
        (b"", "not JSON"),
        ("é".encode("latin-1"), "not JSON in UTF-8"),
    ],
)
def test_a_document_that_could_be_read_in_two_ways_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(SubmissionError, match=reason):
        parse_json(data, "d.json")


@given(st.text(max_size=300))
def test_what_a_message_repeats_is_bounded_and_plain(value: str) -> None:
    assert shown(value).isascii()
    assert len(shown(value)) < 100
    assert len(listed([value] * 50)) < 600
