"""What a task's verdict code imports: cases out, outputs in, checks between.

This file is sent into the *verdict sandbox*, which never sees agent code, and runs there by
itself: it imports nothing of Proctor. A task's ``grading/probe.py`` defines two names:

* ``cases(rng)`` returns a list of `Case`: what the agent's code will be run on. It is called
  again for the verdict, with the same seed, so it must draw randomness from `rng` alone.
* ``CHECKS`` maps a check's name to ``check(cases, outputs)``, which returns ``(credit, evidence)``
  with credit in [0, 1]. `cases` and `outputs` are dicts keyed by the case's name.

Each case's inputs are handed to ``grading/driver.py`` in a sandbox of its own, restored from the
submission: ``python driver.py INPUT_DIR OUTPUT_DIR``, in the workspace. Neither the case's name
nor its truth is ever there.
"""

from __future__ import annotations

import importlib.util
import json
import math
import resource
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

HUGE = 1e100
"""Numbers beyond it would overflow in a check's arithmetic."""
EVIDENCE_CHARS = 4000
PROCESSOR_S = 200


class Invalid(Exception):  # noqa: N818 - authors raise it as a statement about the agent's output
    """The agent's code left nothing that can be judged: the check that reads it earns nothing."""


@dataclass(frozen=True)
class Case:
    """One input on which the agent's code is run."""

    name: str
    inputs: dict[str, Any]
    """What the driver finds in its input directory: an array as ``<key>.npy``, a data frame as
    ``<key>.csv`` (no index), anything else as ``<key>.json``."""
    truth: dict[str, Any] = field(default_factory=dict[str, Any])
    """What only the verdict knows: labels, expected values."""


@dataclass(frozen=True)
class Outputs:
    """The plain data files that the driver left for one case."""

    name: str
    directory: Path
    failure: str = ""
    """How the driver ended, where it did not end well; empty otherwise."""

    def array(
        self, key: str, shape: tuple[int | None, ...] | None, *, finite: bool = True
    ) -> np.ndarray[Any, np.dtype[Any]]:
        """Read ``<key>.npy``: numbers, booleans or fixed-width text, never pickled objects.

        Args:
            key: The file's name without ``.npy``.
            shape: The shape it must have; None allows any length along that axis, or any shape.
            finite: Whether NaN and infinities are refused.

        Raises:
            Invalid: The file is missing, unreadable, of another shape or not finite.
        """
        path = self._path(f"{key}.npy")
        try:
            with path.open("rb") as file:
                array: np.ndarray[Any, np.dtype[Any]] = np.lib.format.read_array(
                    file, allow_pickle=False
                )
        except Exception as error:  # whatever a crafted file makes the reader raise
            raise Invalid(f"case {self.name}: {path.name} is not a plain array: {error}") from error
        wanted = array.shape if shape is None else shape
        fits = len(array.shape) == len(wanted) and all(
            want is None or have == want for have, want in zip(array.shape, wanted, strict=True)
        )
        if array.dtype.kind not in "fiubSU":
            raise Invalid(f"case {self.name}: {path.name} holds {array.dtype}, no plain values")
        if not fits:
            raise Invalid(
                f"case {self.name}: {path.name} has shape {array.shape}, expected {shape}"
            )
        if finite and array.dtype.kind == "f" and not bool(np.isfinite(array).all()):
            raise Invalid(f"case {self.name}: {path.name} holds NaN or infinity")
        return array

    def numbers(self, key: str, shape: tuple[int | None, ...]) -> np.ndarray[Any, np.dtype[Any]]:
        """Read ``<key>.npy`` as finite float64 numbers of ordinary size.

        Raises:
            Invalid: As `array`, or the values are not numbers.
        """
        array = self.array(key, shape)
        if array.dtype.kind not in "fiub":
            raise Invalid(f"case {self.name}: {key}.npy holds {array.dtype}, expected numbers")
        numbers = array.astype(np.float64)
        if not bool((np.abs(numbers) < HUGE).all()):
            raise Invalid(f"case {self.name}: {key}.npy holds numbers beyond {HUGE:g}")
        return numbers

    def value(self, key: str) -> Any:  # noqa: ANN401 - JSON
        """Read ``<key>.json``.

        Raises:
            Invalid: The file is missing or is not JSON.
        """
        path = self._path(f"{key}.json")
        try:
            return json.loads(path.read_text("utf-8"))
        except Exception as error:  # whatever a crafted file makes the reader raise
            raise Invalid(f"case {self.name}: {path.name} is not JSON: {error}") from error

    def number(self, key: str) -> float:
        """Read ``<key>.json`` as one finite number.

        Raises:
            Invalid: As `value`, or it is not a finite number.
        """
        value = self.value(key)
        try:
            number = math.nan if isinstance(value, bool | str) else float(value)
        except (TypeError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            raise Invalid(f"case {self.name}: {key}.json holds {value!r:.80}, expected a number")
        return number

    def _path(self, name: str) -> Path:
        path = self.directory / name
        if not path.is_file():
            why = f": {self.failure}" if self.failure else ""
            raise Invalid(f"case {self.name}: the code left no {name}{why}")
        return path


def bound_time() -> None:
    """Die of more processor time than the verdict on an honest hand-in can need.

    Unlike the time on the clock, it is the same however busy the machine is.
    """
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_S, PROCESSOR_S))


