"""What preparing makes: tables and files for agents, answers for grading, in a new directory.

A file's number, times and place on the disk tell when it was written, and so, of raw files that
were written label by label, what is to be predicted. So agents are given copies, all of one time
and written in the order of their new names. Only a file that belongs to the training rows alone may
be a link to the raw one.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from types import MappingProxyType

import polars as pl

from proctor.evaluator.answers import gathered
from proctor.schemas.competition import Form
from proctor.schemas.errors import TaskError
from proctor.tasks.competitions.prepared import (
    ANSWERS,
    MANIFEST,
    PRIVATE,
    PUBLIC,
    REFERENCE,
    SAMPLE,
    seal_of,
    sha256_of,
)
from proctor.tasks.competitions.progress import UNWATCHED, Progress
from proctor.tasks.competitions.raw.cells import write_table
from proctor.tasks.competitions.raw.files import Raw
from proctor.tasks.competitions.raw.odd import Odd
from proctor.tasks.formats.reading import leads_out

ANYBODY_ENTERS, ANYBODY_READS, OWNER_ENTERS = 0o755, 0o644, 0o700
MOVERS = min(8, os.cpu_count() or 1)
"""Threads: what unpacks, and the system's calls, let others run meanwhile."""
WHEN = 946_684_800
"""The time of every file that is copied or unpacked: 2000-01-01, in seconds."""
AT_ONCE = 256
"""Files to a thread at a time."""
NOTHING: Mapping[str, str] = MappingProxyType({})


