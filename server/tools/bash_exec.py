"""``bash_exec``: a shell command."""

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
    timeout: Annotated[float, Field(gt=0, le=600, description="Seconds")] = 60,
    cwd: Annotated[
        str | None, Field(description="Where to run it; the workspace by default")
    ] = None,
) -> str:
    """Run a bash command; shows stdout, stderr and the return code. There is no network.

    What it leaves in the background goes on running until you submit.
    """
    workdir = sandbox.info.workdir
    place = str(PurePosixPath(workdir, in_workspace(cwd, workdir))) if cwd else workdir
    result = await sandbox.exec([*SHELL, command], timeout_s=timeout, cwd=place)
    return as_text(result, "Command", timeout)
