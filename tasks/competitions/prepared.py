"""A competition's files on disk: where they lie, and whether they are all there.

Nothing here is slow to import, so that what is prepared is a task at once.
"""

import hashlib
import json
from pathlib import Path

from proctor.schemas.errors import TaskError
from proctor.tasks.competitions.definition import Definition
from proctor.tasks.formats.reading import read_bytes, read_tree

RECIPE = 1
"""The version of the engine that makes the files; another one makes them anew."""
MANIFEST = "manifest.json"
PUBLIC, PRIVATE = "public", "private"
SAMPLE, ANSWERS, REFERENCE = "sample_submission.csv", "answers.csv", "reference.csv"


def place_of(definition: Definition, data: Path) -> Path:
    """Where the files of a competition, as it is declared, lie or would lie."""
    file = definition.file
    said = {
        "recipe": RECIPE,
        "file": file.model_dump(mode="json", include={"id", "form", "source", "split"}),
        "description": definition.description,
        "checksums": dict(definition.checksums),
    }
    seal = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    return data.absolute() / file.id / seal.hexdigest()[:16]


def is_whole(place: Path) -> bool:
    """Whether a directory holds what was prepared there, byte by byte."""
    try:
        expected: dict[str, str] = json.loads(read_bytes(place / MANIFEST))
        held = {name: data for name, data in read_tree(place).items() if name != MANIFEST}
    except (TaskError, ValueError):
        return False
    return expected == {name: hashlib.sha256(data).hexdigest() for name, data in held.items()}
