"""From a declaration to files: what agents are given, and what grading needs, apart.

DATA/ID/DIGEST/public/    train.csv, test.csv, sample_submission.csv, description.md, and where rows
                          have files, train/ROW.png and test/ROW.png
DATA/ID/DIGEST/private/   answers.csv, and reference.csv: the answers as they would be handed in
DATA/ID/DIGEST/manifest.json

DIGEST is of the declaration and of `RECIPE`, so that what is prepared is never out of date. A
directory appears whole, by one renaming, or not at all.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

import numpy as np
import polars as pl
from filelock import FileLock

from proctor.evaluator.answers import check_answers
from proctor.evaluator.competitions import measure
from proctor.evaluator.medals import award
from proctor.evaluator.metrics import METRICS
from proctor.evaluator.metrics.base import Array
from proctor.schemas.competition import Form
from proctor.schemas.errors import TaskError
from proctor.tasks.competitions.definition import DESCRIPTION, Definition
from proctor.tasks.competitions.prepared import (
    ANSWERS,
    MANIFEST,
    PRIVATE,
    PUBLIC,
    REFERENCE,
    SAMPLE,
    is_whole,
    place_of,
)
from proctor.tasks.competitions.sources import made
from proctor.tasks.competitions.sources.images import with_images_folded
from proctor.tasks.competitions.sources.made import Made
from proctor.tasks.competitions.splits import Parts, split_rows

ID_SPAN = 9
"""Ids are drawn from so many times their number, so that they tell nothing."""
ANYBODY_ENTERS, ANYBODY_READS, OWNER_ENTERS = 0o755, 0o644, 0o700


def prepare(definition: Definition, data: Path, *, check: bool = True) -> Path:
    """Make a competition's files, unless they are there.

    Args:
        definition: The competition.
        data: Where competitions' files lie.
        check: Whether they must be those that the leaderboard was made with.

    Returns:
        The directory.

    Raises:
        TaskError: They cannot be made, or are others.
        OSError: They cannot be written.
    """
    place = place_of(definition, data)
    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(place.parent / ".lock"):
        if is_whole(place):
            return place
        for leftover in place.parent.glob(f".{place.name}-*"):  # of a process that was killed
            shutil.rmtree(leftover)
        shutil.rmtree(place, ignore_errors=True)  # it was damaged
        files = made_files(definition)
        if check:
            _check_sums(definition, files)
        _write(files, place)
    return place


def made_files(definition: Definition) -> dict[str, bytes]:
    """All files of a competition, by path; equal at each call.

    Raises:
        TaskError: The declaration does not fit what its source makes.
    """
    file = definition.file
    try:
        rows = made(file.source)
        parts = split_rows(file.split, rows.table)
        return _tables(definition, rows, parts)
    except TaskError as error:
        raise TaskError(f"{definition.place}: {error}") from error


def sums(files: Mapping[str, bytes]) -> dict[str, str]:
    """The SHA-256 of each file; one of all the images in a folder, by what they show."""
    return _byte_sums(with_images_folded(files))


def check_provable(definition: Definition, files: Mapping[str, bytes]) -> None:
    """Check that the answers win gold, and that the sample is valid and wins no medal.

    Raises:
        TaskError: It is not so.
    """
    competition = definition.competition
    if METRICS[competition.metric.name].higher_is_better == competition.lower_is_better:
        raise TaskError(f"{definition.place}: lower_is_better is not as the metric has it")
    with TemporaryDirectory(prefix="proctor-prepare-") as root:
        answers, submission = Path(root, ANSWERS), Path(root, "submission.csv")
        answers.write_bytes(files[f"{PRIVATE}/{ANSWERS}"])
        check_answers(competition, answers)
        for name, gold in ((f"{PRIVATE}/{REFERENCE}", True), (f"{PUBLIC}/{SAMPLE}", False)):
            submission.write_bytes(files[name])
            measured = measure(competition, submission, answers)
            won = award(
                measured.score, competition.medals, lower_is_better=competition.lower_is_better
            )
            if measured.score is None or won.gold != gold or won.any != gold:
                said = measured.reason or f"scores {measured.score}"
                raise TaskError(f"{definition.place}: {name} {said}: gold expected: {gold}")


def _tables(definition: Definition, rows: Made, parts: Parts) -> dict[str, bytes]:
    form = definition.file.form
    (id_column,) = form.ids
    rng = np.random.default_rng(definition.file.split.seed + 1)
    ids = rng.permutation(ID_SPAN * rows.table.height)[: rows.table.height] + 10**5
    table = rows.table.insert_column(0, pl.Series(id_column, ids))
    reads_labels = METRICS[definition.file.metric.name].reads in ("labels", "grades")
    train, test = table[parts.train], table[parts.test]
    answers = test.select(id_column, *rows.targets)
    reference = as_submission(form, answers)
    return {
        f"{PUBLIC}/{DESCRIPTION}": definition.description.encode(),
        f"{PUBLIC}/train.csv": _csv(train),
        f"{PUBLIC}/test.csv": _csv(test.drop(rows.targets)),
        f"{PUBLIC}/{SAMPLE}": _csv(_sample(reference, id_column, train, labels=reads_labels)),
        f"{PRIVATE}/{ANSWERS}": _csv(answers),
        f"{PRIVATE}/{REFERENCE}": _csv(reference),
        **_row_files(f"{PUBLIC}/train", rows, ids, parts.train),
        **_row_files(f"{PUBLIC}/test", rows, ids, parts.test),
    }


def _row_files(folder: str, rows: Made, ids: Array, part: Array) -> dict[str, bytes]:
    if not rows.files:
        return {}
    return {f"{folder}/{ids[row]}{rows.suffix}": rows.files[row] for row in part}


def as_submission(form: Form, answers: pl.DataFrame) -> pl.DataFrame:
    """The answers as they would be handed in."""
    if not form.one_hot:
        columns = zip(form.targets, form.truth or form.targets, strict=True)
        return answers.select(*form.ids, *(pl.col(said).alias(asked) for asked, said in columns))
    (truth,) = form.truth
    return answers.select(
        *form.ids, *((pl.col(truth) == each).cast(pl.Float64).alias(each) for each in form.targets)
    )


def _sample(
    reference: pl.DataFrame, id_column: str, train: pl.DataFrame, *, labels: bool
) -> pl.DataFrame:
    """A submission that says the same of every row, from the training rows alone."""
    said = {
        name: _typical(train[name], label=labels)
        if name in train.columns
        else 1 / (reference.width - 1)
        for name in reference.columns
        if name != id_column
    }
    return reference.select(id_column, *(pl.lit(value).alias(name) for name, value in said.items()))


def _typical(cells: pl.Series, *, label: bool) -> float | str:
    if label or cells.dtype == pl.String:
        common: str | int = cells.mode().sort()[0]
        return common
    return round(float(np.median(cells.to_numpy())), 2)


def _byte_sums(files: Mapping[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(files[name]).hexdigest() for name in sorted(files)}


def _csv(table: pl.DataFrame) -> bytes:
    return table.write_csv().encode()


def _check_sums(definition: Definition, files: Mapping[str, bytes]) -> None:
    said, is_ = dict(definition.checksums), sums(files)
    if wrong := sorted(
        name for name in said.keys() | is_.keys() if said.get(name) != is_.get(name)
    ):
        raise TaskError(
            f"{definition.place}: these files are not those that its leaderboard was made with, "
            f"perhaps through another version of numpy or scikit-learn: {', '.join(wrong)}"
        )


def _write(files: Mapping[str, bytes], place: Path) -> None:
    """Write everything beside `place`, readable for sandboxes' users, and rename it."""
    new = Path(mkdtemp(prefix=f".{place.name}-", dir=place.parent))
    manifest = json.dumps(_byte_sums(files), indent=1).encode()
    for name, data in {**files, MANIFEST: manifest}.items():
        path = new / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(ANYBODY_READS)
    for folder in {path.parent for path in (new / name for name in files)}:
        folder.chmod(ANYBODY_ENTERS)
    (new / PRIVATE).chmod(OWNER_ENTERS)
    new.chmod(ANYBODY_ENTERS)
    new.rename(place)
