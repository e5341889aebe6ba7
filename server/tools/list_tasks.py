"""``list_tasks``: what can be started."""

from proctor.server.seat import Seat


async def list_tasks(seat: Seat) -> str:
    """List the tasks that you can start, by id."""
    tasks = seat.tasks()
    lines = [f"{task.id}: {task.title}. {task.description}".rstrip() for task in tasks]
    return "\n".join(lines) or "There are no tasks."
