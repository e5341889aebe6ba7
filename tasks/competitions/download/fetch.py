"""All files of a competition, or those that are needed, into a directory that appears whole."""

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path, PurePosixPath

from filelock import FileLock
from rich.filesize import decimal

from proctor.schemas.errors import TaskError
from proctor.tasks.competitions.definition import Definition
from proctor.tasks.competitions.download.kaggle import (
    Kaggle,
    Listed,
    Listing,
    connected,
    listing,
    rules_of,
)
from proctor.tasks.competitions.download.patience import Patience
from proctor.tasks.competitions.download.transfer import held_bytes, transfer
from proctor.tasks.competitions.download.unpack import is_zip_of, place_in, unpack
from proctor.tasks.competitions.downloaded import lock_of, mark_of, partial_of
from proctor.tasks.competitions.progress import UNWATCHED, Progress
from proctor.tasks.competitions.raw.archives import ARCHIVES, CHUNK, Free, free_bytes

ONE_BY_ONE = 50
"""Files beyond which one request each is more than Kaggle likes, so that the archive is taken."""
EXTRACTED, SELECTED = "extracted", "selected"


@dataclass(frozen=True)
class _Fetching:
    """One download."""

    competition: str
    at: Path
    """Where what is on the way lies."""
    kaggle: Kaggle
    patience: Patience
    progress: Progress
    free: Free


def fetch(
    competition_id: str,
    into: Path,
    *,
    progress: Progress = UNWATCHED,
    check_rules: bool = True,
    md5: str | None = None,
    files: Sequence[str] = (),
    free: Free = free_bytes,
    first_wait_s: float = 1.0,
) -> Path:
    """Download a competition's files, unless they are there.

    Args:
        competition_id: As Kaggle calls it.
        into: The directory that appears, whole.
        progress: What is told how far it has come.
        check_rules: Whether to ask first if the user has accepted the rules.
        md5: Of the archive of all files; None where any will do.
        files: Those that are needed, as `RawFiles` has them; all if none. Others may come, too.
        free: How many bytes the disk of a directory has left.
        first_wait_s: How long to wait after a first failure.

    Returns:
        `into`.

    Raises:
        TaskError: They cannot be had; the message says what to do.
        OSError: They cannot be written.
    """
    into.parent.mkdir(parents=True, exist_ok=True)
    if into.is_dir():
        return into
    way = partial_of(into)
    with FileLock(lock_of(into)):
        if not into.is_dir():
            way.mkdir(exist_ok=True)
            progress.step("connect")
            patience = Patience(f"{competition_id} from Kaggle", progress, first_wait_s)
            with connected(patience) as kaggle:
                it = _Fetching(competition_id, way, kaggle, patience, progress, free)
                if check_rules:
                    _check_rules(it)
                _download(it, md5, files).rename(into)
            mark_of(into).touch()
        shutil.rmtree(way, ignore_errors=True)
    return into


def fetch_raw(
    definition: Definition,
    into: Path,
    *,
    progress: Progress = UNWATCHED,
    check_rules: bool = True,
    check_sums: bool = True,
) -> None:
    """Download what a competition's declaration asks for, as `fetch` does.

    Raises:
        TaskError: As `fetch`.
        OSError: As `fetch`.
    """
    raw = definition.file.raw
    if raw is None:
        raise TaskError(f"{definition.task_id} comes from no raw files")
    fetch(
        definition.file.id,
        into,
        progress=progress,
        check_rules=check_rules,
        md5=raw.zip_md5 if check_sums and raw.zip_md5 else None,
        files=raw.files,
    )


def chosen(files: Sequence[str], there: Listing) -> tuple[Listed, ...]:
    """Those of a competition's files to download one by one; none where the archive is better."""
    by_pattern = {each: _found(each, there) for each in files}
    found = tuple(dict.fromkeys(file for some in by_pattern.values() for file in some))
    fewer = sum(each.size_bytes for each in found) < there.size_bytes
    return found if all(by_pattern.values()) and fewer and len(found) <= ONE_BY_ONE else ()


