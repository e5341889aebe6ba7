"""What both formats share: bounded reading, and errors that name file, key and remedy."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from proctor.schemas.errors import TaskError
from proctor.schemas.task import FileTree

MAX_FILE_BYTES = 64 << 20
MAX_TREE_BYTES = 256 << 20
MAX_TREE_FILES = 10_000
NOT_READ = ("__pycache__", ".DS_Store")

Model = TypeVar("Model", bound=BaseModel)

REMEDIES = {
    "missing": "add it",
    "extra_forbidden": "remove it, or correct its spelling",
}


def read_text(path: Path) -> str:
    """A text file of a task.

    Raises:
        TaskError: It is missing, too large, or not UTF-8.
    """
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TaskError(
            f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8"
        ) from error


def read_bytes(path: Path) -> bytes:
    """A file of a task.

    Raises:
        TaskError: It is missing, no plain file, or too large.
    """
    try:
        if not os.path.lexists(path):
            raise TaskError(f"{path}: there is no such file")
        if path.is_symlink() or not path.is_file():
            raise TaskError(f"{path}: not a plain file; a task holds nothing else")
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise TaskError(
                f"{path}: {size >> 20} MiB, more than the {MAX_FILE_BYTES >> 20} MiB that a file "
                "of a task may hold; make the data smaller or have the task generate it"
            )
        return path.read_bytes()
    except OSError as error:
        raise TaskError(f"{path}: cannot be read: {error.strerror}") from error


def read_tree(root: Path) -> FileTree:
    """All files below `root`, by relative path; none where there is no such directory.

    Raises:
        TaskError: A file cannot be part of a task, or there is too much.
    """
    tree: dict[str, bytes] = {}
    total = 0
    for path in _walk(root):
        data = read_bytes(path)
        total += len(data)
        if total > MAX_TREE_BYTES or len(tree) >= MAX_TREE_FILES:
            raise TaskError(
                f"{root}: more than {MAX_TREE_BYTES >> 20} MiB or {MAX_TREE_FILES} files; "
                "leave out what the task does not need"
            )
        tree[path.relative_to(root).as_posix()] = data
    return tree


def digest_of_tree(root: Path) -> str:
    """The SHA-256 of the names and contents of all files below `root`, of any size.

    Every byte is read, in a few seconds per gigabyte.

    Raises:
        TaskError: Something in it is no plain file, or cannot be read.
    """
    seal = hashlib.sha256()
    try:
        for path in _walk(root):
            if path.is_symlink() or not path.is_file():
                raise TaskError(f"{path}: not a plain file; mounted data holds nothing else")
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").digest()
            seal.update(path.relative_to(root).as_posix().encode() + b"\0" + content)
    except OSError as error:
        raise TaskError(f"{root}: cannot be read: {error}") from error
    return seal.hexdigest()


def _walk(root: Path) -> Iterator[Path]:
    for directory, names, files in os.walk(root):
        names[:] = sorted(set(names) - set(NOT_READ))
        for name in sorted(set(files) - set(NOT_READ)):
            yield Path(directory, name)
        for name in names:
            if Path(directory, name).is_symlink():
                raise TaskError(f"{Path(directory, name)}: a symbolic link; put the files in place")


def leads_out(path: str) -> bool:
    """Whether a path names nothing below the folder that it is to be relative to."""
    pure = PurePosixPath(path)
    odd = pure.is_absolute() or ".." in pure.parts or "\\" in path or "\0" in path
    return odd or not pure.parts


def relative_path(path: str, source: Path, key: str) -> str:
    """`path`, made sure to stay below the workspace.

    Raises:
        TaskError: It is absolute, or leads out.
    """
    if leads_out(path):
        raise TaskError(
            f"{source}: {key}: the path {path!r} escapes the workspace; "
            "use a relative path without '..'"
        )
    return str(PurePosixPath(path))


def validated(model: type[Model], data: object, source: Path) -> Model:
    """`data` as a `model`.

    Raises:
        TaskError: It is not one; the message names the file, the key and what to do.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "the file"
        remedy = REMEDIES.get(first["type"])
        message = first["msg"].removeprefix("Value error, ")
        found = "" if remedy or not first["loc"] else f" (found {first['input']!r:.80})"
        raise TaskError(
            f"{source}: {key}: {message}{found}" + (f"; {remedy}" if remedy else "")
        ) from error
