"""Runs a task's own grader in the verdict sandbox, on plain files of what was handed in.

``python custom_kit.py CODE FUNCTION DIRECTORY ARGUMENTS RESULT``. The function is called with
`Files` and the criterion's arguments, and returns ``(credit, evidence)`` with credit in [0, 1]; it
raises `Invalid`, of ``probe_kit``, where the hand-in cannot be graded.

This file runs by itself in a sandbox: it imports nothing of Proctor but the kit beside it.
"""

from __future__ import annotations

import io
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from proctor.evaluator.probe_kit import Invalid, bound_time, load, told

MAX_ARRAY_BYTES = 256 << 20
"""What the arrays of an ``.npz`` file may hold in all, unpacked."""
PLAIN_KINDS = "fiubSU"


class Files:
    """The files that the criterion names, as plain data; a missing one is `Invalid` when read."""

    def __init__(self, directory: Path, answer: str) -> None:
        """Look at `directory`.

        Args:
            directory: Where the files lie, by their paths in the workspace.
            answer: The agent's final answer.
        """
        self.answer = answer
        self._directory = directory

    def __contains__(self, path: str) -> bool:
        """Whether the file was handed in."""
        return (self._directory / path).is_file()

    def text(self, path: str) -> str:
        """A text file.

        Raises:
            Invalid: It is missing, or not UTF-8.
        """
        try:
            return self._bytes(path).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise Invalid(f"{path} is not UTF-8: {error}") from error

    def json(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """A JSON file.

        Raises:
            Invalid: It is missing, no JSON, or holds NaN or infinity.
        """
        try:
            return json.loads(self.text(path), parse_constant=_refuse)
        except (ValueError, RecursionError) as error:
            raise Invalid(f"{path} is not JSON: {error}") from error

    def table(self, path: str) -> pd.DataFrame:
        """A CSV file with a header; every cell is text, an empty one the empty text.

        Raises:
            Invalid: It is missing, or no table.
        """
        text = io.StringIO(self.text(path))
        try:
            return pd.read_csv(text, dtype=str, keep_default_na=False)  # pyright: ignore[reportUnknownMemberType]  # the stubs' own
        except Exception as error:  # whatever a crafted file makes the reader raise
            raise Invalid(f"{path} is not a table: {error}") from error

    def array(self, path: str) -> np.ndarray[Any, Any]:
        """An ``.npy`` file: numbers, booleans or fixed-width text, which may not be finite.

        Raises:
            Invalid: It is missing, no array, or holds objects.
        """
        return _array(self._bytes(path), path)

    def arrays(self, path: str) -> dict[str, np.ndarray[Any, Any]]:
        """An ``.npz`` file, as `array` reads each of its arrays.

        Raises:
            Invalid: It is missing, no such archive, or unpacks to too much.
        """
        packed = self._bytes(path)
        try:
            with zipfile.ZipFile(io.BytesIO(packed)) as archive:
                size = sum(member.file_size for member in archive.infolist())
                fits = size <= MAX_ARRAY_BYTES
                found = {name: archive.read(name) for name in archive.namelist() if fits}
        except Exception as error:  # whatever a crafted file makes the reader raise
            raise Invalid(f"{path} is no archive of arrays: {error}") from error
        if not fits:
            raise Invalid(f"{path} unpacks to more than {MAX_ARRAY_BYTES >> 20} MiB")
        return {
            name.removesuffix(".npy"): _array(data, f"{path}/{name}")
            for name, data in found.items()
        }

    def _bytes(self, path: str) -> bytes:
        if path not in self:
            raise Invalid(f"{path} does not exist in the workspace that was handed in")
        return (self._directory / path).read_bytes()


def _array(data: bytes, name: str) -> np.ndarray[Any, Any]:
    try:
        array: np.ndarray[Any, Any] = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    except Exception as error:  # whatever a crafted file makes the reader raise
        raise Invalid(f"{name} is not a plain array: {error}") from error
    if array.dtype.kind not in PLAIN_KINDS:
        raise Invalid(f"{name} holds {array.dtype}, no plain values")
    return array


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a JSON value")


def judge(code: Path, function: str, files: Files, arguments: dict[str, Any]) -> dict[str, Any]:
    """Call the task's grader.

    Returns:
        ``{"credit": float, "evidence": str}``, or ``{"invalid": reason}``.
    """
    grader = getattr(load(code), function)
    try:
        credit, evidence = grader(files, **arguments)
    except Invalid as error:
        return {"invalid": told(error)}
    except Exception as error:  # noqa: BLE001
        # A grader that copes with the reference solution and not with this has met something odd
        # in the hand-in; that must not pay better than an honest failure.
        return {
            "credit": 0.0,
            "evidence": told(f"the grader failed on the hand-in: {error!r:.300}"),
        }
    if not 0.0 <= float(credit) <= 1.0:  # a NaN fails this too
        raise SystemExit(f"{function} returned the credit {credit!r}, expected 0 to 1")
    return {"credit": float(credit), "evidence": told(evidence)}


def main(argv: list[str]) -> None:
    """Call one grader and write down what it returned."""
    bound_time()
    code, function, directory, given_file, target = argv
    given = json.loads(Path(given_file).read_text("utf-8"))
    files = Files(Path(directory), given["answer"])
    result = judge(Path(code), function, files, given["arguments"])
    Path(target).write_text(json.dumps(result), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
