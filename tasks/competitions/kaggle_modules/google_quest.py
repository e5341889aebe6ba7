"""google-quest-challenge: a random tenth, in which no column that is scored stays the same."""

import numpy as np
import polars as pl

from proctor.evaluator.metrics.base import Array
from proctor.schemas.errors import TaskError
from proctor.tasks.competitions.drawing import drawn
from proctor.tasks.competitions.output import Output
from proctor.tasks.competitions.raw.files import Raw

ID, RARE = "qa_id", "question_type_spelling"
"""Few questions are of the rare kind, so that a small test may have none."""
TEST, SEED = 0.1, 0
TEXTS = frozenset(
    (
        "question_title",
        "question_body",
        "question_user_name",
        "question_user_page",
        "answer_user_name",
        "answer_user_page",
    )
)
"""Columns that begin as judgements do, but are what was judged."""


def prepare(raw: Raw, out: Output) -> None:
    """Hold a tenth of the questions back, with the columns that people judged them by.

    Raises:
        TaskError: There are too few, or columns are missing.
    """
    table = raw.table("train.csv")
    judged = [name for name in table.columns if name.startswith(("question_", "answer_"))]
    judged = [name for name in judged if name not in TEXTS]
    if ID not in table.columns or RARE not in judged:
        raise TaskError(f"train.csv: there is no column {ID!r} or {RARE!r}")
    train, test = _parts(table[RARE].cast(pl.Float64).to_numpy())
    held_back = table[test]
    out.table("train.csv", table[train])
    out.table("test.csv", held_back.drop(judged))
    out.answers(held_back.select(ID, *judged))
    rising = pl.Series(np.linspace(0, 1, held_back.height))
    out.sample(held_back.select(ID, *(rising.alias(each) for each in judged)))


def _parts(rare: Array) -> tuple[Array, Array]:
    """Rows of training and test; of the latter's, the first is exchanged if all are the same."""
    train, test = drawn(len(rare), "rows", test=TEST, seed=SEED)
    if len(np.unique(rare[test])) == 1 and rare[train].any():
        other = int(np.argmax(rare[train] != 0))
        train[other], test[0] = test[0], train[other]
    return train, test
