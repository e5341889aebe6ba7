"""Paths as agents give them: relative to the workspace, or absolute below it."""

import os.path
from pathlib import PurePosixPath


def in_workspace(path: str, workdir: str) -> str:
    """`path`, relative to the workspace.

    Raises:
        PermissionError: It lies elsewhere.
    """
    absolute = PurePosixPath(os.path.normpath(PurePosixPath(workdir, path)))
    if "\0" in path or not absolute.is_relative_to(workdir):
        raise PermissionError(f"{path!r} is outside the workspace {workdir}")
    return str(absolute.relative_to(workdir))
