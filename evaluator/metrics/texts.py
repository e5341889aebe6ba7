"""Metrics of texts and sequences: how many edits one is from another."""

from collections.abc import Hashable, Sequence

import numpy as np
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cpdist

from proctor.evaluator.metrics.base import Array, Metric


def mean_levenshtein(truth: Array, predicted: Array) -> float:
    """The mean over rows of the edit distance, in characters.

    Source: V. I. Levenshtein, "Binary codes capable of correcting deletions, insertions, and
    reversals", Soviet Physics Doklady 10 (1966).
    """
    return float(np.mean(_distances(list(truth), list(predicted))))


def normalised_levenshtein(truth: Array, predicted: Array) -> float:
    """The edit distances of sequences of whole numbers, by the number of true elements in all.

    Source: evaluation of Kaggle's multi-modal-gesture-recognition.

    Raises:
        ValueError: A cell holds something else than whole numbers, or the truth is empty.
    """
    known: dict[int, int] = {}
    real, said = _sequences(truth, known), _sequences(predicted, known)
    elements = sum(map(len, real))
    if not elements:
        raise ValueError("every sequence of the truth is empty")
    return float(np.sum(_distances(real, said)) / elements)


def _distances(
    truth: Sequence[Sequence[Hashable]], predicted: Sequence[Sequence[Hashable]]
) -> Array:
    return cpdist(truth, predicted, scorer=Levenshtein.distance, dtype=np.int64)


def _sequences(cells: Array, known: dict[int, int]) -> list[list[int]]:
    """Sequences of numbers, numbered: rapidfuzz compares hashes, and -1 and -2 have the same."""
    rows: list[list[int]] = []
    for row, cell in enumerate(cells, start=1):
        try:
            rows.append([known.setdefault(int(each), len(known)) for each in cell.split()])
        except ValueError as error:
            raise ValueError(f"row {row} is not made of whole numbers: {cell[:40]!a}") from error
    return rows


TEXTS = (
    Metric("mean_levenshtein", "text", False, mean_levenshtein),  # noqa: FBT003 - a row of a table
    Metric("normalised_levenshtein", "text", False, normalised_levenshtein),  # noqa: FBT003
)