def told(evidence: object) -> str:
    """Evidence as it can be written down, whatever of an agent's output it repeats.

    That may be megabytes, or halves of characters, which no reader of JSON takes.
    """
    text = str(evidence)[:EVIDENCE_CHARS]
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def load(probe: Path) -> ModuleType:
    """Import verdict code from where it lies; it may import what lies beside it."""
    sys.modules.setdefault("probe_kit", sys.modules[__name__])
    spec = importlib.util.spec_from_file_location("probe", probe)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{probe} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    sys.path.insert(0, str(probe.parent))
    spec.loader.exec_module(module)
    return module


def _cases(module: ModuleType, seed: int) -> dict[str, Case]:
    drawn: list[Case] = list(module.cases(np.random.default_rng(seed)))
    return {case.name: case for case in drawn}


def _save(path: Path, array: np.ndarray[Any, np.dtype[Any]]) -> None:
    np.save(path, array, allow_pickle=False)


def _write_inputs(case: Case, directory: Path) -> None:
    directory.mkdir(parents=True)
    value: Any
    for key, value in case.inputs.items():
        if isinstance(value, pd.DataFrame):
            value.to_csv(directory / f"{key}.csv", index=False)
        elif isinstance(value, np.ndarray):
            _save(directory / f"{key}.npy", value)  # pyright: ignore[reportUnknownArgumentType]  # any dtype
        else:
            (directory / f"{key}.json").write_text(json.dumps(value), "utf-8")


def write_cases(probe: Path, seed: int, target: Path) -> None:
    """Write every case's inputs to ``target/<name>/``."""
    for name, case in _cases(load(probe), seed).items():
        _write_inputs(case, target / name)


def judge(probe: Path, seed: int, outputs: Path, failures: dict[str, str]) -> dict[str, Any]:
    """Run every check on what the driver left in ``outputs/<case name>/``.

    Args:
        probe: The task's verdict code.
        seed: The seed that `write_cases` was given.
        outputs: One directory per case.
        failures: How the driver failed, by case name, where it did.

    Returns:
        ``{check: {"credit": float, "evidence": str}}``.
    """
    module = load(probe)
    cases = _cases(module, seed)
    left = {name: Outputs(name, outputs / name, failures.get(name, "")) for name in cases}
    verdicts: dict[str, Any] = {}
    for name, check in module.CHECKS.items():
        try:
            credit, evidence = check(cases, left)
        except Invalid as error:
            credit, evidence = 0.0, str(error)
        except Exception as error:  # noqa: BLE001
            # A check that copes with the reference solution and not with this has met something
            # odd that the agent's code left; that must not pay better than an honest failure.
            credit, evidence = 0.0, f"the check failed on the outputs: {error!r:.300}"
        if not 0.0 <= float(credit) <= 1.0:  # a NaN fails this too
            raise SystemExit(f"check {name} returned the credit {credit!r}, expected 0 to 1")
        verdicts[name] = {"credit": float(credit), "evidence": told(evidence)}
    return verdicts


def main(argv: list[str]) -> None:
    """Run ``cases PROBE SEED TARGET`` or ``judge PROBE SEED OUTPUTS FAILURES RESULT``."""
    bound_time()
    action, probe, seed, directory, *rest = argv
    if action == "cases":
        write_cases(Path(probe), int(seed), Path(directory))
        return
    failures, result = rest
    verdicts = judge(
        Path(probe), int(seed), Path(directory), json.loads(Path(failures).read_text("utf-8"))
    )
    Path(result).write_text(json.dumps(verdicts), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
