"""``bash_exec``: a shell command."""

import math
from pathlib import PurePosixPath
from typing import Annotated

from pydantic import Field

from proctor.sandbox_backends.base import Sandbox
from proctor.server.tools.outputs import as_text
from proctor.server.tools.paths import in_workspace

SHELL = ("/bin/sh", "-c", 'exec "$(command -v bash || echo sh)" -c "$0"')
"""Bash where there is one; the command is the last argument, so no quoting is involved."""


async def bash_exec(
    sandbox: Sandbox,
    command: Annotated[str, Field(description="A bash command line")],
    timeout: Annotated[
        float | None,
        Field(gt=0, le=86_400, description="Kill it after so many seconds; by default, never"),
    ] = None,
    cwd: Annotated[
        str | None, Field(description="Where to run it; the workspace by default")
    ] = None,
    *,
    background: Annotated[bool, Field(description="Start it as a job, and do not wait")] = False,
) -> str:
    """Run a bash command; shows stdout, stderr and the return code.

    If it runs long (over 50 s as a rule) it goes on as a job, which job_output shows and job_stop
    ends. Jobs, and what commands leave in the background, run until you submit.
    """
    workdir = sandbox.info.workdir
    place = str(PurePosixPath(workdir, in_workspace(cwd, workdir))) if cwd else workdir
    result = await sandbox.exec(
        [*SHELL, command],
        timeout_s=timeout or math.inf,
        cwd=place,
        foreground_s=0 if background else sandbox.info.foreground_s,
    )
    return as_text(result, "Command", timeout, sandbox.info)
