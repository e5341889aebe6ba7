"""``list_files``: the entries of one directory."""

from typing import Annotated

from pydantic import Field

from proctor.sandbox_backends.base import Sandbox
from proctor.server.tools.paths import in_workspace

MAX_ENTRIES = 2000


async def list_files(
    sandbox: Sandbox,
    path: Annotated[str, Field(description="A directory in the workspace")] = ".",
) -> str:
    """List the files and directories in a directory of the workspace; directories show [DIR]."""
    relative = in_workspace(path, sandbox.info.workdir)
    entries, total = await sandbox.list(relative, max_entries=MAX_ENTRIES)
    lines = [f"{'[DIR] ' if entry.kind == 'directory' else ''}{entry.name}" for entry in entries]
    if total > len(entries):
        lines.append(f"[... and {total - len(entries)} more ...]")
    return "\n".join(lines)
