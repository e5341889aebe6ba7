"""Metrics of tokens in cells, with blanks between: ranked guesses, sets of labels, orders.

Cells become two flat arrays, the row and the number of each token, so that nothing loops over rows.
"""

from dataclasses import dataclass
from itertools import chain
from typing import Literal

import numpy as np
import pandas as pd

from proctor.evaluator.metrics.base import Array, Metric


@dataclass(frozen=True)
class Tokens:
    """The tokens of all cells, in their order."""

    row: Array
    code: Array
    """Which token it is; the same in truth and predictions."""
    place: Array
    """From 0, within its cell."""
    n_rows: int
    n_codes: int

    @property
    def key(self) -> Array:
        """One number for a row and a token."""
        return self.row * self.n_codes + self.code

    def once(self) -> "Tokens":
        """The first of each token in a cell."""
        first = np.sort(np.unique(self.key, return_index=True)[1])
        return self.only(first)

    def only(self, which: Array) -> "Tokens":
        """Some of them."""
        row, code, place = self.row[which], self.code[which], self.place[which]
        return Tokens(row, code, place, self.n_rows, self.n_codes)

    def per_row(self) -> Array:
        """How many each row has."""
        return np.bincount(self.row, minlength=self.n_rows)


def map_at_k(
    truth: Array,
    predicted: Array,
    *,
    k: int,
    leading_zeros: Literal["meant", "passed over", "none in truth"] = "meant",
) -> float:
    """The mean over rows of the average precision of the first `k` guesses.

    Each guess that is right adds the share of right ones so far; the sum is divided by the number
    of right answers, or `k` where that is less. A guess that repeats one before earns nothing, yet
    takes its place; so do repeated answers count once.

    Source: evaluation of Kaggle's h-and-m-personalized-fashion-recommendations. MLE-bench's answers
    to it have lost the zeros in front of numbers, which is what `leading_zeros` is for.

    Args:
        truth: The right answers, in any order.
        predicted: The guesses, the likeliest first.
        k: How many of them count.
        leading_zeros: Whether ``07`` is another token than ``7``; ``none in truth``: it is, and
            the truth is read as if it had none.

    Raises:
        ValueError: A row has no right answer.
    """
    if leading_zeros != "meant":
        truth = _unpadded(truth)
    if leading_zeros == "passed over":
        predicted = _unpadded(predicted)
    real, said = both_tokens(truth, predicted)
    real, said = real.once(), said.only(said.place < k).once()
    answers = real.per_row()
    if not answers.all():
        raise ValueError("a row of the truth has no answer")
    hit = said.only(np.isin(said.key, real.key))
    first = np.concatenate([[0], np.cumsum(hit.per_row())[:-1]])
    right_so_far = np.arange(len(hit.row)) - first[hit.row] + 1
    precision = np.bincount(hit.row, right_so_far / (hit.place + 1), minlength=hit.n_rows)
    return float(np.mean(precision / np.minimum(answers, k)))


def f1_micro_multilabel(truth: Array, predicted: Array) -> float:
    """F1 of all labels of all rows together; labels that the truth nowhere has are passed over.

    0 where there is nothing to divide by.

    Source: MLE-bench's grader of facebook-recruiting-iii-keyword-extraction, imet-2020-fgvc7 and
    plant-pathology-2021-fgvc8: its classes are those of the answers.
    """
    real, said = both_tokens(truth, predicted)
    real = real.once()
    said = said.only(np.isin(said.code, real.code)).once()
    right = np.count_nonzero(np.isin(said.key, real.key))
    counted = len(real.key) + len(said.key)
    return 2 * right / counted if counted else 0.0


def word_jaccard(
    truth: Array, predicted: Array, *, both_empty: float | Literal["invalid"] = 0.0
) -> float:
    """The mean over rows of shared words divided by all words, in lower case, each once.

    Source: P. Jaccard, "The distribution of the flora in the alpine zone", New Phytologist 11
    (1912); evaluations of Kaggle's tweet-sentiment-extraction and
    chaii-hindi-and-tamil-question-answering.

    Args:
        truth: Sentences.
        predicted: The same.
        both_empty: What a row is worth that has no word on either side.

    Raises:
        ValueError: There is such a row, and it is ``invalid``.
    """
    real, said = (each.once() for each in both_tokens(_lower(truth), _lower(predicted)))
    shared = real.only(np.isin(real.key, said.key)).per_row()
    union = real.per_row() + said.per_row() - shared
    if both_empty == "invalid":
        if not union.all():
            raise ValueError(f"row {int(np.argmin(union)) + 1} is empty in truth and predictions")
        both_empty = 0.0
    worth = np.divide(shared, union, where=union > 0, out=np.full(len(union), float(both_empty)))
    return float(np.mean(worth))


