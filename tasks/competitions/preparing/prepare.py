"""From a declaration to files: what agents are given, and what grading needs, apart.

DATA/ID/DIGEST/public/    train.csv, test.csv, sample_submission.csv, description.md, and where rows
                          have files, train/ROW.png and test/ROW.png; raw files as recipes say
DATA/ID/DIGEST/private/   answers.csv, and reference.csv: the answers as they would be handed in
DATA/ID/DIGEST/manifest.json
DATA/ID/raw/              what was downloaded, where rows come from raw files

DIGEST is of the declaration and of `RECIPE`, so that what is prepared is never out of date. A
directory appears whole, by one renaming, or not at all.
"""

import hashlib
import shutil
from collections.abc import Callable, Mapping
from contextlib import closing
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any

import numpy as np
import polars as pl
from filelock import FileLock

from proctor.evaluator.answers import check_answers
from proctor.evaluator.competitions import measure
from proctor.evaluator.earned import Measured
from proctor.evaluator.medals import Award, award
from proctor.evaluator.metrics import METRICS
from proctor.evaluator.metrics.base import Array
from proctor.schemas.competition import Competition
from proctor.schemas.errors import TaskError
from proctor.tasks.competitions import kaggle_modules
from proctor.tasks.competitions.definition import DESCRIPTION, Definition
from proctor.tasks.competitions.output import Output, as_submission
from proctor.tasks.competitions.prepared import (
    ANSWERS,
    PRIVATE,
    PUBLIC,
    REFERENCE,
    SAMPLE,
    is_whole,
    place_of,
)
from proctor.tasks.competitions.preparing.engine import check_raw, follow
from proctor.tasks.competitions.progress import UNWATCHED, Progress
from proctor.tasks.competitions.raw.files import Raw
from proctor.tasks.competitions.sources import made
from proctor.tasks.competitions.sources.images import with_images_folded
from proctor.tasks.competitions.sources.made import Made
from proctor.tasks.competitions.sources.splits import Parts, split_rows

ID_SPAN = 9
"""Ids are drawn from so many times their number, so that they tell nothing."""


def prepare(
    definition: Definition,
    data: Path,
    *,
    raw: Path | None = None,
    check: bool = True,
    progress: Progress = UNWATCHED,
) -> Path:
    """Make a competition's files, unless they are there.

    Args:
        definition: The competition.
        data: Where competitions' files lie.
        raw: The folder with the raw files, where it comes from such.
        check: Whether they must be those that the leaderboard was made with.
        progress: What is told how far it has come.

    Returns:
        The directory.

    Raises:
        TaskError: They cannot be made, or are others.
        OSError: They cannot be written.
    """
    definition.check_supported()
    place = place_of(definition, data)
    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(place.parent / ".lock"):
        if is_whole(place):
            return place
        for leftover in place.parent.glob(".*-*"):  # of a process that was killed
            shutil.rmtree(leftover)
        shutil.rmtree(place, ignore_errors=True)  # it was damaged
        new = Path(mkdtemp(prefix=f".{place.name}-", dir=place.parent))
        try:
            if definition.file.raw is None:
                progress.step("make")
                _write_made(definition, new, check=check)
            else:
                _write_from_raw(definition, new, raw, progress)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
        new.rename(place)
    return place


def _write_made(definition: Definition, new: Path, *, check: bool) -> None:
    """Write what a source makes."""
    files = made_files(definition)
    if check:
        _check_sums(definition, files)
    out = Output(new, definition.file.form)
    for path, data in files.items():
        out.add(path, data)
    out.finish()


