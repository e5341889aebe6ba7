"""A backend of the user's own: a function in a file."""

import importlib.util
from pathlib import Path
from typing import cast

from proctor.sandbox_backends.base import Backend


def load_backend(place: str) -> Backend:
    """The backend that ``path/to/file.py:function`` names.

    Raises:
        ValueError: There is none there.
    """
    path_text, _, name = place.rpartition(":")
    path = Path(path_text)
    if not path.is_file():
        raise ValueError(f"there is no file {path_text!r}; write FILE.py:FUNCTION")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{path_text!r} is no Python file; write FILE.py:FUNCTION")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: object = getattr(module, name, None)
    if not callable(found):
        raise ValueError(  # noqa: TRY004 - what was written on the command line is wrong
            f"{path_text} has no function {name!r} that opens sandboxes"
        )
    return cast("Backend", found)
