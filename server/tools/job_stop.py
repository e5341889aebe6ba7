"""``job_stop``: end a command in the background."""

from typing import Annotated

from pydantic import Field

from proctor.sandbox_backends.base import Sandbox
from proctor.server.tools.outputs import job_as_text


async def job_stop(
    sandbox: Sandbox,
    job: Annotated[int, Field(ge=1, description="The job's number")],
) -> str:
    """Kill a job with all its processes. One that has ended is left as it is."""
    return job_as_text(await sandbox.job_stop(job))
