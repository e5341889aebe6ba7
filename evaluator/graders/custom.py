"""``path.py:function``: a task's own grader, below its ``grading/``.

It runs as verdict code, in a sandbox that never saw agent code, on the files of the hand-in that
the criterion names: JSON, CSV, arrays without pickle, and text, the agent's source code included.
It returns ``(credit, evidence)``; `proctor.evaluator.custom_kit` says what it is given.
"""

import ast
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from pydantic import Field, TypeAdapter, field_validator

from proctor.evaluator.probes import Verdict
from proctor.evaluator.verdicts import verdict_on
from proctor.evaluator.work import MISSING, Work
from proctor.schemas.base import Value
from proctor.schemas.errors import SubmissionError, TaskError
from proctor.schemas.grade import Score
from proctor.schemas.task import FileTree, Task

NAME = re.compile(r"(?P<path>[\w./-]+\.py):(?P<function>[A-Za-z_]\w*)")
BINARY = (".npy", ".npz")
"""Everything else is text, in UTF-8."""
MAX_FILE_BYTES = 16 << 20
MAX_TOTAL_BYTES = 64 << 20


class Options(Value):
    """What the function is given."""

    files: tuple[str, ...] = Field(default=(), max_length=100)
    """Paths of the workspace; what is missing or too large makes the hand-in invalid."""
    optional: tuple[str, ...] = Field(default=(), max_length=100)
    """Paths that may be missing."""
    max_bytes: int = Field(default=MAX_FILE_BYTES, gt=0, le=MAX_FILE_BYTES)
    """For each file."""
    arguments: Mapping[str, Any] = Field(default_factory=dict[str, Any])
    """Passed to the function by name."""

    @field_validator("files", "optional")
    @classmethod
    def _stay_in_the_workspace(cls, paths: tuple[str, ...]) -> tuple[str, ...]:
        for path in paths:
            if path.startswith("/") or ".." in path.split("/"):
                raise ValueError(f"{path!r} is not relative to the workspace")
        return paths


class Invalid(Value):
    """Why the hand-in cannot be graded."""

    invalid: str


RESULT = TypeAdapter[Verdict | Invalid](Verdict | Invalid)


def functions(name: str) -> tuple[Callable[..., Awaitable[Score]], Callable[..., None]] | None:
    """How to measure with the grader of that name, and to check it; None where it is no such."""
    found = NAME.fullmatch(name)
    if found is None:
        return None
    path, function = found["path"], found["function"]
    return (
        partial(measure, path=path, function=function),
        partial(check, path=path, function=function),
    )


def check(task: Task, options: Options, *, path: str, function: str) -> None:
    """Check that the function is there.

    Raises:
        TaskError: It is not, or the file is no Python.
    """
    del options
    if path not in task.grading:
        raise TaskError(f"there is no grading/{path}")
    try:
        tree = ast.parse(task.grading[path])
    except (SyntaxError, ValueError) as error:
        raise TaskError(f"grading/{path}: not Python: {error}") from error
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    if function not in defined:
        raise TaskError(f"grading/{path} defines no function {function!r}")


async def measure(work: Work, options: Options, *, path: str, function: str) -> Score:
    """What the function makes of the files."""
    found = await verdict_on(
        await _files(work, options), {}, lambda given: _judge(work, options, given, path, function)
    )
    if isinstance(found, Invalid):
        raise SubmissionError(found.invalid)
    return Score(state="scored", credit=found.credit, evidence=found.evidence)


async def _judge(
    work: Work, options: Options, given: FileTree, path: str, function: str
) -> Verdict | Invalid:
    async with work.verdict_sandbox() as sandbox:
        place = sandbox.place()
        files, arguments, result = (
            f"{place}/{each}" for each in ("files", "given.json", "result.json")
        )
        said = {"answer": work.answer, "arguments": dict(options.arguments)}
        tree = {arguments: json.dumps(said).encode(), f"{files}/.keep": b""}
        await sandbox.put(tree | {f"{files}/{name}": data for name, data in given.items()})
        about = f"grading/{path}:{function} failed"
        await sandbox.run_kit("custom_kit.py", about, path, function, files, arguments, result)
        return await sandbox.fetch_as(RESULT, result)


async def _files(work: Work, options: Options) -> FileTree:
    """The files that the function is given.

    Raises:
        SubmissionError: One is missing, too large, or neither text nor an array.
    """
    given: dict[str, bytes] = {}
    for path in (*options.files, *options.optional):
        data = await work.read(path, max_bytes=options.max_bytes)
        if data is not None:
            given[path] = data
        elif path in options.files:
            raise SubmissionError(f"{path}: {MISSING}")
        if sum(map(len, given.values())) > MAX_TOTAL_BYTES:
            raise SubmissionError(f"the files hold more than {MAX_TOTAL_BYTES >> 20} MiB in all")
    for path, data in given.items():
        if not path.endswith(BINARY):
            _check_text(path, data)
    return given


def _check_text(path: str, data: bytes) -> None:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SubmissionError(f"{path} is not text in UTF-8: {error}") from error
