"""Objects in text cells, so many tokens each, as arrays of the objects of all rows."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from proctor.evaluator.metrics.base import Array

MAX_LABEL_CHARS = 100


@dataclass(frozen=True)
class Objects:
    """What the cells of a column name, in their order."""

    row: Array
    label: Array
    """Text."""
    values: Array
    """The numbers of each, of shape ``(n_objects, n_values)``."""

    def only(self, which: Array) -> "Objects":
        """Some of them."""
        return Objects(self.row[which], self.label[which], self.values[which])


def read_objects(cells: Array, n_values: int, *, label_first: bool = True) -> Objects:
    """Read objects of a label and `n_values` numbers each; the label stands first or last.

    Raises:
        ValueError: A row has tokens left over, or a label is too long, or a number is none, or not
            finite.
    """
    words = [cell.split() for cell in cells]
    lengths = np.fromiter(map(len, words), dtype=np.int64, count=len(words))
    each = n_values + 1
    if (lengths % each).any():
        row = int(np.argmax(lengths % each > 0))
        raise ValueError(f"row {row + 1} has {lengths[row]} tokens, no multiple of {each}")
    flat = np.array([word for row in words for word in row], dtype=object).reshape(-1, each)
    rows = np.repeat(np.arange(len(words)), lengths // each)
    labels, numbers = (flat[:, 0], flat[:, 1:]) if label_first else (flat[:, -1], flat[:, :-1])
    if len(labels) and max(map(len, labels)) > MAX_LABEL_CHARS:  # each would be as wide
        at = next(n for n, label in enumerate(labels) if len(label) > MAX_LABEL_CHARS)
        raise ValueError(
            f"row {rows[at] + 1} has a label of more than {MAX_LABEL_CHARS} characters"
        )
    return Objects(rows, labels.astype(str), _numbers(numbers, rows))


def per_row_and_label(*sides: Objects) -> list[dict[tuple[int, str], Array]]:
    """Of each side, where the objects of a row and a label stand."""
    return [_places(side) for side in sides]


def box_overlaps(these: Array, those: Array) -> Array:
    """The IoU of each with each of boxes as ``xmin ymin xmax ymax``; 0 where there is no area."""
    low = np.maximum(these[:, None, :2], those[None, :, :2])
    high = np.minimum(these[:, None, 2:], those[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=2)
    union = _areas(these)[:, None] + _areas(those)[None, :] - shared
    found = np.zeros(shared.shape)
    np.divide(shared, union, out=found, where=union > 0)
    return found


def _places(side: Objects) -> dict[tuple[int, str], Array]:
    if not len(side.row):
        return {}
    labels, code = np.unique(side.label, return_inverse=True)
    key = side.row * len(labels) + code
    order = np.argsort(key, kind="stable")
    starts = np.flatnonzero(np.diff(key[order], prepend=-1))
    rows, codes = np.divmod(key[order][starts], len(labels))
    where = zip(rows.tolist(), labels[codes].tolist(), strict=True)
    return dict(zip(where, np.split(order, starts[1:]), strict=True))


def _areas(boxes: Array) -> Array:
    return np.asarray(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1))


def _numbers(words: Array, rows: Array) -> Array:
    if not _is_plain("".join(words.flat)):
        words = np.array([[each if _is_plain(each) else "nan" for each in row] for row in words])
    try:
        found = words.astype(np.float64)
    except ValueError:
        found = pd.DataFrame(words).apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
    wrong = ~np.isfinite(found).all(axis=1)
    if wrong.any():
        at = int(np.argmax(wrong))
        raise ValueError(
            f"row {rows[at] + 1} has something else than numbers: {words[at][0][:40]!a}"
        )
    return found


def _is_plain(text: str) -> bool:
    """Whether it has nothing of what only Python takes for a part of a number."""
    return text.isascii() and "_" not in text