def kendall_tau(truth: Array, predicted: Array) -> float:
    """The correlation of two orders of the same tokens, over the pairs of all rows together.

    1 less four times the swaps of neighbours that mend all orders, divided by the sum of n(n - 1).

    Source: M. G. Kendall, "A new measure of rank correlation", Biometrika 30 (1938); evaluation
    of Kaggle's AI4Code.

    Raises:
        ValueError: A row is not a permutation of the true one, or no row has two tokens.
    """
    real, said = both_tokens(truth, predicted)
    by_truth, by_guess = np.argsort(real.key, kind="stable"), np.argsort(said.key, kind="stable")
    ordered = real.key[by_truth]
    if (ordered[1:] == ordered[:-1]).any():
        raise ValueError("a row of the truth names a token twice")
    if not np.array_equal(ordered, said.key[by_guess]):
        row = _first_difference(real, said)
        raise ValueError(f"row {row + 1} is no permutation of its {real.per_row()[row]} tokens")
    lengths = real.per_row().astype(float)
    pairs = float(np.sum(lengths * (lengths - 1)))
    if pairs == 0:
        raise ValueError("no row has two tokens")
    at = np.empty(len(ordered), dtype=np.int64)
    at[by_guess] = by_truth
    return 1 - 4 * inversions(at) / pairs


def inversions(order: Array) -> int:
    """How many pairs of a permutation of 0, 1, ..., n - 1 stand in the wrong order.

    Bit by bit from the highest: among values that agree so far, each 0 that follows a 1 is a pair.
    """
    found = 0
    for bit in reversed(range(max(len(order) - 1, 0).bit_length())):
        ones = (order >> bit) & 1
        prefix = order >> (bit + 1)
        starts = np.flatnonzero(np.diff(prefix, prepend=-1))
        before = np.cumsum(ones) - ones
        of_block = np.repeat(before[starts], np.diff(starts, append=len(order)))
        found += int(np.sum((before - of_block)[ones == 0]))
        order = order[np.argsort(order >> bit, kind="stable")]
    return found


def both_tokens(truth: Array, predicted: Array) -> tuple[Tokens, Tokens]:
    """The tokens of truth and predictions, numbered alike."""
    cells = [cell.split() for cell in chain(truth, predicted)]
    lengths = np.fromiter(map(len, cells), dtype=np.int64, count=len(cells))
    flat = np.array(list(chain.from_iterable(cells)), dtype=object)
    codes, distinct = pd.factorize(flat)
    rows = np.repeat(np.arange(len(cells)), lengths)
    places = np.arange(len(flat)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    split = int(lengths[: len(truth)].sum())
    n = len(distinct)
    return (
        Tokens(rows[:split], codes[:split], places[:split], len(truth), n),
        Tokens(rows[split:] - len(truth), codes[split:], places[split:], len(predicted), n),
    )


def _unpadded(cells: Array) -> Array:
    """Without the zeros in front of tokens, of which one of zeros alone keeps the last."""
    tokens = ((token.lstrip("0") or "0" for token in cell.split()) for cell in cells)
    return np.array([" ".join(each) for each in tokens], dtype=object)


def _lower(cells: Array) -> Array:
    return np.array([cell.lower() for cell in cells], dtype=object)


def _first_difference(real: Tokens, said: Tokens) -> int:
    unlike = np.setxor1d(real.key, said.key) // max(real.n_codes, 1)
    longer = np.flatnonzero(real.per_row() != said.per_row())
    return int(np.min(np.concatenate([unlike, longer])))


TOKENS = (
    Metric("map_at_k", "text", True, map_at_k),  # noqa: FBT003 - a row of a table
    Metric("f1_micro_multilabel", "text", True, f1_micro_multilabel),  # noqa: FBT003
    Metric("word_jaccard", "text", True, word_jaccard),  # noqa: FBT003
    Metric("kendall_tau", "text", True, kendall_tau),  # noqa: FBT003
)
