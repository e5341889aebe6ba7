"""The agent side of hidden tests: run one case, and leave what it returns as plain data.

This file is sent into the sandbox that runs the agent's code, and runs there by itself:
``python case_driver.py CASE_FILE FUNCTION OUTPUT_DIR``, in the workspace. It imports nothing of
Proctor. Numbers, text, lists and dicts become ``result.json``; an array, a column or a frame
becomes ``{"__array__": name}`` there and ``<name>.npy``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

MAX_DEPTH = 50


class Result:
    """A result as it is taken apart."""

    def __init__(self, target: Path) -> None:
        """Start with nothing in `target`, a directory."""
        self._target = target
        self._n_arrays = 0

    def plain(self, value: Any, depth: int = 0) -> Any:  # noqa: ANN401 - whatever was returned
        """`value` as JSON can write it.

        Raises:
            TypeError: It is no plain data, or nested deeper than `MAX_DEPTH`.
        """
        if depth > MAX_DEPTH:
            raise TypeError(f"the result is nested deeper than {MAX_DEPTH}")
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, np.generic):
            item: Any = value.item()  # pyright: ignore[reportUnknownVariableType]  # any dtype
            return self.plain(item, depth + 1)
        if isinstance(value, dict):
            return {str(key): self.plain(each, depth + 1) for key, each in value.items()}  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]  # of any kind
        if isinstance(value, list | tuple):
            return [self.plain(each, depth + 1) for each in value]  # pyright: ignore[reportUnknownVariableType]  # of any kind
        if hasattr(value, "columns"):
            return {str(name): self.plain(value[name], depth + 1) for name in value.columns}
        if hasattr(value, "__array__"):
            return self._array(np.asarray(value), depth)
        raise TypeError(f"a case returned {type(value).__name__}, which is no plain data")

    def _array(self, array: np.ndarray[Any, Any], depth: int) -> Any:  # noqa: ANN401 - JSON
        if array.dtype.kind not in "fiubSU":
            return self.plain(array.tolist(), depth + 1)
        name = f"array{self._n_arrays}"
        self._n_arrays += 1
        np.save(self._target / f"{name}.npy", array, allow_pickle=False)
        return {"__array__": name}


def main(case: str, function: str, target: str) -> None:
    """Run one case function on the workspace."""
    sys.path.insert(0, str(Path.cwd()))
    scope: dict[str, Any] = {"__name__": "case"}
    exec(compile(Path(case).read_text("utf-8"), "case.py", "exec"), scope)  # noqa: S102 - its use
    value = scope[function](Path.cwd())
    plain = Result(Path(target)).plain(value)
    Path(target, "result.json").write_text(json.dumps(plain), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
