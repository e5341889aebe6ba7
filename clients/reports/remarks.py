"""What a report says beside its tables: definitions, and what no mean contains."""

from collections.abc import Iterable, Sequence

from proctor.clients.reports.found import Found
from proctor.clients.reports.groups import Group, Settings, labels_of
from proctor.clients.reports.rows import Row
from proctor.clients.reports.statistics import CONFIDENCE, RESAMPLES, SEED
from proctor.clients.reports.tables import number

NAMED = 5
"""How many sessions of a kind are named one by one."""
LONGEST = 200
"""Characters shown of an error."""
WHAT_SCORES_ARE = (
    "A session counts as its share of the graded points. Means are of task means; SEM and interval "
    f"are over tasks, by task over its epochs. Interval: {CONFIDENCE:.0%}, percentile bootstrap of "
    f"{RESAMPLES:,} resamples, seed {SEED}."
)


def remarks_on(rows: Sequence[Row], groups: Sequence[Group], settings: Settings) -> Iterable[str]:
    """What the columns mean, and what the means leave out."""
    yield (
        f"pass@k, pass^k: of k sessions on a task, one, or every one, scores at least "
        f"{settings.pass_at:g}. An invalid hand-in is an attempt that failed, an ungraded one is "
        "none. 'of n': only so many tasks were attempted that often."
    )
    yield (
        "Tokens, cost and time: totals of all sessions. '≥': those of some sessions are unknown. "
        "A judge's are not among them."
    )
    scored = [row for row in rows if row.outcome == "scored"]
    partly = [row for row in scored if row.criteria_ungraded]
    if partly:
        left = sum(row.criteria_ungraded for row in partly)
        yield f"Ungraded criteria: {left} in {len(partly)} scored sessions; no part of a score."
    if without := sum(row.criteria_invalid for row in scored):
        yield f"Invalid criteria in scored sessions: {without}; no credit, within the score."
    yield from of_invalid(groups)
    yield from _of_ungraded(rows)


def of_invalid(groups: Sequence[Group]) -> Iterable[str]:
    """What stands beside the means, for each agent and model."""
    labels = labels_of(groups)
    whole = [group for group in groups if group.by == "model" and group.invalid]
    for group in whole:
        yield (
            f"Invalid hand-ins: {group.invalid} of {labels[group.who]}, beside the mean; with a "
            f"score of 0 they would make it {number(group.mean_with_invalid_as_0)}."
        )


def _of_ungraded(rows: Sequence[Row]) -> Iterable[str]:
    ungraded = [row for row in rows if row.outcome == "ungraded"]
    for row in ungraded[:NAMED]:
        reason = row.error or ("nothing was graded" if row.criteria else "no grade")
        cut = reason if len(reason) <= LONGEST else f"{reason[:LONGEST]}…"
        yield f"Ungraded: {row.task}, epoch {row.epoch}, {row.model or row.agent}: {cut}"
    if len(ungraded) > NAMED:
        yield f"Ungraded: and {len(ungraded) - NAMED} more; --sessions lists all."


def left_out(found: Found) -> Iterable[str]:
    """What was found and not counted."""
    if found.unfinished:
        named = ", ".join(map(str, found.unfinished[:NAMED]))
        more = f" and {len(found.unfinished) - NAMED} more" * (len(found.unfinished) > NAMED)
        yield f"Not counted, without a result (at work, or broken off): {named}{more}"
    if found.repeated:
        yield f"Not counted, copies of sessions that are: {len(found.repeated)}"
