"""``report_field``: a value in a JSON file equals, is one of, or fits a JSON Schema."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, Self, TypeAlias

from jsonpointer import JsonPointerException, resolve_pointer
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from pydantic import ConfigDict, Field, field_validator, model_validator

from proctor.evaluator.work import Work
from proctor.evaluator.worker import in_worker
from proctor.schemas.base import Value
from proctor.schemas.errors import SubmissionError
from proctor.schemas.grade import Score
from proctor.schemas.report import ErrorAnalysisReport

CHECK_WITHIN_S = 10.0

Schema: TypeAlias = Literal["error_analysis_report"] | Mapping[str, Any]


class Options(Value):
    """Which value, and what it must be: exactly one of `equals`, `one_of` and `schema`."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    path: str = "response/report.json"
    pointer: str = Field(default="", pattern=r"^(/.*)?$")
    """An RFC 6901 pointer; the empty one is the whole document."""
    equals: Any = None
    one_of: tuple[Any, ...] | None = None
    fits: Schema | None = Field(default=None, alias="schema")
    """A JSON Schema, or the name of the report that error-analysis tasks ask for."""

    @field_validator("fits")
    @classmethod
    def _is_a_schema(cls, fits: Schema | None) -> Schema | None:
        if fits is not None and not isinstance(fits, str):
            try:
                Draft202012Validator.check_schema(dict(fits))
            except SchemaError as error:
                raise ValueError(f"not a JSON Schema: {error.message}") from error
        return fits

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        said = self.model_fields_set & {"equals", "one_of", "fits", "schema"}
        if len(said) != 1:
            raise ValueError("give exactly one of equals, one_of and schema")
        return self


async def validate(work: Work, options: Options) -> None:
    """Check that the file is JSON and, where a report is asked for, that it has every field.

    Raises:
        SubmissionError: It is not, or has not.
    """
    document = await work.read_json(options.path)
    if isinstance(options.fits, str) and (problem := await _problem(document, options)):
        raise SubmissionError(f"{options.path}: {problem}")


async def measure(work: Work, options: Options) -> Score:
    """Full credit if the value is what it must be."""
    document = await work.read_json(options.path)
    where = f"{options.path}#{options.pointer}"
    try:
        found = resolve_pointer(document, options.pointer)
    except (JsonPointerException, TypeError) as error:
        raise SubmissionError(f"{where} does not exist") from error
    problem = await _problem(found, options)
    shown = f"{found!r}"[:200]
    if problem:
        return Score(state="scored", evidence=f"{where} is {shown}: {problem}")
    return Score(state="scored", credit=1.0, evidence=f"{where} is {shown}")


async def _problem(found: object, options: Options) -> str | None:
    """What is wrong with a value.

    Raises:
        SubmissionError: It takes too long to say: a schema may hold a pattern, or a value much.
    """
    if options.one_of is not None:
        return None if any(_same(found, v) for v in options.one_of) else "not one of those expected"
    if options.fits is None:
        return None if _same(found, options.equals) else "not what was expected"
    fits = options.fits if isinstance(options.fits, str) else dict(options.fits)
    return await in_worker(_misfit, found, fits, within_s=CHECK_WITHIN_S)


def _misfit(found: Any, fits: Schema) -> str | None:  # noqa: ANN401 - JSON
    schema = ErrorAnalysisReport.model_json_schema() if isinstance(fits, str) else dict(fits)
    errors: Iterator[ValidationError] = Draft202012Validator(schema).iter_errors(found)  # pyright: ignore[reportUnknownMemberType]  # the stubs' own
    try:
        first = next(errors, None)
    except RecursionError:
        return "nested too deeply"
    return None if first is None else f"at {first.json_path}: {first.message[:300]}"


def _same(found: object, expected: object) -> bool:
    """Equality as JSON means it: true is not 1."""
    return found == expected and isinstance(found, bool) == isinstance(expected, bool)
