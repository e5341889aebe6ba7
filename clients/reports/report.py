"""The report on runs: what `proctor report` shows, and a run at its end."""

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console

from proctor.clients.reports.found import Found
from proctor.clients.reports.groups import (
    MEDALS,
    Group,
    Passing,
    Settings,
    groups_of,
    labels_of,
)
from proctor.clients.reports.remarks import WHAT_SCORES_ARE, left_out, of_invalid, remarks_on
from proctor.clients.reports.rows import rows_of
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


def report_of(found: Found, settings: Settings) -> Document:
    """The whole report on what was found."""
    groups = groups_of(found.rows, settings)
    columns = _columns(groups)
    return Document(
        shown=tuple(_shown(by, [g for g in groups if g.by == by]) for by in settings.by),
        remarks=(
            WHAT_SCORES_ARE,
            *remarks_on(found.rows, groups, settings),
            *left_out(found),
        ),
        columns=columns,
        records=flat([_record(group) for group in groups], columns),
        facts={
            "pass_at": settings.pass_at,
            "confidence": CONFIDENCE,
            "resamples": RESAMPLES,
            "seed": SEED,
        },
    )


def print_short(results: Iterable[RunResult], console: Console) -> None:
    """Print what a run of several sessions came to, one line for each agent and model."""
    rows = rows_of(results)
    if len(rows) > 1:
        settings = Settings(by=("model",))
        groups = groups_of(rows, settings)
        remarks = (WHAT_SCORES_ARE, *of_invalid(groups))
        print_document(Document((_shown("model", groups),), remarks, {}, ()), console)


def _shown(by: str, groups: Sequence[Group]) -> Shown:
    """The table of one way of grouping, with the columns that it needs."""
    labels = labels_of(groups)
    several = by != "model" and len(labels) > 1
    ks = list(groups[0].passing) if groups else []
    medals = any(group.medals for group in groups)
    headers = [*(["model"] if several or by == "model" else []), *([] if by == "model" else [by])]
    names = len(headers)
    headers += [] if by == "task" else ["tasks"]
    headers += ["scored", "ungraded", "invalid", "mean", "SEM", f"{CONFIDENCE:.0%} interval"]
    for k in ks:
        headers += [f"pass@{k}"] if k == 1 else [f"pass@{k}", f"pass^{k}"]
    headers += [*(["medals"] if medals else []), "tokens", "cost, USD", "time"]
    rows = [
        (
            *([labels[group.who]] if several or by == "model" else []),
            *([] if by == "model" else [group.name or UNKNOWN]),
            *([] if by == "task" else [str(group.tasks)]),
            *_cells(group, medals=medals),
        )
        for group in groups
    ]
    alone = "" if several or by == "model" or not labels else f": {next(iter(labels.values()))}"
    return Shown(f"by {by}{alone}", tuple(headers), tuple(rows), names)


def _cells(group: Group, *, medals: bool) -> list[str]:
    score = group.score
    interval = UNKNOWN
    if score.low is not None and score.high is not None:
        interval = f"{score.low:.3f} to {score.high:.3f}"
    cells = [str(group.scored), str(group.ungraded), str(group.invalid)]
    cells += [number(score.mean), number(score.sem), interval]
    for k, passing in group.passing.items():
        cells.append(_rate(passing.at_least_one, passing, group))
        if k > 1:
            cells.append(_rate(passing.every_one, passing, group))
    if medals:
        won = group.medals or {}
        cells.append(", ".join(f"{n} {m}" for m, n in won.items() if n) or UNKNOWN)
    cells += [group.tokens.told(",.0f"), group.cost_usd.told(",.4f")]
    return [*cells, f"{group.time_s:,.0f} s"]


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
