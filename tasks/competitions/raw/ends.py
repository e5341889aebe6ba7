"""Whether a file holds less than it says it does, told from a few bytes and never by decoding it.

A JPEG or PNG picture has a mark at its end, as a Parquet table has; RIFF (WAV, WebP), AIFF, TIFF,
NumPy's arrays and MP4 state lengths, or places of what they hold. Of others, such as DICOM, GIF and
MP3, nothing is said: whole ones end in too many ways.
"""

import mmap
import os
import struct
from collections.abc import Callable, Mapping
from math import prod
from tokenize import TokenError
from typing import NamedTuple

from numpy.lib import format as npy

from proctor.tasks.competitions.raw.tiff import check_tiff

END_OF_JPEG = b"\xff\xd9"
END_OF_PNG = b"\0\0\0\0IEND\xaeB`\x82"
ENDS = (END_OF_JPEG, END_OF_PNG)
MARKED = frozenset({"jpg", "jpeg", "png"})
"""Endings of names of files of which the last bytes tell most, so that the first are not read."""
KNOWN = MARKED | {"tif", "tiff", "webp", "wav", "aif", "aiff", "npy", "parquet", "mp4", "mov"}
"""Endings of names of files that are looked into; what each then is, its first bytes say."""
HEAD_BYTES = 16
MAX_PARTS = 1 << 16
"""Parts of one file beyond which it is believed."""
SEGMENT, DATA, FILLER, FIRST_MARKER = struct.Struct(">HH"), 0xFFDA, 0xFFFF, 0xFF01
"""A JPEG's: marker and length; some markers."""
PNG_CHUNK, PNG_SUM_BYTES = struct.Struct(">L4s"), 4
BOX, LONG_BOX, IS_LONG = struct.Struct(">L4s"), struct.Struct(">8xQ"), 1
"""An MP4's."""
BOXES = frozenset(
    {b"ftyp", b"moov", b"mdat", b"moof", b"mfra", b"sidx", b"styp", b"free", b"skip", b"wide"}
)
PARQUET_MARKS, MIN_PARQUET_BYTES = (b"PAR1", b"PARE"), 12
MAX_HEADER_BYTES = 10_000
"""Of an array, beyond which NumPy does not read it either."""
NO_HEADER = (ValueError, TypeError, SyntaxError, TokenError, RecursionError, MemoryError)
"""What NumPy raises on headers that are none: it reads them as Python."""
UNSTATED = 0x7FFF_0000
"""From here on, the length of a RIFF or AIFF file is a filler: it was written to a pipe."""


class _File(NamedTuple):
    """An open file."""

    handle: int
    size: int

    def read(self, at: int, count: int) -> bytes:
        """So many bytes from there on.

        Raises:
            EOFError: It has not so many.
        """
        if at + count > self.size:
            raise EOFError
        return os.pread(self.handle, count, at)


def ending_of(path: str) -> str:
    """The ending of a file's name, in lower case, without its dot."""
    return path.rpartition(".")[2].lower()


def is_cut(place: str, ending: str, size: int) -> bool:
    """Whether a file certainly lacks its end; False where that cannot be told.

    Args:
        place: The file.
        ending: What its name ends in, of `KNOWN`.
        size: Its size in bytes, not 0.

    Raises:
        OSError: It cannot be read.
    """
    handle = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return _is_cut(_File(handle, size), ending)
    except EOFError:
        return True
    finally:
        os.close(handle)


def _is_cut(file: _File, ending: str) -> bool:
    last = min(file.size, len(END_OF_PNG))
    if ending in MARKED and file.read(file.size - last, last).endswith(ENDS):
        return False
    head = file.read(0, min(file.size, HEAD_BYTES))
    for start, check in CHECKS.items():
        if head.startswith(start):
            return check(file)
    if BOX.size <= len(head) and BOX.unpack_from(head)[1] == b"ftyp":
        return _is_mp4_cut(file)
    # Too short to tell what it is, or a place kept free on the disk that was never written to.
    return any(start.startswith(head) for start in CHECKS) or not any(head)


