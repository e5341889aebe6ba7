"""A backend of the user's own: a function in a file, named ``path/to/file.py:function``."""

import importlib.util
import inspect
import sys
from pathlib import Path
from types import ModuleType
from typing import cast

from proctor.sandbox_backends.base import Backend


def load_backend(place: str) -> Backend:
    """Import a file by its path and get a backend from it.

    What the file imports must be installed; its neighbours are not found.

    Args:
        place: ``path/to/file.py:function``.

    Raises:
        ValueError: There is no such file or function, or it is no backend.
    """
    file, _, name = place.rpartition(":")
    if not file or not name:
        raise ValueError(f"{place!r} names no function; write it as FILE.py:FUNCTION")
    path = Path(file).resolve()
    if not path.is_file():
        raise ValueError(f"there is no file {path}; name one that defines {name}")
    found = getattr(_module(path), name, None)
    if found is None:
        raise ValueError(f"{path} has no {name!r}; define it there: {name}(spec)")
    if problem := _problem(found):
        raise ValueError(f"{name!r} in {path} {problem}")
    return cast("Backend", found)


def _problem(found: object) -> str | None:
    if not callable(found):
        return f"is not callable, but of type {type(found).__name__}; name a function"
    if inspect.isasyncgenfunction(found) or inspect.iscoroutinefunction(found):
        return "gives no context manager; decorate it with contextlib.asynccontextmanager"
    return None


def _module(path: Path) -> ModuleType:
    name = f"proctor_backend_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{path} is no Python file; its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses and pydantic look their annotations up
    try:
        spec.loader.exec_module(module)
    except (ImportError, SyntaxError) as error:
        raise ValueError(f"{path} cannot be imported: {error}; mend it") from error
    return module
