"""What was done to a workspace, as a bounded unified diff of its text files."""

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO

from proctor.evaluator.judge.visible import visible
from proctor.schemas.task import FileTree

DERIVED_DIRECTORIES = frozenset(
    {"__pycache__", ".git", ".ipynb_checkpoints", ".pytest_cache", ".mypy_cache", ".ruff_cache",
     ".venv", "venv", "node_modules"}
)  # fmt: skip
"""Compiled files elsewhere are named like any other: Python would import them before a source."""
MAX_FILE_BYTES = 128 << 10
"""Larger files are named with their size, and not shown."""
MAX_CHANGES = 200
"""How many changed files are looked into; the others are counted."""
MAX_DIFF_LINES = 1000
"""Longer texts are shown as what went and what came: difflib is quadratic in the worst case."""


@dataclass(frozen=True, order=True)
class Change:
    """One file that is not as it was."""

    rank: int
    """What is shown first: 0 for the task's own files, 1 for those removed, 2 for new ones."""
    path: str
    diff: str = ""
    remark: str = ""
    """Why there is no diff."""


@dataclass(frozen=True)
class Changes:
    """All that is not as it was."""

    listed: tuple[Change, ...]
    uncounted: int = 0
    """Changed files beyond those listed."""
    derived: int = 0
    """Files that tools leave, such as caches, which are not looked into."""


def changes(
    workspace: FileTree, handed_in: Iterable[tuple[str, int, IO[bytes]]], *, apart: str
) -> Changes:
    """Compare what was handed in with the task's workspace.

    Args:
        workspace: The files as the task gives them.
        handed_in: Path, size and content of each file; a content is read before the next is
            asked for.
        apart: A file that is shown elsewhere, and so left out.
    """
    found: list[Change] = []
    seen: set[str] = set()
    uncounted = derived = 0
    for path, size, content in handed_in:
        seen.add(path)
        original = workspace.get(path)
        if path == apart:
            continue
        if _is_derived(path):
            derived += 1
        elif original is None and len(found) >= MAX_CHANGES:
            uncounted += 1
        elif (change := _change(original, path, size, content)) is not None:
            found.append(change)
    gone = [p for p in workspace if p not in seen and not _is_derived(p) and p != apart]
    found += [Change(1, path, remark="removed") for path in gone]
    return Changes(tuple(sorted(found)), uncounted, derived)


def _is_derived(path: str) -> bool:
    return not DERIVED_DIRECTORIES.isdisjoint(PurePosixPath(path).parts)


def _change(original: bytes | None, path: str, size: int, content: IO[bytes]) -> Change | None:
    """What became of a file; None if nothing did."""
    small = size <= MAX_FILE_BYTES
    data = content.read() if small or (original is not None and len(original) == size) else None
    if data is not None and data == original:
        return None
    rank, what = (2, "new") if original is None else (0, "changed")
    if data is None or max(len(data), len(original or b"")) > MAX_FILE_BYTES:
        return Change(rank, path, remark=f"{what}, {size} bytes, too large to be shown")
    before, after = _text(original or b""), _text(data)
    if before is None or after is None:
        return Change(rank, path, remark=f"{what}, {size} bytes, not text")
    return Change(rank, path, diff="\n".join(_diff(path, before, after)))


def _text(data: bytes) -> str | None:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def _diff(path: str, before: str, after: str) -> Iterator[str]:
    """A unified diff; a coarse one, of the part that differs, where the texts are long."""
    old, new, path = _lines(before), _lines(after), _on_one_line(path)
    if max(len(old), len(new)) <= MAX_DIFF_LINES:
        yield from difflib.unified_diff(old, new, f"a/{path}", f"b/{path}", lineterm="")
        return
    start = _alike(old, new)
    end = min(_alike(old[::-1], new[::-1]), min(len(old), len(new)) - start)
    went, came = old[start : len(old) - end], new[start : len(new) - end]
    yield f"--- a/{path}"
    yield f"+++ b/{path}"
    yield f"@@ -{start + 1},{len(went)} +{start + 1},{len(came)} @@"
    yield from (f"-{line}" for line in went)
    yield from (f"+{line}" for line in came)


def _on_one_line(path: str) -> str:
    """A path that cannot pass for more of a diff than its name."""
    return visible(path).replace("\n", "<U+000A>").replace("\t", "<U+0009>")


def _lines(text: str) -> list[str]:
    """Lines by line feeds alone: whatever else could end one is shown escaped."""
    return text.removesuffix("\n").split("\n") if text else []


def _alike(first: list[str], second: list[str]) -> int:
    """How many lines both begin with."""
    pairs = enumerate(zip(first, second, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(first), len(second)))
