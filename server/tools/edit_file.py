"""``edit_file``: replace one passage of a file."""

import io
from typing import Annotated

from pydantic import Field

from proctor.sandbox_backends.base import Sandbox
from proctor.server.tools.paths import in_workspace

MAX_BYTES = 10 << 20


async def edit_file(
    sandbox: Sandbox,
    path: Annotated[str, Field(description="A path in the workspace")],
    old: Annotated[str, Field(min_length=1, description="The passage to replace, exactly")],
    new: Annotated[str, Field(description="What to put in its place")],
) -> str:
    """Replace a passage of a file. It must occur exactly once: include enough around it."""
    relative = in_workspace(path, sandbox.info.workdir)
    data = await sandbox.fetch(relative, max_bytes=MAX_BYTES)
    before, after = old.encode(), new.encode()
    count = data.count(before)
    if not count:
        raise ValueError(f"the passage does not occur in {path}; copy it exactly, spaces included")
    if count != 1:
        raise ValueError(f"the passage occurs {count} times in {path}; it must occur exactly once")
    await sandbox.write(relative, io.BytesIO(data.replace(before, after)))
    line = data[: data.index(before)].count(b"\n") + 1
    return f"Replaced the passage in line {line} of {path}"
