"""Every session as a row, without statistics."""

from math import isfinite

from proctor.clients.reports.found import Found
from proctor.clients.reports.groups import Amount
from proctor.clients.reports.remarks import left_out
from proctor.clients.reports.rows import Row
from proctor.clients.reports.tables import UNKNOWN, Document, Kind, Record, Shown, flat, number


def sessions_of(found: Found) -> Document:
    """Every session, graded or not."""
    columns: dict[str, Kind] = {
        "agent": "text", "model": "text", "task": "text", "kind": "text", "category": "text",
        "epoch": "integer", "outcome": "text", "score": "number", "points_graded": "number",
        "criteria": "integer", "criteria_ungraded": "integer", "criteria_invalid": "integer",
        "prompt_tokens": "integer", "reply_tokens": "integer", "cost_usd": "number",
        "duration_s": "number", "error": "text", "task_digest": "text", "session_id": "text",
        "medal": "text", "raw_score": "number", "rank": "integer", "percentile": "number",
        "compat": "text",
    }  # fmt: skip
    shown = Shown(
        "sessions",
        ("agent", "model", "task", "epoch", "outcome", "score", "tokens", "cost, USD", "time"),
        tuple(_session_cells(row) for row in found.rows),
        names=3,
    )
    records = flat([_record(row) for row in found.rows], columns)
    return Document((shown,), tuple(left_out(found)), columns, records)


def _record(row: Row) -> Record:
    earned = row.earned
    if earned is None:
        return vars(row)
    score = earned.score if earned.score is not None and isfinite(earned.score) else None
    placed = {"rank": earned.rank, "percentile": earned.percentile, "compat": earned.compat}
    return {**vars(row), "raw_score": score, **placed}


def _session_cells(row: Row) -> tuple[str, ...]:
    used = row.model is not None
    tokens = Amount(row.tokens, int(used and row.tokens is None))
    cost = Amount(row.cost_usd, int(used and row.cost_usd is None))
    return (
        row.agent, row.model or UNKNOWN, row.task, str(row.epoch), row.outcome, number(row.score),
        tokens.told(",.0f"), cost.told(",.4f"), f"{row.duration_s:,.0f} s",
    )  # fmt: skip
