"""A comparison as a document: what `proctor compare` shows."""

from collections.abc import Iterable

from proctor.clients.reports.compare import Comparison, Side
from proctor.clients.reports.remarks import NAMED
from proctor.clients.reports.statistics import CONFIDENCE, RESAMPLES, SEED
from proctor.clients.reports.tables import UNKNOWN, Document, Kind, Shown, flat, number

COLUMNS: dict[str, Kind] = {
    "scope": "text", "task": "text", "pairs": "integer", "mean_a": "number", "mean_b": "number",
    "difference": "number", "sem": "number", "low": "number", "high": "number", "p": "number",
    "tasks": "integer", "unpaired": "integer",
}  # fmt: skip


def document_of(found: Comparison) -> Document:
    """The whole comparison."""
    return Document(
        shown=(_whole(found), _by_task(found)),
        remarks=tuple(_remarks(found)),
        columns=COLUMNS,
        records=flat([_record(found), *_task_records(found)], COLUMNS),
        facts={
            "a": _named(found.a),
            "b": _named(found.b),
            "unpaired": [{"task": t, "epoch": e, "why": why} for (t, e), why in found.unpaired],
            "smallest_possible_p": found.least_p,
            "confidence": CONFIDENCE,
            "resamples": RESAMPLES,
            "seed": SEED,
        },
    )


def _named(side: Side) -> dict[str, str | None]:
    return {"agent": side.agent, "model": side.model}


def _whole(found: Comparison) -> Shown:
    score = found.difference
    interval = UNKNOWN
    if score.low is not None and score.high is not None:
        interval = f"{score.low:+.3f} to {score.high:+.3f}"
    a, b = found.means
    cells = (
        str(len(found.tasks)), str(found.pairs), number(a), number(b), signed(score.mean),
        number(score.sem), interval, _p(found.p),
    )  # fmt: skip
    headers = (
        "tasks", "pairs", "mean A", "mean B", "B - A", "SEM", f"{CONFIDENCE:.0%} interval", "p",
    )  # fmt: skip
    return Shown(f"A: {found.a.label}; B: {found.b.label}", headers, (cells,), names=0)


def _by_task(found: Comparison) -> Shown:
    rows = tuple(
        (task.task, str(task.pairs), number(task.a), number(task.b), signed(task.difference))
        for task in found.tasks
    )
    return Shown("by task", ("task", "pairs", "A", "B", "B - A"), rows)


def signed(value: float | None) -> str:
    """A difference for people."""
    return UNKNOWN if value is None else f"{value:+.3f}"


def _p(value: float | None) -> str:
    if value is None:
        return UNKNOWN
    return "< 0.001" if value < 0.001 else f"{value:.3f}"  # noqa: PLR2004 - as it is usually written


def _record(found: Comparison) -> dict[str, str | int | float | None]:
    a, b = found.means
    score = found.difference
    return {
        "scope": "all", "pairs": found.pairs, "mean_a": a, "mean_b": b, "difference": score.mean,
        "sem": score.sem, "low": score.low, "high": score.high, "p": found.p,
        "tasks": len(found.tasks), "unpaired": len(found.unpaired),
    }  # fmt: skip


def _task_records(found: Comparison) -> Iterable[dict[str, str | int | float | None]]:
    for task in found.tasks:
        yield {
            "scope": "task", "task": task.task, "pairs": task.pairs, "mean_a": task.a,
            "mean_b": task.b, "difference": task.difference, "tasks": 1,
            "unpaired": sum(place[0] == task.task for place, _ in found.unpaired),
        }  # fmt: skip


def _remarks(found: Comparison) -> Iterable[str]:
    yield (
        "Pairs are sessions of one task and epoch that have a score on both sides; means and "
        f"B - A are of task means. SEM and interval over tasks: {CONFIDENCE:.0%}, percentile "
        f"bootstrap of {RESAMPLES:,} resamples, seed {SEED}. p: two-sided "
        "sign-flip test of the tasks' mean differences."
    )
    if found.least_p is not None and found.least_p > 1 - CONFIDENCE:
        yield f"With {len(found.tasks)} tasks no p below {found.least_p:.3g} is possible."
    if len(found.tasks) < 2:  # noqa: PLR2004 - nothing varies
        yield "With fewer than two tasks there is no SEM, no interval and no test."
    yield from found.cautions
    if found.unpaired:
        yield f"Tasks and epochs that make no pair: {len(found.unpaired)}"
    for (task, epoch), why in found.unpaired[: 4 * NAMED]:
        yield f"No pair: {task}, epoch {epoch}: {why}"
    if len(found.unpaired) > 4 * NAMED:
        yield f"No pair: and {len(found.unpaired) - 4 * NAMED} more; --format json names all"
