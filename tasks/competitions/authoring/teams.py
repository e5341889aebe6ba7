"""The leaderboard of somebody's own competition: baselines that are really run, or scores given."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from pandas.api.types import is_numeric_dtype

from proctor.evaluator.competitions import measure
from proctor.evaluator.metrics import METRICS
from proctor.schemas.errors import TaskError
from proctor.tasks.competitions.definition import Definition, competition_of
from proctor.tasks.competitions.leaderboards import Entry
from proctor.tasks.competitions.offline.baselines import handed_in, teams_of
from proctor.tasks.competitions.offline.teams import SEED, Team
from proctor.tasks.competitions.prepared import ANSWERS, PRIVATE, PUBLIC

MOST_ROWS = 10_000
"""Of the training rows: what a team fits, so that the slowest of them takes minutes, not days."""

FEW_ROWS = 2000
"""Of training rows: so few are fitted six times as fast by one thread as by several that wait."""
THREADS: Any = import_module("threadpoolctl")
"""It has no types of its own."""

Told = Callable[[int, int, str], None]
"""Called with the teams done, their number, and the one that is next."""


class Ran(NamedTuple):
    """What came of the teams."""

    entries: list[Entry]
    odd: list[str]
    """What their competition's author should know."""


def baselines(definition: Definition, root: Path, told: Told) -> Ran:
    """Let every team fit, and hand in if it can.

    Args:
        definition: The competition.
        root: Where its files lie.
        told: What hears of the progress.

    Raises:
        TaskError: None can.
    """
    train, test = _tables(root)
    odd: list[str] = []
    if len(train) > MOST_ROWS:
        odd += [f"the baselines were fitted on {MOST_ROWS} of the {len(train)} training rows"]
        train = train.sample(n=MOST_ROWS, random_state=SEED).sort_index()
    teams = list(teams_of(definition, train))
    found: list[Entry] = []
    failed: list[str] = []
    threads = 1 if len(train) <= FEW_ROWS else None
    with warnings.catch_warnings(), THREADS.threadpool_limits(threads):
        warnings.simplefilter("ignore")  # models that did not converge are teams, too
        for done, team in enumerate(teams):
            told(done, len(teams), team.name)
            try:
                found.append(_entry(definition, team, train, test, root))
            except (ValueError, IndexError, MemoryError) as error:  # as with too few rows for it
                failed.append(f"{team.name}: {error}")
    told(len(teams), len(teams), "")
    if not found:
        raise TaskError(f"no baseline could be scored: {failed[0]}; give scores with --leaderboard")
    if failed:
        odd += [f"{len(failed)} of {len(teams)} baselines are left out; {failed[0]}"]
    return Ran(found, odd)


def _tables(root: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Training and test rows, each column of the same kind in both."""
    paths = [root / PUBLIC / f"{part}.csv" for part in ("train", "test")]
    train, test = (pd.read_csv(path) for path in paths)
    text = [
        each
        for each in test.columns
        if not (is_numeric_dtype(train[each]) and is_numeric_dtype(test[each]))
    ]
    train, test = (pd.read_csv(path, dtype=dict.fromkeys(text, "str")) for path in paths)
    return train, test


def _entry(
    definition: Definition, team: Team, train: pd.DataFrame, test: pd.DataFrame, root: Path
) -> Entry:
    file = definition.file
    submission = handed_in(team, definition, train, test)
    if METRICS[file.metric.name].reads == "grades":
        submission = submission.round()
    path = root / "submission.csv"
    submission.to_csv(path, index=False)
    competition = competition_of(file, (0.0,))  # no medal is asked for
    measured = measure(competition, path, root / PRIVATE / ANSWERS)
    if measured.score is None:
        raise ValueError(measured.reason)
    return Entry(measured.score, team.name)


def told_of_leaderboard(entries: Sequence[Entry]) -> Iterator[str]:
    """What is odd about a leaderboard."""
    if len(entries) == 1:
        yield "the leaderboard has one row: medals mean nothing, one score wins or loses them all"
    elif len({each.score for each in entries}) == 1:
        yield "all scores of the leaderboard are equal: medals mean nothing"
