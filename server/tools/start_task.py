"""``start_task``: the beginning of a session."""

from typing import Annotated

from pydantic import Field

from proctor.server.seat import Seat
from proctor.server.tools.texts import briefing


async def start_task(
    seat: Seat,
    task_id: Annotated[str, Field(description="An id from list_tasks")],
) -> str:
    """Start a task: opens a fresh workspace and shows the instructions. The clock starts."""
    return await briefing(await seat.start(task_id))
