"""What a judge is shown of a submission: the answer, the report, what was done to the files."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from proctor.evaluator.judge.changes import Changes, changes
from proctor.evaluator.judge.visible import visible
from proctor.sandbox_backends.archive import regular_files
from proctor.schemas.task import FileTree, Task

REPORT = "response/report.json"
MAX_READ_BYTES = 1 << 20
ANSWER_BYTES = 24_000
REPORT_BYTES = 24_000
FILE_BYTES = 8_000
CHANGES_BYTES = 32_000
"""Bytes, not characters: of a rare character each byte may be a token, and a prompt too long for
the model, or for the cap on tokens, would leave all prose ungraded."""


@dataclass(frozen=True)
class Material:
    """A submission, bounded but not yet fit to be shown."""

    answer: str
    report: str | None
    """None where there is none."""
    changes: Changes

    @classmethod
    def of_snapshot(cls, task: Task, answer: str, snapshot: Path) -> "Material":
        """What was handed in, with a compressed archive of the workspace. Blocks.

        Raises:
            OSError: The archive cannot be read.
        """
        with snapshot.open("rb") as stream:
            found = changes(task.workspace, regular_files(stream), apart=REPORT)
        with snapshot.open("rb") as stream:
            reports = (c.read(MAX_READ_BYTES) for p, _, c in regular_files(stream) if p == REPORT)
            report = next(reports, None)
        return cls(answer, _decoded(report), found)

    @classmethod
    def of_files(cls, task: Task, answer: str, files: FileTree) -> "Material":
        """What is in memory: an answer, and files that are laid over the workspace."""
        tree = {**task.workspace, **files}
        streams = ((path, len(data), io.BytesIO(data)) for path, data in tree.items())
        return cls(
            answer, _decoded(files.get(REPORT)), changes(task.workspace, streams, apart=REPORT)
        )

    def shown(self, token: str) -> str:
        """The three parts, each between delimiters that hold `token`, cut to their budgets.

        Whatever the submission holds stays between them as long as nobody can guess the token.
        """
        report = None if self.report is None else cut(self.report, REPORT_BYTES, token)
        parts = {
            "THE ANSWER": cut(self.answer, ANSWER_BYTES, token) or None,
            f"THE REPORT, {REPORT}": report,
            "WHAT WAS DONE TO THE FILES": "\n".join(self._files(token)) or None,
        }
        return "\n\n".join(_block(title, text, token) for title, text in parts.items())

    def _files(self, token: str) -> Iterator[str]:
        left = CHANGES_BYTES
        for number, change in enumerate(self.changes.listed):
            if left <= 0:
                rest = len(self.changes.listed) - number + self.changes.uncounted
                yield _mark(token, f"{rest} more changed files are left out")
                break
            if change.remark:
                text = _mark(token, f"{visible(change.path)[:300]!r}: {change.remark}")
            else:
                text = cut(change.diff, min(FILE_BYTES, left), token)
            left -= len(text.encode())
            yield text
        else:
            if self.changes.uncounted:
                yield _mark(token, f"{self.changes.uncounted} more changed files are left out")
        if self.changes.derived:
            where = "directories of tools, such as .git or venv"
            yield _mark(token, f"{self.changes.derived} files in {where} are not shown")


def cut(text: str, size: int, token: str) -> str:
    """`text` made visible; of a long one its beginning and its end, saying that there is more.

    Args:
        text: However long: only what may be shown is looked at.
        size: Bytes of UTF-8, but for the remark.
        token: What the remark holds.
    """
    text, half = text.strip("\n"), size // 2
    if len(text) <= size and len(whole := visible(text).encode()) <= size:
        return whole.decode()
    left_out = _mark(token, f"of {len(text)} characters, those in the middle are left out here")
    head, tail = visible(text[:half]).encode()[:half], visible(text[-half:]).encode()[-half:]
    return f"{head.decode('utf-8', 'ignore')}\n{left_out}\n{tail.decode('utf-8', 'ignore')}"


def _mark(token: str, remark: str) -> str:
    return f"[{token}: {remark}]"


def _block(title: str, text: str | None, token: str) -> str:
    if text is None:
        return f"{title}: there is none."
    return f"{title}:\n<<<{token} BEGIN>>>\n{text}\n<<<{token} END>>>"


def _decoded(data: bytes | None) -> str | None:
    return None if data is None else data.decode("utf-8", "backslashreplace")