def _is_jpeg_cut(file: _File) -> bool:
    """No end after the picture began, within whose data no two bytes are like that mark.

    Further bytes may follow it. A thumbnail in a segment before has a mark of its own.
    """
    with mmap.mmap(file.handle, file.size, access=mmap.ACCESS_READ) as data:
        at = 2
        for _ in range(MAX_PARTS):
            marker, length = SEGMENT.unpack(file.read(at, SEGMENT.size))
            if marker == DATA or marker < FIRST_MARKER or not length:
                return data.rfind(END_OF_JPEG, at) < 0
            at += 1 if marker == FILLER else SEGMENT.size // 2 + length
    return False


def _is_png_cut(file: _File) -> bool:
    at = 8
    for _ in range(MAX_PARTS):
        length, kind = PNG_CHUNK.unpack(file.read(at, PNG_CHUNK.size))
        at += PNG_CHUNK.size + length + PNG_SUM_BYTES
        if kind == b"IEND" or at > file.size:
            return bool(at > file.size)
    return False


def _is_riff_cut(file: _File) -> bool:
    return _is_shorter(file, "<4xL")


def _is_aiff_cut(file: _File) -> bool:
    return _is_shorter(file, ">4xL")


def _is_shorter(file: _File, form: str) -> bool:
    """Than stated; as some writers count the 8 bytes up to there, too, so many may lack."""
    (stated,) = struct.unpack(form, file.read(0, struct.calcsize(form)))
    return file.size < int(stated) < UNSTATED


def _is_npy_cut(file: _File) -> bool:
    version = file.read(6, 1)[0]
    length = struct.Struct("<H" if version == 1 else "<L")
    (header,) = length.unpack(file.read(8, length.size))
    start = 8 + length.size + int(header)
    read = {1: npy.read_array_header_1_0, 2: npy.read_array_header_2_0}.get(version)
    if start > file.size or read is None or header > MAX_HEADER_BYTES:
        return start > file.size
    with open(file.handle, "rb", closefd=False) as opened:
        opened.seek(8)
        try:
            shape, _, dtype = read(opened)
        except NO_HEADER:  # it makes no sense, though it is all there
            return False
    return not dtype.hasobject and start + prod(shape) * dtype.itemsize > file.size


def _is_parquet_cut(file: _File) -> bool:
    mark = file.read(file.size - len(PARQUET_MARKS[0]), len(PARQUET_MARKS[0]))
    return mark not in PARQUET_MARKS or file.size < MIN_PARQUET_BYTES


def _is_mp4_cut(file: _File) -> bool:
    """A box goes beyond the end, or the one is missing without which nobody can play it."""
    at, kinds = 0, set[bytes]()
    for _ in range(MAX_PARTS):
        if at + BOX.size > file.size:
            break
        length, kind = BOX.unpack(file.read(at, BOX.size))
        if kind not in BOXES:  # somebody's own, or bytes that were appended
            break
        if length == IS_LONG:
            (length,) = LONG_BOX.unpack(file.read(at, LONG_BOX.size))
        kinds.add(kind)
        if length < BOX.size:  # to the end
            break
        at += length
        if at > file.size:
            return True
    return at + BOX.size > file.size and b"moov" not in kinds


def _is_tiff_cut(file: _File) -> bool:
    check_tiff(file.read)
    return False


CHECKS: Mapping[bytes, Callable[[_File], bool]] = {
    b"\xff\xd8\xff": _is_jpeg_cut,
    b"\x89PNG\r\n\x1a\n": _is_png_cut,
    b"RIFF": _is_riff_cut,
    b"FORM": _is_aiff_cut,
    b"\x93NUMPY": _is_npy_cut,
    b"PAR1": _is_parquet_cut,
    b"II*\0": _is_tiff_cut,
    b"MM\0*": _is_tiff_cut,
    b"II+\0": _is_tiff_cut,
    b"MM\0+": _is_tiff_cut,
}
"""By how files begin."""
