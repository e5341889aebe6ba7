"""Tables in numpy's archives, checked by what they declare before any of it is unpacked."""

import struct
import zipfile
import zlib
from collections.abc import Sequence
from typing import IO, Any, BinaryIO, cast

import numpy as np
from numpy.lib import format as npy

from proctor.evaluator.delimited import Columns, cell, check_names
from proctor.evaluator.documents import shown
from proctor.schemas.errors import SubmissionError

MAX_UNPACKED_BYTES = 256 << 20
PLAIN_KINDS = "biufU"
PACKED_BY_NUMPY = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    NotImplementedError,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
)
"""What reading a crafted archive raises."""

Array = np.ndarray[Any, np.dtype[Any]]


def read_npz(source: BinaryIO, name: str, wanted: Sequence[str], max_rows: int) -> Columns:
    """The arrays of an archive, each of one axis and all of one length; never pickled objects.

    Raises:
        SubmissionError: It is no such archive, or declares more than `max_rows` rows or
            `MAX_UNPACKED_BYTES`.
    """
    try:
        with zipfile.ZipFile(source) as archive:
            held = archive.infolist()
            check_names([info.filename.removesuffix(".npy") for info in held], wanted, name)
            if sum(info.file_size for info in held) > MAX_UNPACKED_BYTES:
                raise SubmissionError(f"{name} unpacks to more than {MAX_UNPACKED_BYTES} bytes")
            if any(info.compress_type not in PACKED_BY_NUMPY for info in held):
                raise SubmissionError(f"{name} is not packed as numpy packs archives")
            columns = {
                info.filename.removesuffix(".npy"): _member(archive, info, name, max_rows)
                for info in held
            }
    except UNREADABLE as error:
        raise SubmissionError(f"{name} is no archive that can be read: {error}") from error
    if len({len(column) for column in columns.values()}) > 1:
        raise SubmissionError(f"{name}: its columns are not of one length")
    return columns


def _member(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, table: str, max_rows: int
) -> list[str]:
    name = f"{shown(info.filename)} of {table}"
    with archive.open(info) as member:
        array = _array(member, name, max_rows)
    try:
        values = cast("list[object]", array.tolist())
    except (ValueError, SystemError) as error:  # text with characters that do not exist
        raise SubmissionError(f"{name}: {error}") from error
    return [cell(value, name) for value in values]


def _array(source: IO[bytes], name: str, max_rows: int) -> Array:
    shape, dtype = _declared(source, name)
    if dtype.hasobject or dtype.kind not in PLAIN_KINDS:
        raise SubmissionError(f"{name} holds {shown(str(dtype))}: no numbers, booleans or text")
    if len(shape) != 1 or shape[0] < 0:
        raise SubmissionError(f"{name} has the shape {shown(str(shape))}, not that of a column")
    if shape[0] > max_rows:
        raise SubmissionError(f"{name} has more than {max_rows} rows")
    size = shape[0] * dtype.itemsize
    if size > MAX_UNPACKED_BYTES:
        raise SubmissionError(f"{name} unpacks to more than {MAX_UNPACKED_BYTES} bytes")
    data = source.read(size + 1)
    if len(data) != size:
        raise SubmissionError(f"{name} does not hold as much as it declares")
    return np.ndarray(shape, dtype, data)


def _declared(source: IO[bytes], name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """The shape and the type; `source` then stands at the data."""
    try:
        version = npy.read_magic(source)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read(source)
    except Exception as error:  # whatever a crafted header makes numpy and its parser raise
        raise SubmissionError(f"{name} is no numpy array: {shown(str(error))}") from error
    return shape, dtype
