"""The JSON Schemas of both task formats, for editors; made from the models that read them."""

from typing import Any

from proctor.evaluator.graders import GRADERS
from proctor.tasks.formats.afterquery import Document
from proctor.tasks.formats.directory import TaskFile

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def directory_schema() -> dict[str, Any]:
    """The JSON Schema of ``task.toml``, each grader's options included."""
    schema = TaskFile.model_json_schema(ref_template="#/$defs/{model}")
    definitions = schema["$defs"]
    criterion = definitions["Criterion"]
    criterion["properties"]["grader"]["enum"] = list(GRADERS)
    criterion["allOf"] = []
    for name, grader in GRADERS.items():
        options = grader.options.model_json_schema(ref_template="#/$defs/{model}")
        definitions.update(options.pop("$defs", {}))
        title = f"{name}_options"
        definitions[title] = {**options, "title": title}
        criterion["allOf"].append(
            {
                "if": {"properties": {"grader": {"const": name}}, "required": ["grader"]},
                "then": {"properties": {"options": {"$ref": f"#/$defs/{title}"}}},
            }
        )
    return {"$schema": DIALECT, **schema}


def afterquery_schema() -> dict[str, Any]:
    """The JSON Schema of AfterQuery's task files."""
    return {"$schema": DIALECT, **Document.model_json_schema()}
