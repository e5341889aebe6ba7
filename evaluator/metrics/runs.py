"""Masks as run-length encodings: "start length start length ...", counted from 1.

No image is ever drawn: runs of all masks lie on one line, each mask on a stretch of its own, and
areas and intersections are differences of running sums.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from proctor.evaluator.metrics.base import Array

EMPTY = frozenset(("", "-"))
MAX_DIGITS = 19
"""Of a number that may be an int64."""


@dataclass(frozen=True)
class Masks:
    """The pixels of masks, as runs that do not touch the next mask's."""

    row: Array
    start: Array
    """From 0, in the mask's own order of pixels."""
    stop: Array
    n_rows: int
    n_pixels: int
    """Of the largest mask, or more."""

    @property
    def areas(self) -> Array:
        """The pixels of each mask."""
        return self._summed(self.stop - self.start)

    def shared_with(self, other: "Masks") -> Array:
        """The pixels that each mask shares with the other of the same row."""
        width = max(self.n_pixels, other.n_pixels)
        starts, stops = self.row * width + self.start, self.row * width + self.stop
        below = other.covered_below(np.concatenate([starts, stops]), width)
        return self._summed(below[len(starts) :] - below[: len(starts)])

    def covered_below(self, positions: Array, width: int) -> Array:
        """How many pixels of all masks lie below positions, when each mask is `width` long."""
        starts = self.row * width + self.start
        lengths = self.stop - self.start
        before = np.concatenate([[0], np.cumsum(lengths)])
        runs = np.searchsorted(starts, positions, side="left")
        if not len(starts):
            return np.zeros(len(positions), dtype=np.int64)
        last = np.maximum(runs - 1, 0)
        within = np.clip(positions - starts[last], 0, lengths[last])
        return np.asarray(np.where(runs > 0, before[last] + within, 0))

    def pixels(self, row: int) -> Array:
        """The numbers of one mask's pixels, from 0."""
        low, high = np.searchsorted(self.row, [row, row + 1])
        runs = zip(self.start[low:high], self.stop[low:high], strict=True)
        drawn: list[Array] = [np.arange(start, stop) for start, stop in runs]
        return np.concatenate(drawn) if drawn else np.zeros(0, dtype=np.int64)

    def _summed(self, values: Array) -> Array:
        found = np.bincount(self.row, values, minlength=self.n_rows)
        return found.astype(np.int64)


def read_masks(cells: Array | Sequence[str], sizes: Array, *, beyond: bool = False) -> Masks:
    """Read masks.

    Args:
        cells: Their encodings; nothing, blanks or ``-`` where a mask is empty.
        sizes: How many pixels each image has.
        beyond: Whether runs may end beyond the image, where they are cut off.

    Raises:
        ValueError: Runs are not whole positive numbers in pairs, sorted and apart, within the
            image.
    """
    words = [() if cell.strip() in EMPTY else cell.split() for cell in cells]
    lengths = np.fromiter(map(len, words), dtype=np.int64, count=len(words))
    _refuse(lengths % 2 == 1, "has a start without a length")
    flat = _whole_numbers(words)
    row = np.repeat(np.arange(len(words)), lengths // 2)
    start, run = flat[0::2] - 1, flat[1::2]
    _refuse_at(row, (start < 0) | (run <= 0), "has a start or a length below 1")
    size = np.asarray(sizes, dtype=np.int64)[row]
    if not beyond:
        _refuse_at(row, run > size - start, "has a run that ends beyond the image")
    start, stop = (
        np.minimum(start, size),
        np.minimum(start, size) + np.minimum(run, np.maximum(size - start, 0)),
    )
    same = row[1:] == row[:-1]
    _refuse_at(row[1:], same & (start[1:] < start[:-1]), "has runs that are not sorted")
    _refuse_at(row[1:], same & (start[1:] < stop[:-1]), "has runs that overlap")
    return Masks(row, start, stop, len(words), int(np.max(sizes, initial=0)))


def _whole_numbers(words: Sequence[Sequence[str]]) -> Array:
    flat = [word for row in words for word in row]
    if not flat:
        return np.zeros(0, dtype=np.int64)
    with suppress(OverflowError):
        if max(map(len, flat)) <= MAX_DIGITS and _are_digits("".join(flat)):
            return np.array(flat, dtype=str).astype(np.int64)  # each as wide as the longest
    wrong = next(n for n, row in enumerate(words, start=1) if not all(map(_is_whole, row)))
    raise ValueError(f"row {wrong} is not made of whole numbers")


def _is_whole(word: str) -> bool:
    return len(word) <= MAX_DIGITS and _are_digits(word) and int(word) <= np.iinfo(np.int64).max


def _are_digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _refuse_at(row: Array, wrong: Array, what: str) -> None:
    if wrong.any():
        raise ValueError(f"row {int(row[np.argmax(wrong)]) + 1} {what}")


def _refuse(wrong: Array, what: str) -> None:
    _refuse_at(np.arange(len(wrong)), wrong, what)
