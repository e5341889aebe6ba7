"""Competitions as MLE-bench's leaderboard has them: shares of medals, over seeds.

The i-th report of each competition forms seed i. Of a seed, the share of its competitions in which
something was reached is a percentage; over seeds, it is a mean with its standard error (that
divides by n - 1; 0 for one seed) and an interval of 1.96 of those to either side. A seed counts if
it has a report for each competition of the split.

A session that nothing is known of, since the instrument failed, is no report; one whose submission
is missing or invalid is a report in which nothing was reached.

Source: MLE-bench's aggregation of grading reports, at its commit 783b15a.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from proctor.clients.reports.rows import Row
from proctor.clients.reports.statistics import DIGITS
from proctor.clients.reports.tables import UNKNOWN, Document, Kind, Record, Shown, flat
from proctor.schemas.competition import Compat, Earned
from proctor.schemas.names import bare

SPREAD = 1.96
THESE = "these"
"""The split of just those competitions of which there is any report."""
MEASURES = {
    "submission_exists": "submitted",
    "valid_submission": "valid",
    "above_median": "above median",
    "bronze_medal": "bronze",
    "silver_medal": "silver",
    "gold_medal": "gold",
    "any_medal": "any medal",
}
"""What is counted, by the field of a report, and how people are told it."""
Who = tuple[str, str, Compat]
"""Agent, model and rule: what is reported apart. Reports from files have neither of the first."""


class Reported(BaseModel):
    """What is read of one report, whoever wrote it; MLE-bench's own have no `compat`."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    competition_id: str
    submission_exists: bool
    valid_submission: bool
    above_median: bool
    bronze_medal: bool
    silver_medal: bool
    gold_medal: bool
    any_medal: bool
    compat: Compat = "upstream"


