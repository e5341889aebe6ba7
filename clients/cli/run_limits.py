"""What a run and each of its sessions may use: options, and what they stand for."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from proctor.clients.cli.options import with_options

if TYPE_CHECKING:
    from proctor.clients.agents.budget import Budget
    from proctor.schemas.session import SessionRequest

PANEL = "Limits"
S_PER_HOUR = 3600.0


@dataclass(frozen=True)
class RunLimits:
    """What the command line says of limits."""

    session_time: Annotated[
        float | None,
        typer.Option(
            min=1.0,
            metavar="SECONDS",
            rich_help_panel=PANEL,
            help="Wall-clock time of each session, over the task's own.",
        ),
    ] = None
    session_tool_calls: Annotated[
        int | None,
        typer.Option(
            min=1, rich_help_panel=PANEL, help="Tool calls of each session, over the task's own."
        ),
    ] = None
    max_hours: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            rich_help_panel=PANEL,
            help="Hours of this process; then what is under way is handed in and graded.",
        ),
    ] = None
    max_run_usd: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            rich_help_panel=PANEL,
            help="Cap on what all sessions cost, what --resume goes on from included.",
        ),
    ] = None
    max_run_tokens: Annotated[
        int | None,
        typer.Option(min=1, rich_help_panel=PANEL, help="Cap on all sessions' tokens."),
    ] = None
    retries: Annotated[
        int,
        typer.Option(
            min=0,
            rich_help_panel=PANEL,
            help="How often a session is held again when the server, its sandbox or the model's "
            "provider failed.",
        ),
    ] = 1
    grading_seed: Annotated[
        int | None,
        typer.Option(
            min=0, max=(1 << 63) - 1, rich_help_panel=PANEL,
            help="Draw the graders' inputs from this, to repeat a run to the byte. Keep it from "
            "the agents.",
        ),
    ] = None  # fmt: skip

    def request(self, task_id: str, label: str, principal: str, *, grade: bool) -> "SessionRequest":
        """How a session is asked for."""
        from proctor.schemas.session import SessionRequest

        return SessionRequest(
            task_id=task_id,
            label=label,
            principal=principal,
            time_s=self.session_time,
            tool_calls=self.session_tool_calls,
            seed=self.grading_seed,
            grade=grade,
        )

    def budget(self) -> "Budget":
        """What all sessions together may use."""
        from proctor.clients.agents.budget import Budget

        return Budget("run", tokens=self.max_run_tokens, usd=self.max_run_usd)

    def ends_at(self, now: float) -> float:
        """When the run is to end, on the clock that says it is `now`."""
        return float("inf") if self.max_hours is None else now + self.max_hours * S_PER_HOUR


with_run_limits = with_options(RunLimits, "limits")
"""Give a command the options of `RunLimits`, gathered in its argument ``limits``."""
