"""``trajectory.json``: what a session's model was told, said and did, in ATIF."""

from proctor.clients.agents.atif import as_atif
from proctor.clients.runs.directory import TRAJECTORY, RunDirectory
from proctor.schemas.result import AgentReport
from proctor.schemas.run import Attempt


async def keep_trajectory(
    directory: RunDirectory,
    attempt: Attempt,
    agent: str,
    report: AgentReport,
    session_id: str | None,
) -> None:
    """Write it beside a session's result, where a model took part."""
    if trajectory := as_atif(report, agent, session_id):
        await directory.save(f"{attempt.label}/{TRAJECTORY}", trajectory)
