"""``unchanged``: files of the workspace that must be as they were."""

import hashlib
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from anyio.to_thread import run_sync
from pydantic import Field

from proctor.evaluator.work import Work
from proctor.sandbox_backends.archive import links, regular_files
from proctor.schemas.base import Value
from proctor.schemas.errors import TaskError
from proctor.schemas.grade import Score
from proctor.schemas.task import FileTree, Task

SHOWN = 5
CHUNK = 1 << 20
LINK = "a symbolic link"


class Options(Value):
    """Which files."""

    paths: tuple[str, ...] = Field(min_length=1)
    """Globs over whole paths: ``data/*`` matches everything below ``data/``."""
    may_add: bool = True
    """Whether new files may match, too."""


def check(task: Task, options: Options) -> None:
    """Check that every glob matches a file of the workspace.

    Raises:
        TaskError: One does not.
    """
    for glob in options.paths:
        if not any(fnmatchcase(path, glob) for path in task.workspace):
            raise TaskError(f"no file of the workspace matches {glob!r}")


async def measure(work: Work, options: Options) -> Score:
    """Full credit if nothing that matters was changed, removed or, where it counts, added."""
    found = await run_sync(_digests, work.snapshot, options.paths)
    changes = list(_changes(work.task.workspace, found, options))
    if not changes:
        return Score(state="scored", credit=1.0, evidence=f"{len(found)} files are as they were")
    more = f" and {len(changes) - SHOWN} more" if len(changes) > SHOWN else ""
    return Score(state="scored", evidence="; ".join(changes[:SHOWN]) + more)


def _changes(before: FileTree, found: dict[str, str], options: Options) -> Iterator[str]:
    watched = {path for path in before if _matches(path, options.paths)}
    for path in sorted(watched):
        if path not in found:
            yield f"{path} was removed"
        elif found[path] != hashlib.sha256(before[path]).hexdigest():
            yield f"{path} was changed"
    if not options.may_add:
        for path in sorted(found.keys() - watched):
            yield f"{path} was added"


def _digests(snapshot: Path, globs: tuple[str, ...]) -> dict[str, str]:
    """The SHA-256 of every file of a snapshot that matches; the last of a name counts.

    A symbolic link is no file, whatever it leads to.
    """
    digests: dict[str, str] = {}
    with snapshot.open("rb") as stream:
        for path, _, content in regular_files(stream):
            if _matches(path, globs):
                seal = hashlib.sha256()
                while chunk := content.read(CHUNK):
                    seal.update(chunk)
                digests[path] = seal.hexdigest()
    with snapshot.open("rb") as stream:
        digests.update({path: LINK for path in links(stream) if _matches(path, globs)})
    return digests


def _matches(path: str, globs: tuple[str, ...]) -> bool:
    return any(fnmatchcase(path, glob) for glob in globs)
