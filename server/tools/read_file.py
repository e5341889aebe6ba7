"""``read_file``: text as text, an image as an image."""

from pathlib import PurePosixPath
from typing import Annotated

from mcp.server.mcpserver import Image
from pydantic import Field

from proctor.sandbox_backends.base import Sandbox
from proctor.server.tools.paths import in_workspace

MAX_TEXT_BYTES = 200_000
MAX_IMAGE_BYTES = 5 << 20
IMAGES = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".gif": "gif", ".webp": "webp"}


async def read_file(
    sandbox: Sandbox,
    path: Annotated[str, Field(description="A path in the workspace")],
    offset: Annotated[int, Field(ge=1, description="The first line to read, counted from 1")] = 1,
    limit: Annotated[int | None, Field(ge=1, description="How many lines to read")] = None,
) -> str | Image:
    """Read a file of the workspace: its text, or the picture if it is an image.

    Long files come in parts; a note at the end says where to go on.
    """
    relative = in_workspace(path, sandbox.info.workdir)
    if format_ := IMAGES.get(PurePosixPath(relative).suffix.lower()):
        data = await sandbox.fetch(relative, max_bytes=MAX_IMAGE_BYTES)
        return Image(data=data, format=format_)
    part = await sandbox.read(relative, offset=offset, limit=limit, max_bytes=MAX_TEXT_BYTES)
    if not part.data and offset > 1:
        raise ValueError(f"{path} has only {part.last_line} lines")
    text = part.data.decode("utf-8", "replace")
    if part.whole or (limit is not None and len(part.data) < MAX_TEXT_BYTES):
        return text
    return (
        f"{text}\n[... {path} goes on: {part.size} bytes in all; this ends in line "
        f"{part.last_line}. Read on with offset={part.last_line}, or use bash_exec ...]"
    )
