"""The live table of a run: what is at work, and how far the whole of it has come."""

import time
from dataclasses import dataclass

from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from proctor.clients.reports.tables import visible
from proctor.clients.runs.engine import Stage
from proctor.schemas.result import AgentReport, RunResult
from proctor.schemas.run import Attempt, Lock

ROWS = 30
"""Of attempts: more than this do not fit a terminal, so that only those at work are shown."""


@dataclass
class _Row:
    stage: Stage | None = None
    since: float = 0.0
    told: AgentReport | None = None
    result: RunResult | None = None

    @property
    def state(self) -> str:
        if self.stage is not None:
            return self.stage
        return f"done {earned(self.result)}" if self.result else "waiting"


class LiveView:
    """A table that is drawn anew at each refresh."""

    def __init__(self, lock: Lock) -> None:
        self._candidates = {
            each.name: Text(visible(each.model or each.agent)) for each in lock.candidates
        }
        self._rows = {attempt: _Row() for attempt in lock.attempts()}
        self._done_here = 0
        self._began = time.monotonic()
        self._spinner = Spinner("dots")

    def update(
        self, attempt: Attempt, stage: Stage | None, told: AgentReport | RunResult | None
    ) -> None:
        """Take in what happened."""
        row = self._rows[attempt]
        if isinstance(told, RunResult):
            self._done_here += row.stage is not None
            report = {**told.metadata, "model": told.model}
            row.result, row.told = told, AgentReport.model_validate(report)
        elif told is not None:
            row.told = told
        if row.stage is None:
            row.since = time.monotonic()
        row.stage = stage

    def __rich__(self) -> Table:
        columns = ("", "task", "agent", "state", "turns", "tokens", "cost", "time")
        table = Table(*columns, box=None, pad_edge=False, caption_justify="left")
        table.caption = self._totals()
        few = len(self._rows) <= ROWS
        for attempt, row in self._rows.items():
            if few or row.stage is not None:
                busy = row.stage is not None
                table.add_row(
                    self._spinner if busy else "",
                    f"{attempt.task_id} #{attempt.epoch}",
                    self._candidates[attempt.candidate],
                    row.state,
                    str(row.told.turns) if row.told else "",
                    _tokens(row.told),
                    _cost(row.told),
                    f"{time.monotonic() - row.since:.0f} s" if busy else "",
                )
        return table

    def _totals(self) -> str:
        told = [row.told for row in self._rows.values() if row.told]
        done = sum(row.result is not None and row.stage is None for row in self._rows.values())
        tokens = sum((t.prompt_tokens or 0) + (t.reply_tokens or 0) for t in told)
        costs = [t.cost_usd for t in told if t.model]
        parts = [f"{done} of {len(self._rows)} done"]
        if tokens:
            parts.append(f"{tokens:,} tokens")
        if costs:
            known = sum(cost for cost in costs if cost is not None)
            parts.append(f"{'at least ' if None in costs else ''}{known:.4f} USD")
        if self._done_here and done < len(self._rows):
            each_s = (time.monotonic() - self._began) / self._done_here
            parts.append(f"about {_duration(each_s * (len(self._rows) - done))} left")
        return ", ".join(parts)


def earned(result: RunResult) -> str:
    """A session's score."""
    grade = result.evaluation
    return f"{grade.score:g}/{grade.total_possible:g}" if grade else "no grade"


def _tokens(told: AgentReport | None) -> str:
    if told is None or told.prompt_tokens is None or told.reply_tokens is None:
        return ""
    return f"{told.prompt_tokens + told.reply_tokens:,}"


def _cost(told: AgentReport | None) -> str:
    return "" if told is None or told.cost_usd is None else f"{told.cost_usd:.4f}"


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min" if minutes else "a minute"
