"""``submit``: the end of a session."""

from typing import Annotated

from pydantic import Field

from proctor.server.seat import Seat
from proctor.server.tools.texts import ending


async def submit(
    seat: Seat,
    answer: Annotated[str, Field(description="Your final answer")] = "",
) -> str:
    """Hand in the workspace as it is now, with your final answer. This is final.

    Whatever you left running is stopped. Calling it again shows the same receipt.
    """
    session = await seat.submit(answer)
    return ending(session)
