"""``location``: how well the report's locations meet the lines that are really at fault.

Each fault is met in full by a claim that overlaps its lines, or that names its function and no
lines; half by a claim elsewhere in its function, or up to five lines beside it. Claims that cover
more than they need earn less: the credit is scaled by needed / claimed once they claim more lines
than the faults' functions have, and by allowed / claimed once they are in more functions than
whoever has found the faults would name.
"""

import ast
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any, TypeAlias, cast

from pydantic import Field, ValidationError

from proctor.evaluator.work import Work
from proctor.schemas.base import Value
from proctor.schemas.errors import SubmissionError, TaskError
from proctor.schemas.grade import Score
from proctor.schemas.report import Location
from proctor.schemas.task import FileTree, Task

NEAR_LINES = 5
NEAR_CREDIT = 0.5
FREE_LINES = 20
"""Claims up to this many lines in all are never too wide."""
FREE_PLACES = 4
"""Claims in up to this many functions for each fault are never too many: one line in each function
of a project would otherwise meet any fault there is."""
MAX_CLAIMS = 100


Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


class Place(Value):
    """Where a fault is."""

    file: str
    lines: tuple[int, int]
    function: str | None = None


class Fault(Place):
    """One fault, with the other places that are as right as the first."""

    also: tuple[Place, ...] = ()

    @property
    def places(self) -> tuple[Place, ...]:
        """All places that are right."""
        return (self, *self.also)


class Options(Value):
    """The faults; none means that the report must not claim any."""

    path: str = "response/report.json"
    locations: tuple[Fault, ...] = Field(default=())


def check(task: Task, options: Options) -> None:
    """Check the faults against the task's workspace.

    Raises:
        TaskError: A file, line or function does not exist.
    """
    for place in (place for fault in options.locations for place in fault.places):
        if place.file not in task.workspace:
            raise TaskError(f"there is no {place.file} in the workspace")
        count = len(task.workspace[place.file].splitlines())
        if not 1 <= place.lines[0] <= place.lines[1] <= count:
            raise TaskError(f"{place.file} has no lines {list(place.lines)}, only {count}")
        if place.function:
            span = _function_lines(task.workspace, place.file, place.function)
            if not set(_span(place.lines)) <= span:
                raise TaskError(
                    f"lines {list(place.lines)} of {place.file} "
                    f"are not in a function {place.function!r}"
                )


async def measure(work: Work, options: Options) -> Score:
    """Credit for the faults that are met, less for claiming too much."""
    report = await work.read_json(options.path)
    workdir = f"{work.task.sandbox.workdir}/"
    claims = [
        claim.model_copy(update={"file": str(PurePosixPath(claim.file.removeprefix(workdir)))})
        for claim in _claims(report, options.path)
    ]
    if not options.locations:
        none = not claims
        evidence = f"{len(claims)} locations are claimed; nothing is wrong anywhere"
        return Score(state="scored", credit=float(none), evidence=evidence)
    files = work.task.workspace
    met = [max(_credit(files, claims, p) for p in f.places) for f in options.locations]
    claimed = {line for claim in claims for line in _claimed_lines(files, claim)}
    needed = max(FREE_LINES, sum(_room(files, fault) for fault in options.locations))
    places = {_place_of(files, claim) for claim in claims}
    allowed = FREE_PLACES * len(options.locations)
    narrow = min(1.0, needed / max(1, len(claimed)), allowed / max(1, len(places)))
    credit = round(sum(met) / len(met) * narrow, 4)
    evidence = (
        f"{sum(met):g} of {len(met)} faults met by {len(claims)} locations of "
        f"{len(claimed)} lines in all (up to {needed} are not too wide) "
        f"in {len(places)} places (up to {allowed} are not too many)"
    )
    return Score(state="scored", credit=credit, evidence=evidence)


def _claims(report: Any, path: str) -> tuple[Location, ...]:  # noqa: ANN401 - JSON
    fields = cast("dict[str, Any]", report) if isinstance(report, dict) else {}
    listed = fields.get("locations")
    if not isinstance(listed, list):
        raise SubmissionError(f"{path} has no list of locations")
    claims: list[Any] = listed  # pyright: ignore[reportUnknownVariableType]  # elements of any kind
    if len(claims) > MAX_CLAIMS:
        raise SubmissionError(f"{path} claims {len(claims)} locations, more than {MAX_CLAIMS}")
    try:
        return tuple(Location.model_validate(claim) for claim in claims)
    except ValidationError as error:
        first = error.errors()[0]
        where = "/".join(map(str, first["loc"]))
        raise SubmissionError(
            f"{path}: a location cannot be read: {where}: {first['msg']}"
        ) from error


def _credit(files: FileTree, claims: Sequence[Location], place: Place) -> float:
    return max((_credit_of_one(files, claim, place) for claim in claims), default=0.0)


def _credit_of_one(files: FileTree, claim: Location, place: Place) -> float:
    if claim.file != place.file:
        return 0.0
    names_it = (
        bool(place.function)
        and claim.function is not None
        and _leaf(claim.function) == _leaf(place.function or "")
    )
    if claim.lines is None:
        return 1.0 if names_it else 0.0
    first, last = claim.lines
    if first <= place.lines[1] and last >= place.lines[0]:
        return 1.0
    near = first <= place.lines[1] + NEAR_LINES and last >= place.lines[0] - NEAR_LINES
    within = _function_lines(files, place.file, place.function) if place.function else set[int]()
    inside = any(first <= line <= last for line in within)
    return NEAR_CREDIT if near or names_it or inside else 0.0


def _claimed_lines(files: FileTree, claim: Location) -> Iterator[tuple[str, int]]:
    file = claim.file
    length = len(files.get(file, b"").splitlines())
    if claim.lines is not None:
        last = min(claim.lines[1], max(length, claim.lines[0]))
        lines = set(range(claim.lines[0], last + 1))
    else:
        lines = _function_lines(files, file, claim.function or "") or set(range(1, length + 1))
    yield from ((file, line) for line in lines)


def _place_of(files: FileTree, claim: Location) -> tuple[str, int]:
    """The function that a claim begins in, by its first line; the claim's own outside of any."""
    named = _function_lines(files, claim.file, claim.function or "")
    first = claim.lines[0] if claim.lines is not None else min(named, default=0)
    around = [
        min(span) for node in _functions(files, claim.file) if first in (span := _span_of(node))
    ]
    return claim.file, max(around, default=first)


def _room(files: FileTree, fault: Fault) -> int:
    """How many lines a claim of this fault may cover: its longest place, by function if named."""
    return max(
        len(_function_lines(files, p.file, p.function) if p.function else set(_span(p.lines)))
        for p in fault.places
    )


def _function_lines(files: FileTree, file: str, function: str) -> set[int]:
    """The lines of every function of that name; a bare name also finds methods."""
    named = (node for node in _functions(files, file) if node.name == _leaf(function))
    return {line for node in named for line in _span_of(node)}


def _functions(files: FileTree, file: str) -> list[Function]:
    try:
        tree = ast.parse(files.get(file, b""))
    except (SyntaxError, ValueError):
        return []
    return [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]


def _span_of(node: Function) -> range:
    first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
    return range(first, (node.end_lineno or node.lineno) + 1)


def _leaf(function: str) -> str:
    return function.removesuffix("()").rpartition(".")[2]


def _span(lines: tuple[int, int]) -> range:
    return range(lines[0], lines[1] + 1)
