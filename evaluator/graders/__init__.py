"""The graders by name: each is an options model and one coroutine, in a module of its own."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, NamedTuple

from pydantic import ValidationError

from proctor.evaluator.graders import (
    behaviour,
    command,
    competition,
    custom,
    file_exists,
    judge,
    location,
    metric,
    numbers,
    report_field,
    table,
    tests,
    unchanged,
)
from proctor.evaluator.work import Work
from proctor.schemas.base import Value
from proctor.schemas.errors import TaskError
from proctor.schemas.grade import Score
from proctor.schemas.rubric import Criterion
from proctor.schemas.task import Task


def _nothing_to_check(task: Task, options: Any) -> None:  # noqa: ANN401 - each grader's own
    del task, options


class Grader(NamedTuple):
    """One way to measure a criterion."""

    options: type[Value]
    measure: Callable[[Work, Any], Awaitable[Score]]
    check: Callable[[Task, Any], None] = _nothing_to_check
    """Raises a TaskError where the options do not fit the task, such as a file that is missing."""
    validate: Callable[[Work, Any], Awaitable[None]] | None = None
    """Raises a SubmissionError where the hand-in has not the form asked for, judged by what the
    instructions say alone: names, types and sizes, never values that the labels decide."""
    validation: Callable[[Work, Any], Awaitable[Score]] | None = None
    """Measures on a validation part of the data, where the task has one: ungraded elsewhere."""
    reads_labels: bool = False
    """Whether its score depends on answers that the agent is to find, so that scores told before
    the end would give them away."""
    takes: Literal["options", "criterion"] = "options"
    """What `measure` is given beside the work: a judge reads the criterion itself."""


GRADERS: Mapping[str, Grader] = {
    "file_exists": Grader(file_exists.Options, file_exists.measure, validate=file_exists.validate),
    "report_field": Grader(
        report_field.Options,
        report_field.measure,
        validate=report_field.validate,
        reads_labels=True,
    ),
    "location": Grader(location.Options, location.measure, location.check, reads_labels=True),
    "behaviour": Grader(behaviour.Options, behaviour.measure, behaviour.check),
    "command": Grader(
        command.Options,
        command.measure,
        command.check,
        validate=command.validate,
        reads_labels=True,
    ),
    "tests": Grader(tests.Options, tests.measure, tests.check, reads_labels=True),
    "unchanged": Grader(unchanged.Options, unchanged.measure, unchanged.check),
    "table": Grader(table.Options, table.measure, table.check, table.validate, reads_labels=True),
    "numbers": Grader(
        numbers.Options, numbers.measure, validate=numbers.validate, reads_labels=True
    ),
    "metric": Grader(
        metric.Options,
        metric.measure,
        metric.check,
        metric.validate,
        metric.validation,
        reads_labels=True,
    ),
    "competition": Grader(
        competition.Options,
        competition.measure,
        competition.check,
        competition.validate,
        reads_labels=True,
    ),
    "judge": Grader(judge.Options, judge.measure, takes="criterion"),
}


def grader_named(name: str) -> Grader | None:
    """The grader of that name, which may be ``path.py:function`` in a task; None if unknown."""
    if name in GRADERS:
        return GRADERS[name]
    own = custom.functions(name)
    return own and Grader(custom.Options, *own, reads_labels=True)


def grader_of(criterion: Criterion) -> Grader:
    """The grader that measures a criterion.

    Raises:
        TaskError: There is no such grader.
    """
    grader = grader_named(criterion.grader)
    if grader is None:
        raise TaskError(
            f"criterion {criterion.id!r}: there is no grader {criterion.grader!r}; "
            f"use one of {', '.join(GRADERS)}, or 'path.py:function' below grading/"
        )
    return grader


def options_of(criterion: Criterion) -> Value:
    """A criterion's options as its grader understands them.

    Raises:
        TaskError: There is no such grader, or it does not take these options.
    """
    grader = grader_of(criterion)
    try:
        return grader.options.model_validate(dict(criterion.options))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, ("options", *first["loc"])))
        raise TaskError(f"criterion {criterion.id!r}: {key}: {first['msg']}") from error


def check_options(task: Task) -> None:
    """Check that every criterion of `task` can be measured by its grader.

    Raises:
        TaskError: One cannot: wrong options, or a file that they name is missing.
    """
    for criterion in task.rubric.criteria:
        options = options_of(criterion)
        try:
            grader_of(criterion).check(task, options)
        except TaskError as error:
            raise TaskError(f"criterion {criterion.id!r}: {error}") from error
