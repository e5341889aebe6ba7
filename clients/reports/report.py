"""The report on runs: what `proctor report` shows, and a run at its end."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console

from proctor.clients.reports.competitions import document_of, of_rows, split_results
from proctor.clients.reports.found import Found
from proctor.clients.reports.groups import (
    Group,
    Passing,
    Settings,
    groups_of,
    labels_of,
)
from proctor.clients.reports.remarks import WHAT_SCORES_ARE, left_out, of_invalid, remarks_on
from proctor.clients.reports.rows import MEDALS, rows_of
from proctor.clients.reports.statistics import CONFIDENCE, RESAMPLES, SEED
from proctor.clients.reports.tables import (
    UNKNOWN,
    Document,
    Kind,
    Record,
    Shown,
    flat,
    number,
    print_document,
)
from proctor.schemas.result import RunResult


def report_of(
    found: Found, settings: Settings, splits: Mapping[str, Sequence[str]] | None = None
) -> Document:
    """The whole report on what was found.

    Args:
        found: The sessions.
        settings: What is to be told.
        splits: The competitions of each split, for those among them.
    """
    competitions = document_of(split_results(of_rows(found.rows), splits or {}), pad=False)
    groups = groups_of(found.rows, settings)
    columns = _columns(groups)
    return Document(
        shown=tuple(
            table for by in settings.by for table in _shown(by, [g for g in groups if g.by == by])
        )
        + competitions.shown,
        remarks=(
            WHAT_SCORES_ARE,
            *remarks_on(found.rows, groups, settings),
            *(competitions.remarks if competitions.records else ()),
            *left_out(found),
        ),
        columns=columns,
        records=flat([_record(group) for group in groups], columns),
        facts={
            "pass_at": settings.pass_at,
            "confidence": CONFIDENCE,
            "resamples": RESAMPLES,
            "seed": SEED,
            **({"competitions": competitions.records} if competitions.records else {}),
        },
    )


def print_short(results: Iterable[RunResult], console: Console) -> None:
    """Print what a run of several sessions came to, one line for each agent and model."""
    rows = rows_of(results)
    if len(rows) > 1:
        settings = Settings(by=("model",))
        groups = groups_of(rows, settings)
        remarks = (WHAT_SCORES_ARE, *of_invalid(groups))
        print_document(Document(tuple(_shown("model", groups)), remarks, {}, ()), console)


def _shown(by: str, groups: Sequence[Group]) -> Iterable[Shown]:
    """The tables of one way of grouping, with the columns that they need."""
    labels = labels_of(groups)
    with_model = by == "model" or len(labels) > 1
    names = [*(["model"] if with_model else []), *([] if by == "model" else [by])]
    title = f"by {by}" if with_model or not labels else f"by {by}: {next(iter(labels.values()))}"

    def table(title: str, headers: Sequence[str], cells: Callable[[Group], list[str]]) -> Shown:
        rows: list[tuple[str, ...]] = []
        for group in groups:
            name = [labels[group.who]] if with_model else []
            name += [] if by == "model" else [group.name or UNKNOWN]
            rows.append((*name, *cells(group)))
        return Shown(title, (*names, *headers), tuple(rows), len(names))

    more = bool(groups) and any(k > 1 for k in groups[0].passing)
    tasks = [] if by == "task" else ["tasks"]
    headers = ["scored", "ungraded", "invalid", "mean", "SEM", f"{CONFIDENCE:.0%} interval"]
    headers += [] if more else ["pass@1"]
    headers += ["medals"] if _any_medals(groups) else []
    headers += ["tokens", "cost, USD", "time"]
    yield table(
        title,
        [*tasks, *headers],
        lambda group: [str(group.tasks)][: len(tasks)] + _cells(group, headers),
    )
    if more:
        rates = [f"pass{sign}{k}" for k in groups[0].passing for sign in ("@" if k == 1 else "@^")]
        yield table(f"{title}, passing", rates, _rates)


def _any_medals(groups: Iterable[Group]) -> bool:
    return any(group.medals for group in groups)


def _cells(group: Group, headers: Sequence[str]) -> list[str]:
    score = group.score
    interval = UNKNOWN
    if score.low is not None and score.high is not None:
        interval = f"{score.low:.3f} to {score.high:.3f}"
    cells = [str(group.scored), str(group.ungraded), str(group.invalid)]
    cells += [number(score.mean), number(score.sem), interval]
    if "pass@1" in headers:
        cells += _rates(group)
    if "medals" in headers:
        won = group.medals or {}
        cells.append(", ".join(f"{n} {m}" for m, n in won.items() if n) or UNKNOWN)
    cells += [group.tokens.told(",.0f"), group.cost_usd.told(",.4f")]
    return [*cells, f"{group.time_s:,.0f} s"]


def _rates(group: Group) -> list[str]:
    cells: list[str] = []
    for k, passing in group.passing.items():
        cells.append(_rate(passing.at_least_one, passing, group))
        if k > 1:
            cells.append(_rate(passing.every_one, passing, group))
    return cells


def _rate(rate: float | None, passing: Passing, group: Group) -> str:
    """A rate, and of how many tasks, where it isn't of all."""
    if rate is None:
        return UNKNOWN
    return f"{rate:.3f}" + ("" if passing.tasks == group.tasks else f" of {passing.tasks}")


def _columns(groups: Sequence[Group]) -> dict[str, Kind]:
    columns: dict[str, Kind] = {
        "by": "text", "group": "text", "agent": "text", "model": "text", "sessions": "integer",
        "tasks": "integer", "scored": "integer", "ungraded": "integer", "invalid": "integer",
        "criteria": "integer", "criteria_ungraded": "integer", "criteria_invalid": "integer",
        "mean": "number", "sem": "number", "low": "number", "high": "number", "units": "integer",
        "mean_with_invalid_as_0": "number",
    }  # fmt: skip
    for k in groups[0].passing if groups else ():
        columns |= {f"pass@{k}": "number", f"pass^{k}": "number", f"pass_{k}_tasks": "integer"}
    for medal in MEDALS:
        columns[medal] = "integer"
    columns |= {"tokens_known": "integer", "tokens_unknown_sessions": "integer"}
    columns |= {"cost_usd_known": "number", "cost_unknown_sessions": "integer"}
    columns["time_s"] = "number"
    return columns


def _record(group: Group) -> Record:
    tokens = group.tokens.known
    record: dict[str, Any] = {
        "by": group.by,
        "group": group.name or None,
        "agent": group.who[0],
        "model": group.who[1] or None,
        "mean": group.score.mean,
        "sem": group.score.sem,
        "low": group.score.low,
        "high": group.score.high,
        "units": group.score.units,
        "tokens_known": None if tokens is None else int(tokens),
        "tokens_unknown_sessions": group.tokens.unknown,
        "cost_usd_known": group.cost_usd.known,
        "cost_unknown_sessions": group.cost_usd.unknown,
    }
    record |= {str(medal): won for medal, won in (group.medals or {}).items()}
    for k, passing in group.passing.items():
        record[f"pass@{k}"] = passing.at_least_one
        record[f"pass^{k}"] = passing.every_one
        record[f"pass_{k}_tasks"] = passing.tasks
    return {**vars(group), **record}
