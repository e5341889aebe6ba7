"""``check_submission``: how the work stands, as far as the task lets it be told."""

from proctor.server.seat import Seat


async def check_submission(seat: Seat) -> str:
    """Check the workspace as it is now, without handing it in.

    Says whether files have the form that the instructions ask for (of a competition's submission:
    columns, ids and types) and, where the task allows it, more. Never judges values against the
    test's labels.
    """
    return await seat.sessions.check(seat.session)
