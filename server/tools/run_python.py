"""``run_python``: a script of the workspace, in the sandbox's interpreter."""

from pathlib import PurePosixPath
from typing import Annotated

from pydantic import Field

from proctor.sandbox_backends.base import Sandbox
from proctor.server.tools.outputs import as_text
from proctor.server.tools.paths import in_workspace


async def run_python(
    sandbox: Sandbox,
    script_path: Annotated[str, Field(description="A Python script in the workspace")],
    timeout: Annotated[float, Field(gt=0, le=600, description="Seconds")] = 60,
) -> str:
    """Run a Python script of the workspace; shows stdout, stderr and the return code.

    It starts in the workspace's top directory, unless the task says otherwise. numpy, pandas,
    scipy and scikit-learn are installed; there is no network.
    """
    workdir = sandbox.info.workdir
    script = str(PurePosixPath(workdir, in_workspace(script_path, workdir)))
    cwd = str(PurePosixPath(script).parent) if sandbox.info.script_cwd == "script" else workdir
    result = await sandbox.exec([sandbox.info.python, script], timeout_s=timeout, cwd=cwd)
    return as_text(result, "Script", timeout)
