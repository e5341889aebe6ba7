"""``command``: the number that a command prints, or writes, is within bounds or as was claimed.

The command runs in a fresh sandbox on what was handed in, or on the task's own workspace as the
agent found it. What it prints is data, which agent code may have chosen: a number within bounds
shows that a report is true to the code, not that the code is right. A criterion of this kind should
require one that tests the code's behaviour. An exit code earns nothing.
"""

from functools import partial
from typing import Literal, Self

from jsonpointer import JsonPointerException, resolve_pointer
from pydantic import Field, model_validator

from proctor.evaluator.agent_side import Errand, Left, Places, run_errands
from proctor.evaluator.reading import Reading, as_number
from proctor.evaluator.work import Work
from proctor.evaluator.worker import in_worker
from proctor.schemas.base import Value
from proctor.schemas.errors import SubmissionError, TaskError
from proctor.schemas.grade import Score
from proctor.schemas.task import Task

MAX_COMMAND_CHARS = 2000
SEARCH_WITHIN_S = 10.0
PYTHONS = ("python", "python3")


class Pointer(Value):
    """A value in a JSON file of the hand-in."""

    path: str = "response/report.json"
    pointer: str = Field(pattern=r"^/.*$")
    """RFC 6901."""


class Run(Value):
    """One run of the command, and what its number must be: within bounds, as claimed, or both."""

    on: Literal["submission", "original"] = "submission"
    low: float | None = Field(default=None, allow_inf_nan=False)
    high: float | None = Field(default=None, allow_inf_nan=False)
    claims: Pointer | None = None
    """The number that the agent claims."""
    tolerance: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """How far the claim may be off."""
    relative_tolerance: float = Field(default=0.01, ge=0, le=1)
    """How far the claim may be off, as a share of what was measured; the larger one holds."""

    @model_validator(mode="after")
    def _demands_something(self) -> Self:
        if self.low is None and self.high is None and self.claims is None:
            raise ValueError("give low, high or claims: a command that ends well proves nothing")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"low is {self.low:g}, above high, {self.high:g}")
        return self


class Options(Value):
    """The command, the number, and the runs that must all be right."""

    command: tuple[str, ...] = ()
    """Program and arguments; ``python`` is the sandbox's own."""
    command_from: Pointer | None = None
    """Where the hand-in names the command, for a shell, instead."""
    number: Reading = Reading()
    runs: tuple[Run, ...] = Field(min_length=1)
    put_back: tuple[str, ...] = ()
    """Files of the task's workspace that are laid over the hand-in first: an evaluation script,
    say, that is to be run as it was."""
    timeout_s: float = Field(default=300.0, gt=0, le=3600)
    """For each run."""

    @model_validator(mode="after")
    def _has_one_command(self) -> Self:
        if bool(self.command) == (self.command_from is not None):
            raise ValueError("give either command or command_from")
        return self


def check(task: Task, options: Options) -> None:
    """Check that the files to put back are there.

    Raises:
        TaskError: One is not.
    """
    if missing := [path for path in options.put_back if path not in task.workspace]:
        raise TaskError(f"there is no {missing[0]} in the workspace")


async def validate(work: Work, options: Options) -> None:
    """Check that the hand-in names a command and claims numbers, where it is to.

    Raises:
        SubmissionError: It does not.
    """
    await _command_of(work, options)
    for run in options.runs:
        if run.claims is not None:
            await _claimed(work, run.claims)


async def measure(work: Work, options: Options) -> Score:
    """Full credit if every run gives the number that it must."""
    command = await _command_of(work, options)
    claims = [await _claimed(work, run.claims) if run.claims else None for run in options.runs]
    over = {path: work.task.workspace[path] for path in options.put_back}
    errands: dict[str, Errand] = {
        run.on: Errand(
            argv=partial(_argv, command),
            timeout_s=options.timeout_s,
            over=over,
            workspace=run.on,
            fetch=(options.number.path,) if options.number.path else (),
        )
        for run in options.runs
    }
    left = await run_errands(work, errands)
    found = {on: await _number(left[on], options.number) for on in left}
    told = [
        _judged(run, found[run.on], claimed)
        for run, claimed in zip(options.runs, claims, strict=True)
    ]
    evidence = "; ".join(f"{'ok' if ok else 'FAILED'}: {said}" for ok, said in told)
    return Score(state="scored", credit=float(all(ok for ok, _ in told)), evidence=evidence)


def _argv(command: tuple[str, ...] | str, places: Places) -> tuple[str, ...]:
    if isinstance(command, str):
        return ("/bin/sh", "-c", command)
    program = places.python if command[0] in PYTHONS else command[0]
    return (program, *command[1:])


async def _command_of(work: Work, options: Options) -> tuple[str, ...] | str:
    if options.command_from is None:
        return options.command
    where, command = await _pointed(work, options.command_from)
    if not isinstance(command, str) or not command.strip() or "\0" in command:
        raise SubmissionError(f"{where} is no command")
    if len(command) > MAX_COMMAND_CHARS:
        raise SubmissionError(f"{where} is longer than {MAX_COMMAND_CHARS} characters")
    return command


async def _claimed(work: Work, claims: Pointer) -> float:
    where, claimed = await _pointed(work, claims)
    number = as_number(claimed)
    if number is None:
        raise SubmissionError(f"{where} is no finite number")
    return number


async def _pointed(work: Work, pointer: Pointer) -> tuple[str, object]:
    where = f"{pointer.path}#{pointer.pointer}"
    document = await work.read_json(pointer.path)
    try:
        return where, resolve_pointer(document, pointer.pointer)
    except (JsonPointerException, TypeError) as error:
        raise SubmissionError(f"{where} does not exist") from error


async def _number(left: Left, reading: Reading) -> float | str:
    """The number that a run left, or why there is none.

    Raises:
        SubmissionError: It takes too long to find: a search can be made to.
    """
    if left.failure:
        return f"no number: {left.failure}"
    data = left.stdout if reading.path is None else left.outputs[reading.path]
    text = data.decode("utf-8", "replace")
    found = await in_worker(reading.number_in, text, within_s=SEARCH_WITHIN_S)
    return "no number where it should be" if found is None else found


def _judged(run: Run, found: float | str, claimed: float | None) -> tuple[bool, str]:
    """Whether a run's number is right, and what it was."""
    if isinstance(found, str):
        return False, f"on the {run.on}: {found}"
    low, high = run.low, run.high
    ok = (low is None or found >= low) and (high is None or found <= high)
    said = f"on the {run.on}: {found:g}"
    if low is not None or high is not None:
        said += f" (from {_or_any(low)} to {_or_any(high)})"
    if claimed is not None:
        allowed = max(run.tolerance, run.relative_tolerance * abs(found))
        ok = ok and abs(found - claimed) <= allowed
        said += f", {claimed:g} claimed (within {allowed:g})"
    return ok, said


def _or_any(bound: float | None) -> str:
    return "any" if bound is None else f"{bound:g}"
