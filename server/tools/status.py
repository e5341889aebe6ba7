"""``status``: the task, and what is left of its budget."""

from proctor.server.seat import Seat
from proctor.server.tools.texts import briefing, ending


async def status(seat: Seat) -> str:
    """Show the task's instructions, and the time and tool calls that are left. Costs nothing."""
    session = seat.session
    if session.state == "open":
        return await briefing(session)
    return ending(session, seat.reveal)