def _write_from_raw(
    definition: Definition, new: Path, folder: Path | None, progress: Progress
) -> None:
    """Write what a recipe, or a module, makes of raw files."""
    file = definition.file
    if folder is None or file.raw is None:
        raise TaskError(f"{file.id} comes from raw files; give their folder with --raw")
    scratch = new / "scratch"
    scratch.mkdir()
    try:
        with closing(Raw(folder, scratch)) as raw:
            progress.step("look for files")
            check_raw(file.raw, raw)
            progress.step("split", unit="files")
            out = Output(new, file.form, raw, progress)
            if file.recipe:
                follow(file.recipe, definition.competition, raw, out)
            else:
                _preparing(file.module)(raw, out)
    except TaskError as error:
        raise TaskError(f"{definition.task_id}: {error}") from error
    shutil.rmtree(scratch)
    progress.step("seal")
    out.add(f"{PUBLIC}/{DESCRIPTION}", definition.description.encode())
    out.finish()
    check_answers(definition.competition, new / PRIVATE / ANSWERS)


def _preparing(name: str) -> Callable[[Raw, Output], None]:
    try:
        module: Any = import_module(f"{kaggle_modules.__name__}.{name}")
    except ModuleNotFoundError as error:
        raise TaskError(f"module: there is no {name!r} among Proctor's Kaggle modules") from error
    prepare_it: Callable[[Raw, Output], None] = module.prepare
    return prepare_it


def made_files(definition: Definition) -> dict[str, bytes]:
    """All files of a competition, by path; equal at each call.

    Raises:
        TaskError: The declaration does not fit what its source makes.
    """
    source, split = definition.file.origin
    try:
        rows = made(source, definition.place)
        parts = split_rows(split, rows.table)
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
    for name, gold in ((f"{PRIVATE}/{REFERENCE}", True), (f"{PUBLIC}/{SAMPLE}", False)):
        measured, won = won_by(competition, files, name)
        if measured.score is None or won.gold != gold or won.any != gold:
            said = measured.reason or f"scores {measured.score}"
            raise TaskError(f"{definition.place}: {name} {said}: gold expected: {gold}")


def won_by(
    competition: Competition, files: Mapping[str, bytes], name: str
) -> tuple[Measured, Award]:
    """What one of a competition's files, handed in, scores and wins.

    Raises:
        TaskError: The answers are not what grading needs.
    """
    with TemporaryDirectory(prefix="proctor-prepare-") as root:
        answers, submission = Path(root, ANSWERS), Path(root, "submission.csv")
        answers.write_bytes(files[f"{PRIVATE}/{ANSWERS}"])
        check_answers(competition, answers)
        submission.write_bytes(files[name])
        measured = measure(competition, submission, answers)
    lower = competition.lower_is_better
    return measured, award(measured.score, competition.medals, lower_is_better=lower)


def _tables(definition: Definition, rows: Made, parts: Parts) -> dict[str, bytes]:
    form = definition.file.form
    (id_column,) = form.ids
    rng = np.random.default_rng(definition.file.origin.split.seed + 1)
    ids = rng.permutation(ID_SPAN * rows.table.height)[: rows.table.height] + 10**5
    table = rows.table
    if id_column not in table.columns:
        table = table.insert_column(0, pl.Series(id_column, ids))
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
    values = cells.to_numpy()
    whole = cells.dtype.is_integer()  # a class or a grade, between two of which there is none
    middle = np.quantile(values, 0.5, method="lower") if whole else np.median(values)
    return round(float(middle), 2)


def _byte_sums(files: Mapping[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(files[name]).hexdigest() for name in sorted(files)}


def _csv(table: pl.DataFrame) -> bytes:
    return table.write_csv().encode()


def _check_sums(definition: Definition, files: Mapping[str, bytes]) -> None:
    said, is_ = dict(definition.checksums), sums(files)
    described = {f"{PUBLIC}/{DESCRIPTION}"}  # no score depends on it: authors may edit it
    if wrong := sorted(
        name for name in (said.keys() | is_.keys()) - described if said.get(name) != is_.get(name)
    ):
        raise TaskError(
            f"{definition.place}: these files are not those that its leaderboard was made with, "
            f"perhaps through another version of numpy or scikit-learn: {', '.join(wrong)}"
        )
