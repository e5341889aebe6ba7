"""dogs-vs-cats-redux-kernels-edition: labels are taken from files' names; new names tell none."""

from itertools import count
from pathlib import PurePosixPath

import polars as pl

from proctor.schemas.errors import TaskError
from proctor.tasks.competitions.drawing import drawn
from proctor.tasks.competitions.output import Output
from proctor.tasks.competitions.raw.files import Raw

TEST, SEED = 0.1, 0
KINDS = ("cat", "dog")
"""The second is what the label 1 means."""


def prepare(raw: Raw, out: Output) -> None:
    """Split the labelled pictures; cats, dogs and the test are numbered in the order drawn.

    Raises:
        TaskError: There are too few, or a name does not begin with what is in the picture.
    """
    paths = raw.names("train/*.jpg")
    train, test = drawn(len(paths), "files", test=TEST, seed=SEED).of(paths)
    numbers = {kind: count() for kind in KINDS}
    kinds = ((path, _kind(path)) for path in train)
    moves = ((path, f"train/{kind}.{next(numbers[kind])}.jpg") for path, kind in kinds)
    out.files(moves, link=True)
    out.files((path, f"test/{number}.jpg") for number, path in enumerate(test, start=1))
    ids = range(1, len(test) + 1)
    out.answers(pl.DataFrame({"id": ids, "label": [KINDS.index(_kind(path)) for path in test]}))
    out.sample(pl.DataFrame({"id": ids, "label": [0.5] * len(test)}))


def _kind(path: str) -> str:
    kind = PurePosixPath(path).name.partition(".")[0]
    if kind not in KINDS:
        raise TaskError(f"{path}: a picture's name begins with 'cat.' or 'dog.'")
    return kind
