"""``job_output``: what a command in the background has written."""

from typing import Annotated, Literal

from pydantic import Field

from proctor.sandbox_backends.base import Sandbox
from proctor.server.tools.outputs import job_as_text


async def job_output(
    sandbox: Sandbox,
    job: Annotated[int, Field(ge=1, description="The job's number")],
    stream: Annotated[Literal["stdout", "stderr"], Field(description="Which output")] = "stdout",
    offset: Annotated[
        int | None,
        Field(ge=0, description="Show what follows this byte; by default, the last of it"),
    ] = None,
    wait: Annotated[
        float, Field(ge=0, le=45, description="Seconds to wait for the job's end first")
    ] = 0,
) -> str:
    """Show how it stands with a job, and what it has written.

    Pages through long output: pass the offset that the answer names to see what comes next.
    """
    state, output = await sandbox.job_output(job, stream=stream, offset=offset, wait_s=wait)
    end = output.offset + len(output.data)
    text = output.data.decode("utf-8", "replace")
    return (
        f"{job_as_text(state)}\n{stream}, bytes {output.offset} to {end} of {output.total}"
        f"{'' if end >= output.total else f'; offset {end} shows what follows'}:\n{text}"
    )