class Output:
    """A directory that is being filled."""

    def __init__(
        self, place: Path, form: Form, raw: Raw | None = None, progress: Progress = UNWATCHED
    ) -> None:
        """Begin with an empty directory.

        Args:
            place: The directory.
            form: What a submission looks like.
            raw: Where files that are moved come from.
            progress: What is told of each of them.
        """
        self.form = form
        self._odd = Odd() if raw is None else raw.odd
        self._place, self._raw, self._progress = place, raw, progress
        self._sample = SAMPLE
        self._written: dict[str, str] = {}
        self._folders = {PUBLIC, PRIVATE}
        for part in (PUBLIC, PRIVATE):
            (place / part).mkdir()

    def table(self, path: str, table: pl.DataFrame, rename: Mapping[str, str] = NOTHING) -> None:
        """Give agents a table, some of its columns under another name.

        Raises:
            TaskError: There is a file of that name, or its ending is no table's.
        """
        self._add_table(f"{PUBLIC}/{path}", table, rename)

    def write(self, path: str, data: bytes) -> None:
        """Give agents a file with these bytes.

        Raises:
            TaskError: There is one of that name.
        """
        self.add(f"{PUBLIC}/{path}", data)

    def file(self, raw: str, to: str, *, link: bool = False) -> int:
        """Give agents a raw file; returns its size in bytes.

        Args:
            raw: Its path.
            to: Where it comes to lie.
            link: Whether it may be a link: only if it tells nothing of the test's rows.

        Raises:
            TaskError: It is missing or damaged, there is one of that name, or no room for it.
        """
        raws = self._raws
        raws.check_room([raw], self._place)
        return self._move(raws, raw, to, link=link)

    @property
    def _raws(self) -> Raw:
        if self._raw is None:
            raise TypeError("there are no raw files to move")
        return self._raw

    def _move(self, raws: Raw, raw: str, to: str, *, link: bool) -> int:
        try:
            place = self._made_room(f"{PUBLIC}/{to}")
            size = raws.put(raw, place, link=link)
        except FileExistsError as error:
            raise TaskError(f"{raw}: there is a file {to} already; give it another name") from error
        if os.stat(place).st_nlink == 1:  # noqa: PTH116 - of millions of files
            os.chmod(place, ANYBODY_READS)  # noqa: PTH101
            os.utime(place, (WHEN, WHEN))
        self._progress.advance(1)
        return size

    def files(
        self, pairs: Iterable[tuple[str, str]], *, link: bool = False, empty: bool = True
    ) -> None:
        """Give agents raw files, several at a time; copies in the order of their new names.

        Args:
            pairs: Each one's path, and where it comes to lie.
            link: As of `file`.
            empty: Whether one may have no bytes.

        Raises:
            TaskError: As `file`.
        """
        raws = self._raws
        raws.open_archives()
        ordered = list(pairs) if link else sorted(pairs, key=lambda pair: pair[1])
        raws.check_room((raw for raw, _ in ordered), self._place)

        def move(some: Sequence[tuple[str, str]]) -> None:
            for raw, to in some:
                if not self._move(raws, raw, to, link=link) and not empty:
                    raise TaskError(f"{raw} is empty; download it again")

        with ThreadPoolExecutor(MOVERS) as movers:
            moves = [movers.submit(move, some) for some in _some(ordered, AT_ONCE)]
            try:
                for each in moves:
                    each.result()
            except BaseException:
                movers.shutdown(wait=False, cancel_futures=True)
                raise

    def sample(self, table: pl.DataFrame, file: str = SAMPLE) -> None:
        """Give agents the sample submission.

        Raises:
            TaskError: It lacks a column that a submission must have.
        """
        self._sample = file
        self._check_columns(table, (*self.form.ids, *self.form.targets), "the sample submission")
        self._add_table(f"{PUBLIC}/{file}", table)

    def answers(self, table: pl.DataFrame) -> None:
        """Keep the answers for grading, and what they would be as a submission.

        Raises:
            TaskError: They lack a column that the form names.
        """
        form = self.form
        self._check_columns(table, form.answer_columns, "the answers")
        self._add_table(f"{PRIVATE}/{ANSWERS}", table)
        if f"{PRIVATE}/{REFERENCE}" not in self._written:
            self.reference(as_submission(form, table))

    def reference(self, table: pl.DataFrame) -> None:
        """Keep the answers as a submission, where `answers` would not make that of them."""
        self._written.pop(f"{PRIVATE}/{REFERENCE}", None)
        (self._place / PRIVATE / REFERENCE).unlink(missing_ok=True)
        self._add_table(f"{PRIVATE}/{REFERENCE}", table)

    def add(self, path: str, data: bytes) -> None:
        """Write a file below ``public`` or ``private``.

        Raises:
            TaskError: There is one of that name.
        """
        place = Path(self._made_room(path))
        self._check_new(place, path)
        place.write_bytes(data)
        self._note(path)

    def finish(self) -> None:
        """Open everything to sandboxes' users, and seal it.

        Raises:
            TaskError: There are no answers, or no sample submission.
        """
        for path, what in (
            (f"{PRIVATE}/{ANSWERS}", "answers"),
            (f"{PUBLIC}/{self._sample}", "a sample submission"),
        ):
            if path not in self._written:
                raise TaskError(f"preparing it did not make {what}")
        for folder in sorted(self._folders):
            (self._place / folder).chmod(ANYBODY_ENTERS)
        (self._place / PRIVATE).chmod(OWNER_ENTERS)
        manifest = self._place / MANIFEST
        manifest.write_text(
            seal_of(self._place, self._sample, self._written, self._odd.files()).model_dump_json(
                indent=1
            ),
            "utf-8",
        )
        manifest.chmod(ANYBODY_READS)
        self._place.chmod(ANYBODY_ENTERS)

    def _add_table(
        self, path: str, table: pl.DataFrame, rename: Mapping[str, str] = NOTHING
    ) -> None:
        place = Path(self._made_room(path))
        self._check_new(place, path)
        write_table(table, place, rename)
        self._note(path)

    def _note(self, path: str) -> None:
        place = self._place / path
        place.chmod(ANYBODY_READS)
        self._written[path] = sha256_of(place)

    def _check_new(self, place: Path, path: str) -> None:
        if place.exists():
            name = path.partition("/")[2]
            raise TaskError(f"{name} would be made twice; give one of the two another name")

    def _check_columns(self, table: pl.DataFrame, wanted: tuple[str, ...], what: str) -> None:
        missing = [each for each in wanted if each not in table.columns]
        if missing:
            raise TaskError(f"{what} would have no column {missing[0]!r}")

    def _made_room(self, path: str) -> str:
        """Where a file is to lie, its folder made."""
        folder = path.rpartition("/")[0]
        if folder not in self._folders:
            if leads_out(path):
                raise TaskError(f"{path!r} leads out of its folder; the raw table is damaged")
            (self._place / folder).mkdir(parents=True, exist_ok=True)
            while folder not in self._folders:
                self._folders.add(folder)
                folder = folder.rpartition("/")[0]
        return os.path.join(self._place, path)  # noqa: PTH118 - of millions of files


def _some(pairs: Iterable[tuple[str, str]], count: int) -> Iterator[tuple[tuple[str, str], ...]]:
    waiting = iter(pairs)
    while some := tuple(islice(waiting, count)):
        yield some


def as_submission(form: Form, answers: pl.DataFrame) -> pl.DataFrame:
    """The answers as they would be handed in."""
    if form.gathered:
        return gathered(answers, form)
    if not form.one_hot:
        columns = zip(form.targets, form.true_columns, strict=True)
        return answers.select(*form.ids, *(pl.col(said).alias(asked) for asked, said in columns))
    (truth,) = form.truth
    return answers.select(
        *form.ids, *((pl.col(truth) == each).cast(pl.Float64).alias(each) for each in form.targets)
    )
