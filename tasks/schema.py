"""The JSON Schemas of both task formats, for editors; made from the models that read them."""

from typing import Any

from proctor.evaluator.graders import GRADERS, custom
from proctor.schemas.base import Value
from proctor.tasks.formats.afterquery import Document
from proctor.tasks.formats.directory import TaskFile

OWN_GRADER = r"[A-Za-z0-9_./-]+\.py:[A-Za-z_][A-Za-z0-9_]*"
"""A task's own grader, as ``path.py:function``."""
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def directory_schema() -> dict[str, Any]:
    """The JSON Schema of ``task.toml``, each grader's options included."""
    schema = TaskFile.model_json_schema(ref_template="#/$defs/{model}")
    definitions = schema["$defs"]
    criterion = definitions["Criterion"]
    own = {"pattern": f"^{OWN_GRADER}$"}
    criterion["properties"]["grader"]["anyOf"] = [{"enum": list(GRADERS)}, own]
    criterion["allOf"] = []
    models: list[tuple[str, dict[str, str], type[Value]]] = [
        (name, {"const": name}, grader.options) for name, grader in GRADERS.items()
    ]
    models.append(("custom", own, custom.Options))
    for name, which, model in models:
        options = model.model_json_schema(ref_template="#/$defs/{model}")
        definitions.update(options.pop("$defs", {}))
        title = f"{name}_options"
        definitions[title] = {**options, "title": title}
        criterion["allOf"].append(
            {
                "if": {"properties": {"grader": which}, "required": ["grader"]},
                "then": {"properties": {"options": {"$ref": f"#/$defs/{title}"}}},
            }
        )
    return {"$schema": DIALECT, **schema}


def afterquery_schema() -> dict[str, Any]:
    """The JSON Schema of AfterQuery's task files."""
    return {"$schema": DIALECT, **Document.model_json_schema()}
