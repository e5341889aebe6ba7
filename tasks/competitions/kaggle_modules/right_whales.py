"""the-icml-2013-whale-challenge-right-whale-redux: days and labels are taken from files' names.

A name is ``20090328_000000_002s3ms_TRAIN0_0.aif``: the recording's day and time, where in it the
clip begins, the clip's number, and 1 where a right whale calls.
"""

import re
from typing import NamedTuple

import polars as pl

from proctor.schemas.errors import TaskError
from proctor.tasks.competitions.output import Output
from proctor.tasks.competitions.raw.files import Raw

NAME = re.compile(
    r".*/((\d{8})_(\d{6})_(\d+)s(\d+)ms)_TRAIN(\d+)_([01])\.aif", re.ASCII | re.DOTALL
)
TRAINING_DAYS = 2
"""The later ones are the test's."""
SAMPLE = "sampleSubmission.csv"


class Clip(NamedTuple):
    """One recording; clips sort by time."""

    day: str
    time: str
    at: tuple[int, int]
    """Seconds and milliseconds after that."""
    number: int
    stem: str
    label: int
    path: str


def prepare(raw: Raw, out: Output) -> None:
    """Split by day; the test's clips are numbered in the order of time.

    Raises:
        TaskError: A name is another, or there are too few days.
    """
    clips = sorted(map(_clip, raw.names("train2/*.aif")))
    days = sorted({clip.day for clip in clips})
    if len(days) <= TRAINING_DAYS:
        raise TaskError(
            f"train2: clips of more than {TRAINING_DAYS} days are needed, not of {days}"
        )
    train = [clip for clip in clips if clip.day in days[:TRAINING_DAYS]]
    test = [clip for clip in clips if clip.day not in days[:TRAINING_DAYS]]
    out.files(((clip.path, clip.path) for clip in train), link=True)
    names = [f"{clip.stem}_Test{number}.aif" for number, clip in enumerate(test)]
    out.files((clip.path, f"test2/{name}") for clip, name in zip(test, names, strict=True))
    out.answers(pl.DataFrame({"clip": names, "probability": [clip.label for clip in test]}))
    out.sample(pl.DataFrame({"clip": names, "probability": [0] * len(test)}), file=SAMPLE)


def _clip(path: str) -> Clip:
    if not (found := NAME.fullmatch(path)):
        raise TaskError(
            f"{path}: a clip is called DAY_TIME_SECONDSsMILLISECONDSms_TRAINn_LABEL.aif"
        )
    stem, day, time, seconds, milliseconds, number, label = found.groups()
    return Clip(day, time, (int(seconds), int(milliseconds)), int(number), stem, int(label), path)
