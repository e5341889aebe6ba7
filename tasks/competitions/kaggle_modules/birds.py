"""mlsp-2013-birds: text files whose lines are of different lengths, filtered and numbered anew.

Of Kaggle's two folds only the first, 0, has labels. A fifth of it becomes the test, 1 in the new
``CVfolds_2.txt``; the second fold's recordings are left out, and what remains is numbered from 0.
"""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import NamedTuple

import pandas as pd
import polars as pl

from proctor.schemas.errors import TaskError
from proctor.tasks.competitions.output import Output
from proctor.tasks.competitions.raw.files import Raw

ROOT = "mlsp_contest_dataset/"
ESSENTIAL, SUPPLEMENTAL = "essential_data/", "supplemental_data/"
FOLDS, NAMES, LABELS = "CVfolds_2.txt", "rec_id2filename.txt", "rec_labels_test_hidden.txt"
KEY, TRAIN, TEST, HIDDEN = "rec_id", "0", "1", "?"
SHARE, SEED = 0.2, 0
SPECIES, SPAN = 19, 100
"""An id of a submission is a recording's number times 100, and the species."""
ENCODING = "latin-1"
"""Every byte is a letter, so that lines are written as they were read."""


class Line(NamedTuple):
    """One line of such a file."""

    key: str
    """Which recording it is about."""
    rest: str
    """What follows, from the first comma on."""

    @property
    def value(self) -> str:
        """What follows that comma."""
        return self.rest.removeprefix(",").strip()


class Text(NamedTuple):
    """One such file."""

    head: str
    lines: tuple[Line, ...]

    def about(self, numbers: Mapping[str, int]) -> "Text":
        """The lines of some recordings, under their new numbers."""
        kept = (Line(str(numbers[key]), rest) for key, rest in self.lines if key in numbers)
        return Text(self.head, tuple(kept))

    def encoded(self) -> bytes:
        """As it is written."""
        rows = (line.key + line.rest for line in self.lines)
        return "".join(f"{row}\n" for row in (self.head, *rows)).encode(ENCODING)


def prepare(raw: Raw, out: Output) -> None:
    """Draw the test as pandas' ``sample`` does, and write everything anew that names recordings.

    Raises:
        TaskError: A file does not name the recordings as others do.
    """
    folds = _read(raw, ESSENTIAL + FOLDS)
    known = [line.key for line in folds.lines if line.value == TRAIN]
    numbers = {key: number for number, key in enumerate(known)}
    test = frozenset(pd.Series(range(len(known))).sample(frac=SHARE, random_state=SEED))
    _folds(folds.head, len(known), test, out)
    labels = _read(raw, ESSENTIAL + LABELS).about(numbers)
    _labels(labels, test, out)
    names = _read(raw, ESSENTIAL + NAMES).about(numbers)
    out.write(ESSENTIAL + NAMES, names.encoded())
    out.file(ROOT + ESSENTIAL + "species_list.txt", ESSENTIAL + "species_list.txt")
    stems = {line.value for line in names.lines}
    sounds = [f"{ESSENTIAL}src_wavs/{stem}.wav" for stem in stems]
    out.files((ROOT + path, path) for path in sounds)
    _supplement(raw, numbers, stems, out)
    answers = pl.DataFrame(list(_answers(labels, test)), schema=["Id", "Probability"], orient="row")
    out.answers(answers)
    out.sample(answers.with_columns(pl.lit(0).alias("Probability")))


def _folds(head: str, count: int, test: frozenset[int], out: Output) -> None:
    fold = {number: TEST if number in test else TRAIN for number in range(count)}
    lines = (Line(str(number), f",{said}") for number, said in fold.items())
    out.write(ESSENTIAL + FOLDS, Text(head, tuple(lines)).encoded())


def _labels(labels: Text, test: frozenset[int], out: Output) -> None:
    shown = (Line(key, f",{HIDDEN}" if int(key) in test else rest) for key, rest in labels.lines)
    out.write(ESSENTIAL + LABELS, Text(labels.head, tuple(shown)).encoded())


def _answers(labels: Text, test: frozenset[int]) -> Iterator[tuple[int, int]]:
    heard = {int(line.key): line.value.split(",") for line in labels.lines}
    for number in sorted(test):
        if number not in heard or HIDDEN in heard[number]:
            raise TaskError(
                f"{ESSENTIAL}{LABELS}: recording {number} of fold {TRAIN} has no labels"
            )
        for species in range(SPECIES):
            yield SPAN * number + species, int(str(species) in heard[number])


def _supplement(raw: Raw, numbers: Mapping[str, int], stems: set[str], out: Output) -> None:
    """Tables of recordings are cut down; pictures come along where their recording does."""
    for path in raw.names(f"{ROOT}{SUPPLEMENTAL}*"):
        to = path.removeprefix(ROOT)
        text = _text(raw.read(path)) if path.endswith(".txt") else None
        if text is not None and text.head.startswith(f"{KEY},"):
            out.write(to, text.about(numbers).encoded())
        else:
            out.file(path, to)
    pictures = raw.names(f"{ROOT}{SUPPLEMENTAL}*/*")
    kept = [path for path in pictures if PurePosixPath(path).stem in stems]
    out.files((path, path.removeprefix(ROOT)) for path in kept)


def _read(raw: Raw, path: str) -> Text:
    text = _text(raw.read(ROOT + path))
    if not text.head.startswith(KEY):
        raise TaskError(f"{path}: its first line begins with {text.head[:40]!r}, not with {KEY!r}")
    return text


def _text(data: bytes) -> Text:
    head, *lines = data.decode(ENCODING).replace("\r\n", "\n").split("\n")
    parts = (line.partition(",") for line in lines if line.strip())
    return Text(head, tuple(Line(key.strip(), comma + rest) for key, comma, rest in parts))
