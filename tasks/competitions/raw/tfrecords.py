"""Names inside TFRecords, read without TensorFlow.

A file is a row of records: eight bytes of length, four of its checksum, the record, and four of the
record's. A record is a protocol buffer `Example`, in which lists of values lie under names. Lengths
are bounded and checked; checksums are not, since what is broken has no such names.

Source: tensorflow.org, "TFRecord and tf.train.Example"; protobuf.dev, "Encoding".
"""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from proctor.schemas.errors import TaskError

MAX_RECORD_BYTES = 64 << 20
"""Of one record: a picture and a few numbers."""
HEAD_BYTES, LENGTH_BYTES, TAIL_BYTES = 12, 8, 4
MAX_VARINT_BYTES = 10
VARINT, FIXED64, COUNTED, FIXED32 = 0, 1, 2, 5
FIXED_BYTES = {FIXED64: 8, FIXED32: 4}
FIRST, SECOND = 1, 2
"""Numbers of fields: `Example.features`, `Features.feature`, an entry's key, `Feature.bytes_list`
and `BytesList.value` have the first, and an entry's value has the second."""


class Varint(NamedTuple):
    """A number, and where what follows begins."""

    value: int
    end: int


def texts(path: Path, name: str) -> list[str]:
    """The text under a name, of each record of a file.

    Raises:
        TaskError: It is not made of such records.
    """
    try:
        with path.open("rb") as file:
            return [_text(record, name) for record in _records(file)]
    except (ValueError, OSError) as error:
        raise TaskError(f"{path}: not TFRecords with {name!r}: {error}") from error


def _records(file: BinaryIO) -> Iterator[memoryview]:
    while head := file.read(HEAD_BYTES):
        length = int.from_bytes(head[:LENGTH_BYTES], "little")
        if len(head) < HEAD_BYTES or length > MAX_RECORD_BYTES:
            raise ValueError(f"a record at byte {file.tell() - len(head)} is cut off or too long")
        record = file.read(length)
        if len(record) < length or len(file.read(TAIL_BYTES)) < TAIL_BYTES:
            raise ValueError("the last record is cut off")
        yield memoryview(record)


def _text(record: memoryview, name: str) -> str:
    for features in _fields(record, FIRST):
        for entry in _fields(features, FIRST):
            if any(bytes(key) == name.encode() for key in _fields(entry, FIRST)):
                for feature in _fields(entry, SECOND):
                    for values in _fields(feature, FIRST):
                        for value in _fields(values, FIRST):
                            return bytes(value).decode()
    raise ValueError("a record has no such text")


def _fields(message: memoryview, wanted: int) -> Iterator[memoryview]:
    """What stands, with its length before it, in the fields of that number."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind = tag & 7
        if kind == VARINT:
            at = _varint(message, at).end
            continue
        if kind == COUNTED:
            length, at = _varint(message, at)
        elif kind in FIXED_BYTES:
            length = FIXED_BYTES[kind]
        else:
            raise ValueError(f"a field is of the unknown kind {kind}")
        if at + length > len(message):
            raise ValueError("a field is cut off")
        if kind == COUNTED and tag >> 3 == wanted:
            yield message[at : at + length]
        at += length


def _varint(message: memoryview, at: int) -> Varint:
    value = 0
    for n, byte in enumerate(message[at : at + MAX_VARINT_BYTES]):
        value |= (byte & 0x7F) << (7 * n)
        if byte < 0x80:  # noqa: PLR2004 - the eighth bit says that more follows
            return Varint(value, at + n + 1)
    raise ValueError("a number is cut off")
