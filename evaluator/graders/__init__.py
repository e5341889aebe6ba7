"""The graders by name: each is an options model and one coroutine, in a module of its own."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError

from proctor.evaluator.graders import behaviour, file_exists, judge, location, report_field
from proctor.evaluator.work import Work
from proctor.schemas.base import Value
from proctor.schemas.errors import TaskError
from proctor.schemas.grade import Score
from proctor.schemas.rubric import Criterion
from proctor.schemas.task import Task


class Grader(NamedTuple):
    """One way to measure a criterion."""

    options: type[Value]
    measure: Callable[[Work, Any], Awaitable[Score]]


GRADERS: Mapping[str, Grader] = {
    "file_exists": Grader(file_exists.Options, file_exists.measure),
    "report_field": Grader(report_field.Options, report_field.measure),
    "location": Grader(location.Options, location.measure),
    "behaviour": Grader(behaviour.Options, behaviour.measure),
    "judge": Grader(judge.Options, judge.measure),
}


def options_of(criterion: Criterion) -> Value:
    """A criterion's options as its grader understands them.

    Raises:
        TaskError: There is no such grader, or it does not take these options.
    """
    grader = GRADERS.get(criterion.grader)
    if grader is None:
        raise TaskError(
            f"criterion {criterion.id!r}: there is no grader {criterion.grader!r}; "
            f"use one of {', '.join(GRADERS)}"
        )
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
        if isinstance(options, behaviour.Options):
            for path in (options.probe, options.driver):
                if path not in task.grading:
                    raise TaskError(f"criterion {criterion.id!r}: there is no grading/{path}")
        if isinstance(options, location.Options):
            location.check(task, options)
