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
ANSWER_CHARACTERS = 24_000
REPORT_CHARACTERS = 24_000
FILE_CHARACTERS = 8_000
CHANGES_CHARACTERS = 32_000


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
        report = None if self.report is None else cut(self.report, REPORT_CHARACTERS, token)
        parts = {
            "THE ANSWER": cut(self.answer, ANSWER_CHARACTERS, token) or None,
            f"THE REPORT, {REPORT}": report,
            "WHAT WAS DONE TO THE FILES": "\n".join(self._files(token)) or None,
        }
        return "\n\n".join(_block(title, text, token) for title, text in parts.items())

    def _files(self, token: str) -> Iterator[str]:
        left = CHANGES_CHARACTERS
        for number, change in enumerate(self.changes.listed):
            if left <= 0:
                rest = len(self.changes.listed) - number + self.changes.uncounted
                yield _mark(token, f"{rest} more changed files are left out")
                return
            if change.remark:
                text = _mark(token, f"{visible(change.path)[:300]!r}: {change.remark}")
            else:
                text = cut(change.diff, min(FILE_CHARACTERS, left), token)
            left -= len(text)
            yield text
        if self.changes.uncounted:
            yield _mark(token, f"{self.changes.uncounted} more changed files are left out")


def cut(text: str, characters: int, token: str) -> str:
    """`text` made visible; of a long one its beginning and its end, saying what is between."""
    shown = visible(text).strip("\n")
    if len(shown) <= characters:
        return shown
    half = characters // 2
    left_out = _mark(token, f"{len(shown) - 2 * half} characters are left out here")
    return f"{shown[:half]}\n{left_out}\n{shown[-half:]}"


def _mark(token: str, remark: str) -> str:
    return f"[{token}: {remark}]"


def _block(title: str, text: str | None, token: str) -> str:
    if text is None:
        return f"{title}: there is none."
    return f"{title}:\n<<<{token} BEGIN>>>\n{text}\n<<<{token} END>>>"


def _decoded(data: bytes | None) -> str | None:
    return None if data is None else data.decode("utf-8", "backslashreplace")
