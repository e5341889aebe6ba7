"""From a declaration to files: what agents are given, and what grading needs, apart.

DATA/ID/DIGEST/public/    train.csv, test.csv, sample_submission.csv, description.md, and where rows
                          have files, train/ROW.png and test/ROW.png; raw files as recipes say
DATA/ID/DIGEST/private/   answers.csv, and reference.csv: the answers as they would be handed in
DATA/ID/DIGEST/manifest.json
DATA/ID/raw/              what was downloaded, where rows come from raw files

DIGEST is of the declaration and of `RECIPE`, so that what is prepared is never out of date. A
directory appears whole, by one renaming, or not at all.
"""

import shutil
from collections.abc import Callable
from contextlib import closing
from importlib import import_module
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from filelock import FileLock

from proctor.evaluator.answers import check_answers
from proctor.schemas.errors import TaskError
from proctor.tasks.competitions import kaggle_modules
from proctor.tasks.competitions.definition import DESCRIPTION, Definition
from proctor.tasks.competitions.downloaded import mark_of
from proctor.tasks.competitions.output import Output
from proctor.tasks.competitions.prepared import (
    ANSWERS,
    PRIVATE,
    PUBLIC,
    is_whole,
    place_of,
)
from proctor.tasks.competitions.preparing.engine import follow
from proctor.tasks.competitions.preparing.making import made_files
from proctor.tasks.competitions.preparing.proof import check_sums
from proctor.tasks.competitions.progress import UNWATCHED, Progress
from proctor.tasks.competitions.raw.archives import ARCHIVES, stem_of
from proctor.tasks.competitions.raw.files import Raw
from proctor.tasks.competitions.recipe import RawFiles


def prepare(
    definition: Definition,
    data: Path,
    *,
    raw: Path | None = None,
    progress: Progress = UNWATCHED,
) -> Path:
    """Make a competition's files, unless they are there.

    Args:
        definition: The competition.
        data: Where competitions' files lie.
        raw: The folder with the raw files, where it comes from such.
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
                _write_made(definition, new)
            else:
                _write_from_raw(definition, new, raw, progress)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
        new.rename(place)
    return place


def _write_made(definition: Definition, new: Path) -> None:
    """Write what a source makes."""
    files = made_files(definition)
    check_sums(definition, files)
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
            _check_raw(file.raw, raw)
            progress.step("split", unit="files")
            out = Output(new, file.form, raw, progress)
            if file.recipe:
                follow(file.recipe, definition.competition, raw, out)
            else:
                _preparing(file.module)(raw, out)
            if not mark_of(folder).exists():  # what was downloaded is as Kaggle has it
                raw.odd.check()
    except TaskError as error:
        raise TaskError(f"{definition.task_id}: {error}") from error
    shutil.rmtree(scratch)
    progress.step("seal")
    out.add(f"{PUBLIC}/{DESCRIPTION}", definition.description.encode())
    out.finish()
    check_answers(definition.competition, new / PRIVATE / ANSWERS)


def _check_raw(files: RawFiles, raw: Raw) -> None:
    """Check that there are the raw files which the competition begins with.

    Raises:
        TaskError: One is missing.
    """
    for path in files.files:
        unpacked = stem_of(path) if path.lower().endswith(ARCHIVES) else path
        if "*" in path or path.endswith("/"):
            found = bool(raw.names(path))
        else:
            found = raw.has(path) or raw.has(unpacked) or bool(raw.names(f"{unpacked}/"))
        if not found:
            raise raw.missing(path)


def _preparing(name: str) -> Callable[[Raw, Output], None]:
    try:
        module: Any = import_module(f"{kaggle_modules.__name__}.{name}")
    except ModuleNotFoundError as error:
        raise TaskError(f"module: there is no {name!r} among Proctor's Kaggle modules") from error
    prepare_it: Callable[[Raw, Output], None] = module.prepare
    return prepare_it
