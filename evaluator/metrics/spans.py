"""A metric of answers found in documents, as spans of tokens."""

import re

import numpy as np

from proctor.evaluator.metrics.base import Array, Metric

ANSWER = re.compile(r"\s*(?:(YES|NO)|([+-]?\d+)\s*:\s*([+-]?\d+))?\s*", re.ASCII)


def span_accuracy(truth: Array, predicted: Array) -> float:
    """The share of questions that are answered right, or rightly left without an answer.

    It is what micro-averaged F1 over the classes "answered" and "not answered" comes to; Kaggle's
    micro F1 counts no question that is rightly left out.

    Source: MLE-bench's grader of tensorflow2-question-answering.

    Args:
        truth: The answers that are right, with blanks between; nothing where there is none.
        predicted: ``first:last`` in tokens, ``YES``, ``NO`` or nothing.

    Raises:
        ValueError: A prediction is something else.
    """
    right = [
        answer in known if (answer := _answer(cell, row)) else not known
        for row, (known, cell) in enumerate(
            zip(({_answer(a, 0) for a in cell.split()} for cell in truth), predicted, strict=True),
            start=1,
        )
    ]
    return float(np.mean(right))


def _answer(cell: str, row: int) -> str | tuple[int, int] | None:
    found = ANSWER.fullmatch(cell)
    if found is None:
        raise ValueError(f"row {row} is no answer: {cell[:40]!a}")
    word, first, last = found.groups()
    return (int(first), int(last)) if first else word


SPANS = (Metric("span_accuracy", "text", True, span_accuracy),)  # noqa: FBT003 - a row of a table
