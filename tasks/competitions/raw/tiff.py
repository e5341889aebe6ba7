"""Whether all is there of a TIFF file that its directories name; its pixels are not looked at."""

import struct
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

Read: TypeAlias = Callable[[int, int], bytes]
"""Gives so many bytes from a place on; raises EOFError where the file ends before."""
BYTES: Mapping[int, int] = {
    kind: size
    for size, kinds in {
        1: (1, 2, 6, 7),
        2: (3, 8),
        4: (4, 9, 11, 13),
        8: (5, 10, 12, 16, 17, 18),
    }.items()
    for kind in kinds
}
"""Of a value, by TIFF's number of its type."""
INTEGERS = {3: "H", 4: "L", 16: "Q"}
"""The types, as `struct` has them, in which places and lengths are said."""
STRIPS, TILES = (273, 279), (324, 325)
"""Tags that say where parts of a picture lie, and how long they are."""
MAX_TAGS, MAX_PAGES = 4096, 64
"""Beyond which a file is believed."""


class _Form(NamedTuple):
    """How numbers are written, as `struct` has it."""

    order: str
    entries: str
    """How many there are."""
    number: str
    """Of values, or where they lie."""

    def of(self, *kinds: str) -> struct.Struct:
        return struct.Struct(self.order + "".join(kinds))


def check_tiff(read: Read) -> None:
    """Check that directories, their values and the last part of each picture are there.

    Raises:
        EOFError: They are not.
    """
    head = read(0, 4)
    order, big = "<" if head.startswith(b"II") else ">", b"+" in head
    form = _Form(order, "Q", "Q") if big else _Form(order, "H", "L")
    place = form.of(form.number)
    (at,) = place.unpack(read(8 if big else 4, place.size))
    for _ in range(MAX_PAGES):
        at = _next_page(read, at, form) if at else 0


def _next_page(read: Read, at: int, form: _Form) -> int:
    """Check a directory; returns where the next one begins, or 0."""
    count, entry, place = (
        form.of(form.entries),
        form.of("HH", form.number, form.number),
        form.of(form.number),
    )
    (entries,) = count.unpack(read(at, count.size))
    if entries > MAX_TAGS:
        return 0
    at += count.size
    last: dict[int, int] = {}
    for tag, kind, values, number in entry.iter_unpack(read(at, entries * entry.size)):
        size = BYTES.get(kind, 0) * values
        inline = size <= place.size
        if not inline:
            read(number + size - 1, 1)
        if tag in (*STRIPS, *TILES) and kind in INTEGERS and values:
            value = form.of(INTEGERS[kind])
            held = place.pack(number)[:size] if inline else b""
            held = held[-value.size :] or read(number + size - value.size, value.size)
            (last[tag],) = value.unpack(held)
    for start, length in (STRIPS, TILES):
        if last.get(start) and last.get(length):
            read(last[start] + last[length] - 1, 1)
    (following,) = place.unpack(read(at + entries * entry.size, place.size))
    return int(following)
