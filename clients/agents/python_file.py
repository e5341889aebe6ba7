"""An agent in a file of the researcher's own, named ``path/to/file.py:function``.

Its code is trusted: it runs in this process. What the file imports must be installed; its
neighbours are not found.
"""

import importlib.util
import inspect
import sys
import sysconfig
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from proctor.clients.agents import Agent, Exam
from proctor.schemas.errors import AgentError
from proctor.schemas.result import AgentOrigin, AgentReport


def load_agent(place: str) -> Agent:
    """Import a file by its path and get an agent from it.

    Args:
        place: ``path/to/file.py:function``.

    Raises:
        AgentError: There is no such file or function, or it is no agent.
    """
    file, _, name = place.rpartition(":")
    if not file or not name:
        raise AgentError(f"{place!r} names no function; write it as FILE.py:FUNCTION")
    path = Path(file).resolve()
    if not path.is_file():
        raise AgentError(f"there is no file {path}; name one that defines {name}")
    found = getattr(_module(path), name, None)
    if found is None:
        raise AgentError(f"{path} has no {name!r}; define it there: async def {name}(exam)")
    if problem := _problem(found):
        raise AgentError(f"{name!r} in {path}{_line(found)} {problem}")
    work, origin = cast("Agent", found), AgentOrigin(function=f"{path}:{name}")

    async def agent(exam: Exam) -> AgentReport:
        report: Any = await work(exam)
        if not isinstance(report, AgentReport):
            kind = type(report).__name__
            raise AgentError(f"{name!r} in {path}{_line(found)} returned {kind}, no AgentReport")
        return report.model_copy(update={"origin": origin})

    return agent


def raised_at(error: BaseException) -> str:
    """Where the code that is not installed raised an error, or had it raised, if it is known."""
    installed = {sysconfig.get_path(key) for key in ("stdlib", "purelib", "platlib")}
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not any(frame.filename.startswith(f"{place}/") for place in installed):
            return f" ({frame.filename}, line {frame.lineno}, in {frame.name})"
    return ""


def _problem(found: object) -> str | None:
    if not callable(found):
        return f"is not callable, but of type {type(found).__name__}; name a function"
    whole = found if inspect.isroutine(found) else type(found).__call__
    if not inspect.iscoroutinefunction(whole):
        return "is not async; write it as: async def agent(exam)"
    try:
        inspect.signature(found).bind(None)
    except TypeError:
        return f"does not take an exam alone, but {inspect.signature(found)}"
    return None


def _line(found: object) -> str:
    code = getattr(found, "__code__", None)
    return f", line {code.co_firstlineno}," if code else ""


def _module(path: Path) -> ModuleType:
    name = f"proctor_agent_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise AgentError(f"{path} is no Python file; its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses and pydantic look their annotations up
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        problem = f"{type(error).__name__}: {error}{raised_at(error)}"
        raise AgentError(f"{path} cannot be imported: {problem}") from error
    return module
