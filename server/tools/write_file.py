"""``write_file``: a file whole, parent directories included."""

import io
from typing import Annotated

from pydantic import Field

from proctor.sandbox_backends.base import Sandbox
from proctor.server.tools.paths import in_workspace


async def write_file(
    sandbox: Sandbox,
    path: Annotated[str, Field(description="A path in the workspace")],
    content: Annotated[str, Field(description="The whole content of the file")],
) -> str:
    """Write a file of the workspace, replacing it if it exists. Makes missing directories."""
    relative = in_workspace(path, sandbox.info.workdir)
    data = content.encode("utf-8", "surrogatepass")
    await sandbox.write(relative, io.BytesIO(data))
    return f"Successfully wrote to {path} ({len(data)} bytes)"
