"""``run_python``: a script of the workspace, in the sandbox's interpreter."""

import math
from pathlib import PurePosixPath
from typing import Annotated

from pydantic import Field

from proctor.sandbox_backends.base import Sandbox
from proctor.server.tools.outputs import as_text
from proctor.server.tools.paths import in_workspace


async def run_python(
    sandbox: Sandbox,
    script_path: Annotated[str, Field(description="A Python script in the workspace")],
    timeout: Annotated[
        float | None,
        Field(gt=0, le=86_400, description="Kill it after so many seconds; by default, never"),
    ] = None,
    args: Annotated[
        list[str] | None, Field(description="What the script finds in sys.argv[1:]")
    ] = None,
    *,
    background: Annotated[bool, Field(description="Start it as a job, and do not wait")] = False,
) -> str:
    """Run a Python script of the workspace; shows stdout, stderr and the return code.

    It starts in the workspace's top directory, unless the task says otherwise. numpy, pandas,
    scipy and scikit-learn are installed. If it runs long (over 50 s as a rule) it goes on as a
    job, which job_output shows and job_stop ends. Jobs run until you submit.
    """
    workdir = sandbox.info.workdir
    script = str(PurePosixPath(workdir, in_workspace(script_path, workdir)))
    cwd = str(PurePosixPath(script).parent) if sandbox.info.script_cwd == "script" else workdir
    result = await sandbox.exec(
        [sandbox.info.python, script, *(args or ())],
        timeout_s=timeout or math.inf,
        cwd=cwd,
        foreground_s=0 if background else sandbox.info.foreground_s,
        preloaded=True,
    )
    return as_text(result, "Script", timeout, sandbox.info)
