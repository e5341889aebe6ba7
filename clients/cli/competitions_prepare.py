"""``proctor competitions prepare``: download competitions and make their files, some at once."""

import os
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from traceback import format_exception
from typing import TYPE_CHECKING, Annotated

import typer

from proctor.clients.cli.competitions_chosen import Choice, chosen_ids, with_choice
from proctor.clients.cli.options import (
    DataOption,
    TasksOption,
    competitions_in,
    complain,
    usage_error,
    with_options,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from proctor.clients.cli.competitions_bars import Bar
    from proctor.tasks.competitions.library import Competitions

PANEL = "Raw files, of Kaggle's competitions"
FAILED, STOPPED = 1, 130
LOOK_S = 0.2
"""How often the main thread runs: where another one gets the signal, Ctrl-C comes no sooner."""
STOP_WITHIN_S = 3.0
"""How long what is under way may take to end once it is told to. Then the process ends all the
same: whatever it was about to write does not count until it is renamed."""


@dataclass(frozen=True)
class RawOptions:
    """Where raw files come from."""

    raw: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            rich_help_panel=PANEL,
            help="Take them from here instead of downloading them: the folder of the one "
            "competition, or of folders named by id.",
        ),
    ] = None
    keep_raw: Annotated[
        bool,
        typer.Option(
            "--keep-raw",
            rich_help_panel=PANEL,
            help="Keep what was downloaded once the competition's files are made.",
        ),
    ] = False
    skip_rules_check: Annotated[
        bool,
        typer.Option(
            "--skip-rules-check",
            rich_help_panel=PANEL,
            help="Download without asking first whether you accepted the competition's rules.",
        ),
    ] = False
    no_checksums: Annotated[
        bool,
        typer.Option(
            "--no-checksums",
            rich_help_panel=PANEL,
            help="Take an archive from Kaggle that is not the one whose MD5 is known.",
        ),
    ] = False


with_raw = with_options(RawOptions, "how")


@with_choice
@with_raw
def prepare_competitions(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ID]...", help="Competitions; if nothing says which, what needs no download."
        ),
    ] = None,
    *,
    choice: Choice,
    how: RawOptions,
    jobs: Annotated[
        int, typer.Option(min=1, metavar="N", help="How many competitions at a time.")
    ] = 2,
    tasks: TasksOption = None,
    data: DataOption = None,
) -> None:
    """Make competitions' files, which for Kaggle's are downloaded before.

    Runs do so, too, when they first need them. Prints where they are; exit code 1 if one failed.
    What is not supported yet is left out of splits and lists, and fails where it is named.
    """
    library = competitions_in(data, tasks)
    ids = _supported(library, chosen_ids(library, names, choice), names or ())
    if how.raw is not None and not how.raw.is_dir():
        usage_error(f"--raw: there is no folder {how.raw}")
    code = _prepare_all(ids, partial(_prepare_one, data, tasks, how, alone=len(ids) == 1), jobs)
    if code == STOPPED:
        sys.stdout.flush()
        os._exit(code)  # threads that have not ended by now would be waited for
    raise typer.Exit(code)


def _supported(
    library: "Competitions", ids: "Sequence[str]", names: "Sequence[str]"
) -> "Sequence[str]":
    """The ids but for those that cannot be prepared and were not named; tells of each."""
    from proctor.schemas.errors import TaskError

    named = {each.removeprefix("competition/") for each in names}
    left: list[str] = []
    for each in ids:
        try:
            why = library.definition(each).file.unsupported
        except TaskError:  # which preparing it will tell
            why = ""
        if why and each not in named:
            complain(f"proctor: {each} is left out, as it is not supported yet: {why}")
        else:
            left.append(each)
    if not left:
        usage_error("no competition is left of what was asked for")
    return left


def _prepare_all(ids: "Sequence[str]", prepare: "Callable[[str, Bar], Path]", jobs: int) -> int:
    """Prepare some at once, in threads: they wait for network and disk; returns the exit code."""
    from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

    from proctor.clients.cli.competitions_bars import watching

    failed: list[str] = []
    told: set[str] = set()
    pool = ThreadPoolExecutor(jobs)
    with watching() as watched:
        futures = {pool.submit(watched.run, prepare, each): each for each in ids}
        try:
            pending = set(futures)
            while pending:
                done, pending = wait(pending, LOOK_S, FIRST_COMPLETED)
                for future in done:
                    failed += _failures(futures[future], future, told)
        except KeyboardInterrupt:
            watched.stop.set()
            complain("proctor: stopping; what has been downloaded is kept for the next time")
            pool.shutdown(wait=False, cancel_futures=True)
            wait(futures, STOP_WITHIN_S)
            return STOPPED
    pool.shutdown()
    if failed and len(ids) > 1:
        complain(f"proctor: {len(failed)} of {len(ids)} are not prepared: {', '.join(failed)}")
    return FAILED if failed else 0


def _prepare_one(
    data: Path | None,
    tasks: "Sequence[Path] | None",
    how: RawOptions,
    name: str,
    bar: "Bar",
    *,
    alone: bool,
) -> Path:
    """Prepare one competition.

    Raises:
        TaskError: It cannot be.
    """
    from proctor.tasks.competitions.download.fetch import fetch_raw

    download = partial(
        fetch_raw,
        progress=bar,
        check_rules=not how.skip_rules_check,
        check_sums=not how.no_checksums,
    )
    library = competitions_in(data, tasks, download=download, keep_raw=how.keep_raw)
    raw = None
    if how.raw is not None and (alone or library.definition(name).file.raw is not None):
        raw = how.raw / name if not alone or (how.raw / name).is_dir() else how.raw
    return library.prepare(name, raw, bar)


def _failures(name: str, future: "Future[Path]", told: set[str]) -> list[str]:
    """Tell what came of one, unless `told` has the same of another; its name, if it failed."""
    from proctor.schemas.errors import ProctorError

    error = future.exception()
    if error is None:
        print(future.result(), flush=True)
        _tell_odd(name, future.result())
        return []
    if isinstance(error, ProctorError):
        if str(error) not in told:  # credentials that are missing fail every one alike
            complain(f"proctor: {error}")
        told.add(str(error))
    else:  # our own mistake: the others go on nevertheless
        complain("".join(format_exception(error)))
    return [name]


def _tell_odd(name: str, place: Path) -> None:
    """Tell which raw files were taken although they are empty or cut short."""
    from proctor.tasks.competitions.prepared import manifest_of

    if (odd := manifest_of(place).odd).count:
        are = "raw file is" if odd.count == 1 else "raw files are"
        complain(
            f"proctor: {name}: {odd.count} {are} empty or cut short: {odd.said()}; agents get "
            f"them so. If Kaggle's are whole, remove {place} and prepare it from another copy"
        )
