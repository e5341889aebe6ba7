"""What a task shows that it should not: answers in the prompt, the workspace or their margins."""

import gzip
import io
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import PurePosixPath

from proctor.evaluator.graders import options_of
from proctor.evaluator.graders.report_field import Options as ReportField
from proctor.schemas.report import ErrorCode
from proctor.schemas.task import Task

SHINGLE = 8
"""So many words in a row do not stand in two texts by chance."""
LINE = 24
"""A shorter line says too little to be found again by design."""
LEFTOVERS = re.compile(
    r"(^|/)(\.git|\.svn|\.hg|\.ipynb_checkpoints|__pycache__|\.pytest_cache|\.idea|\.vscode)(/|$)"
    r"|\.(pyc|orig|rej|bak|swp)$|~$|(^|/)\.DS_Store$"
)
DATA = (".csv", ".tsv", ".json", ".jsonl", ".txt")
UNPACKED_BYTES = 64 << 20
WORDS = re.compile(r"[a-z0-9_]+")
COMMENT = re.compile(r"\s*(?:#|//|--|;)+\s?(.*)")


def leaks(task: Task) -> Iterator[str]:
    """Say what an agent could find of the answer without solving the task."""
    shown = dict(_shown(task))
    for path in task.workspace:
        if LEFTOVERS.search(path):
            yield f"{path}: a leftover that may tell how the task was made; remove it"
    yield from _codes(task, shown)
    yield from _rubric(task, shown)
    yield from _labels(task)
    yield from _fixes(task, shown)


def _shown(task: Task) -> Iterator[tuple[str, str]]:
    """Every text that an agent sees, by where it sees it; archives with what is in them."""
    yield "the id", task.id
    yield "the title", task.title
    yield "the description", task.description
    yield "the instructions", task.instructions
    for path, data in task.workspace.items():
        yield f"the name of {path}", path
        yield path, data.decode("utf-8", "replace")
        for name, inner in _unpacked(path, data):
            yield f"{path}: {name}", inner.decode("utf-8", "replace")


def _unpacked(path: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    """What an archive holds, as far as it can be read."""
    try:
        if zipfile.is_zipfile(io.BytesIO(data)):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                for info in archive.infolist():
                    if info.file_size <= UNPACKED_BYTES:
                        yield info.filename, archive.read(info)
        elif path.endswith((".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")):
            with tarfile.open(fileobj=io.BytesIO(data)) as archive:
                for member in archive:
                    content = archive.extractfile(member) if member.isreg() else None
                    if content:
                        yield member.name, content.read(UNPACKED_BYTES)
        elif path.endswith(".gz"):
            with gzip.open(io.BytesIO(data)) as file:
                yield "unpacked", file.read(UNPACKED_BYTES)
    except (OSError, EOFError, ValueError, RuntimeError, zlib.error, tarfile.TarError,
            zipfile.BadZipFile):  # fmt: skip
        return


def _codes(task: Task, shown: dict[str, str]) -> Iterator[str]:
    """The planted error's code, unless it stands among the others."""
    for code in _planted(task):
        others = [other for other in ErrorCode if other is not code]
        written = re.compile(_pattern(code))
        for place, text in shown.items():
            found = written.search(text)
            if found and not all(re.search(_pattern(other), text) for other in others):
                yield f"{place}: names the planted error: {found.group()!r}"


def _planted(task: Task) -> Iterator[ErrorCode]:
    for criterion in task.rubric.criteria:
        if criterion.grader == "report_field":
            options = options_of(criterion)
            stated = options.equals if isinstance(options, ReportField) else None
            yield from (code for code in ErrorCode if code.value == stated and stated != "NONE")


def _pattern(code: ErrorCode) -> str:
    """The code as it is, or its words joined in any of the usual ways where it has several."""
    parts = code.value.split("_")
    if len(parts) == 1:
        return rf"\b{code.value}\b"
    return rf"(?i:\b{'[ _-]?'.join(parts)}\b)"


def _rubric(task: Task, shown: dict[str, str]) -> Iterator[str]:
    """Sentences of the rubric."""
    shingles = {place: _shingles(text) for place, text in shown.items()}
    for criterion in task.rubric.criteria:
        for text in (criterion.text, criterion.justification):
            wanted = _shingles(text)
            for place, found in shingles.items():
                if common := wanted & found:
                    words = " ".join(min(common))
                    yield f"{place}: quotes the criterion {criterion.id}: '{words}'"


def _shingles(text: str) -> set[tuple[str, ...]]:
    words = WORDS.findall(text.lower())
    return {tuple(words[i : i + SHINGLE]) for i in range(len(words) - SHINGLE + 1)}


def _labels(task: Task) -> Iterator[str]:
    """Hidden data."""
    lines = {
        line: path
        for path, data in task.grading.items()
        if PurePosixPath(path).suffix in DATA
        for line in _lines(data)
    }
    for path, data in task.workspace.items():
        if data and data in task.grading.values():
            yield f"{path}: is a copy of a file in grading/"
            continue
        common = sorted(_lines(data) & lines.keys())
        if common:
            yield f"{path}: has {len(common)} lines of grading/{lines[common[0]]}"


def _fixes(task: Task, shown: dict[str, str]) -> Iterator[str]:
    """Lines of the reference solution, commented out."""
    if task.solution is None:
        return
    added = {
        line
        for path, data in task.solution.files.items()
        if path in task.workspace
        for line in _lines(data) - _lines(task.workspace[path])
    }
    for place, text in shown.items():
        for line in text.splitlines():
            comment = COMMENT.fullmatch(line)
            if comment and comment.group(1).strip() in added:
                yield f"{place}: has a line of the solution as a comment: {line.strip()[:80]!r}"


def _lines(data: bytes) -> set[str]:
    lines = map(str.strip, data.decode("utf-8", "replace").splitlines())
    return {line for line in lines if len(line) >= LINE}
