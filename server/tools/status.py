"""``status``: the task, and what is left of its budget."""

from proctor.server.seat import Seat
from proctor.server.tools.texts import briefing, ending


async def status(seat: Seat) -> str:
    """Show the task's instructions, and the time and tool calls that are left. Costs nothing.

    Also shows how earlier tasks of this client ended.
    """
    session = seat.session
    is_open = session.state == "open"
    now = await briefing(session) if is_open else ending(session)
    before = [f"Earlier, {s.task.id}: {ending(s)}" for s in seat.earlier]
    return "\n\n".join([now, *before])