def _found(pattern: str, there: Listing) -> list[Listed]:
    """What a pattern finds, or else the archives named like it, or like the folder it is in."""
    folder = PurePosixPath(pattern).parts[0]
    direct = f"{pattern}*" if pattern.endswith("/") else pattern
    packed = [f"{name}{ending}" for name in (pattern, folder) for ending in ARCHIVES]
    for some in ([direct], packed):
        found = [each for each in there.files if any(fnmatchcase(each.name, one) for one in some)]
        if found:
            return found
    return []


def _check_rules(it: _Fetching) -> None:
    if not it.patience(lambda: it.kaggle.has_entered(it.competition)):
        raise TaskError(
            f"{it.competition}: its rules are not accepted; open {rules_of(it.competition)}, "
            "accept them, and try again (--skip-rules-check tries without)"
        )


def _download(it: _Fetching, md5: str | None, files: Sequence[str]) -> Path:
    """What is needed, in a directory of its own beside what it was made from."""
    there = listing(it.kaggle, it.competition, it.patience)
    if needed := chosen(files, there):
        return _one_by_one(it, needed)
    archive = it.at / f"{it.competition}.zip"
    _whole_archive(it, archive, there)
    if md5 is not None:
        _check_md5(archive, md5, it.progress)
    extracted = it.at / EXTRACTED
    shutil.rmtree(extracted, ignore_errors=True)  # of a process that was killed
    unpack(archive, extracted, it.progress, partial(_check_space, it))
    return extracted


def _whole_archive(it: _Fetching, archive: Path, there: Listing) -> None:
    if not archive.exists():
        size = it.patience(lambda: it.kaggle.archive(it.competition)).size_bytes
        packed = there.size_bytes if size is None else size
        unpacked = there.size_bytes if there.is_whole else packed
        _check_space(it, packed + max(packed, unpacked) - held_bytes(archive))
    transfer(lambda: it.kaggle.archive(it.competition), archive, it.patience, it.progress)


def _one_by_one(it: _Fetching, needed: Sequence[Listed]) -> Path:
    selected = it.at / SELECTED
    selected.mkdir(exist_ok=True)
    places = {each: selected / place_in(each.name, it.competition) for each in needed}
    missing = {each: place for each, place in places.items() if not place.exists()}
    _check_space(it, 2 * sum(each.size_bytes for each in missing))
    for each, place in missing.items():
        _one(it, each.name, place)
    return selected


def _one(it: _Fetching, name: str, into: Path) -> None:
    """One file, which Kaggle may give zipped."""
    way = it.at / hashlib.sha256(name.encode()).hexdigest()[:16]
    transfer(lambda: it.kaggle.file(it.competition, name), way, it.patience, it.progress)
    into.parent.mkdir(parents=True, exist_ok=True)
    if not is_zip_of(way, into.name):
        way.rename(into)
        return
    opened = way.with_name(f"{way.name}.opened")
    shutil.rmtree(opened, ignore_errors=True)  # of a process that was killed
    unpack(way, opened, it.progress, partial(_check_space, it))
    (opened / into.name).rename(into)
    way.unlink()


def _check_space(it: _Fetching, needed: int) -> None:
    if (there := it.free(it.at)) < needed:
        raise TaskError(
            f"{it.competition}: {decimal(max(needed, 0))} are needed in {it.at}, and "
            f"{decimal(there)} are free; make room, or choose another place with --data"
        )


def _check_md5(archive: Path, expected: str, progress: Progress) -> None:
    digest = hashlib.md5(usedforsecurity=False)
    progress.step("check", archive.stat().st_size, "bytes")
    with archive.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            progress.advance(len(chunk))
    if digest.hexdigest() != expected:
        raise TaskError(
            f"{archive}: its MD5 is {digest.hexdigest()}, not {expected}: it is damaged, or Kaggle "
            "has other files by now; delete it to download it again, or take it with --no-checksums"
        )