class _File(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    competition_reports: list[Reported]


@dataclass(frozen=True)
class Share:
    """A percentage over seeds."""

    mean: float
    sem: float

    @property
    def low(self) -> float:
        """The interval's lower bound."""
        return round(self.mean - SPREAD * self.sem, DIGITS)

    @property
    def high(self) -> float:
        """Its upper one."""
        return round(self.mean + SPREAD * self.sem, DIGITS)


@dataclass(frozen=True)
class SplitResult:
    """What one agent and model reached in one split."""

    who: Who
    split: str
    competitions: int
    seeds: int
    """Those that count."""
    incomplete: int
    """Seeds that lack a report; where they are padded, they count, too."""
    shares: Mapping[str, Share]
    """By field; empty where no seed counts."""


def read_reports(path: Path) -> list[Reported]:
    """The reports of a file that ``competitions grade``, or MLE-bench, has written.

    Raises:
        ValueError: It is none; the message names file and key.
    """
    try:
        document: Any = json.loads(path.read_bytes())
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    try:
        return _File.model_validate(document).competition_reports
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(map(str, first["loc"])) or "the file"
        raise ValueError(f"{path} is no grading report: {key}: {first['msg']}") from error


def of_files(reports: Iterable[Reported]) -> dict[Who, list[Reported]]:
    """Reports from files, in order, by the rule that they are by."""
    found: defaultdict[Who, list[Reported]] = defaultdict(list)
    for each in reports:
        found["", "", each.compat].append(each)
    return dict(found)


def of_rows(rows: Sequence[Row]) -> dict[Who, list[Reported]]:
    """The reports of sessions on competitions, by epoch."""
    found: defaultdict[Who, list[Reported]] = defaultdict(list)
    rules: dict[tuple[str, str], Compat] = {
        row.who: row.earned.compat for row in rows if row.earned
    }
    for row in sorted(rows, key=lambda row: (row.epoch, row.session_id or "")):
        if row.kind == "competition" and (row.earned or row.outcome == "invalid"):
            compat: Compat = row.earned.compat if row.earned else rules.get(row.who, "strict")
            found[*row.who, compat].append(_reported(row.task, row.earned, compat))
    return dict(found)


def split_results(
    reports: Mapping[Who, Sequence[Reported]],
    splits: Mapping[str, Sequence[str]],
    *,
    pad: bool = False,
    only: str | None = None,
) -> list[SplitResult]:
    """What was reached, for each who and split.

    Args:
        reports: In the order of seeds.
        splits: Each split's competitions; those of which nothing is reported are left out.
        pad: Whether a report that a seed lacks is taken for one in which nothing was reached.
        only: The one split that is wanted; all if None.
    """
    found: list[SplitResult] = []
    for who in sorted(reports):
        given: defaultdict[str, list[Reported]] = defaultdict(list)
        for each in reports[who]:
            given[bare(each.competition_id)].append(each)
        wanted = {THESE: tuple(given), **splits}
        for split, ids in wanted.items():
            if only in (None, split) and (only or {*ids} & {*given}):
                found.append(
                    _split_result(who, split, [given.get(each, []) for each in ids], pad=pad)
                )
    return found


def document_of(found: Sequence[SplitResult], *, pad: bool) -> Document:
    """The results, for people and for machines."""
    shown = [_shown(who, found) for who in dict.fromkeys(each.who for each in found)]
    columns: dict[str, Kind] = {
        "agent": "text", "model": "text", "compat": "text", "split": "text",
        "competitions": "integer", "seeds": "integer", "incomplete_seeds": "integer",
    }  # fmt: skip
    for name in MEASURES:
        columns |= {f"{name}_percentage{part}": "number" for part in ("", "_sem", "_low", "_high")}
    records = flat([_record(each) for each in found], columns)
    return Document(tuple(shown), tuple(_remarks(found, pad=pad)), columns, records)


def _reported(task: str, earned: Earned | None, compat: Compat) -> Reported:
    reached = {name: bool(earned and getattr(earned, name)) for name in MEASURES}
    return Reported.model_validate({"competition_id": task, "compat": compat, **reached})


def _split_result(
    who: Who, split: str, by_competition: Sequence[Sequence[Reported]], *, pad: bool
) -> SplitResult:
    most = max((len(each) for each in by_competition), default=0)
    seeds = [[each[n] for each in by_competition if n < len(each)] for n in range(most)]
    complete = [seed for seed in seeds if len(seed) == len(by_competition)]
    counted = seeds if pad else complete
    shares: dict[str, Share] = {}
    for name in MEASURES if counted else ():
        reached = [sum(getattr(each, name) for each in seed) for seed in counted]
        shares[name] = _share([100 * n / len(by_competition) for n in reached])
    return SplitResult(who, split, len(by_competition), len(counted), most - len(complete), shares)


def _share(percentages: Sequence[float]) -> Share:
    n = len(percentages)
    sem = float(np.std(percentages, ddof=1) / np.sqrt(n)) if n > 1 else 0.0
    return Share(round(float(np.mean(percentages)), DIGITS), round(sem, DIGITS))


def _shown(who: Who, found: Sequence[SplitResult]) -> Shown:
    agent, model, compat = who
    named = ": ".join(filter(None, ("competitions", model or agent)))
    rows: list[tuple[str, ...]] = []
    for each in found:
        if each.who == who:
            shares = [each.shares.get(name) for name in MEASURES]
            cells = [f"{s.mean:.1f} ± {s.sem:.1f}" if s else UNKNOWN for s in shares]
            rows.append((each.split, str(each.competitions), str(each.seeds), *cells))
    headers = ("split", "competitions", "seeds", *MEASURES.values())
    return Shown(f"{named}, % of competitions, {compat}", headers, tuple(rows))


def _record(each: SplitResult) -> Record:
    agent, model, compat = each.who
    record: dict[str, str | int | float | None] = {
        "agent": agent or None,
        "model": model or None,
        "compat": compat,
        "split": each.split,
        "competitions": each.competitions,
        "seeds": each.seeds,
        "incomplete_seeds": each.incomplete,
    }
    for name, share in each.shares.items():
        said = {"": share.mean, "_sem": share.sem, "_low": share.low, "_high": share.high}
        record |= {f"{name}_percentage{part}": value for part, value in said.items()}
    return record


def _remarks(found: Sequence[SplitResult], *, pad: bool) -> Iterable[str]:
    yield (
        "Competitions: shares of each seed's, mean ± SEM over seeds (0 of one). The i-th report of "
        "each competition forms seed i."
    )
    lacking = sum(each.incomplete for each in found)
    if lacking and pad:
        yield "Reports that a seed lacks are taken for failures."
    elif lacking:
        yield "Seeds that lack a competition's report are not counted; --pad-missing counts them."
