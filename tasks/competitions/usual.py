"""The time and the machine that a competition gets where its declaration says nothing.

MLE-bench's competitions get MLE-bench's time, a day, and as many calls and turns as that takes. Its
authors' machine had 36 CPUs, 440 GB and one GPU; memory that a machine has not cannot be promised,
so an operator who has it says so: ``--cpus 36 --memory 440GiB --gpus 1``. All others are small, and
have the time of any task.
"""

from collections.abc import Mapping
from typing import Any

from proctor.schemas.sandbox import MEBIBYTE

DAY_S = 24 * 3600.0
LARGE: Mapping[str, Any] = {
    "limits": {"time_s": DAY_S, "tool_calls": 5000, "turns": 1000},
    "memory_bytes": 16 * 1024 * MEBIBYTE,
    "workspace_bytes": 4 * 1024 * MEBIBYTE,
}
SMALL: Mapping[str, Any] = {
    "limits": {"time_s": 3600.0, "tool_calls": 500, "turns": 50},
    "memory_bytes": 4 * 1024 * MEBIBYTE,
    "workspace_bytes": 512 * MEBIBYTE,
}


def with_usual(declared: Mapping[str, Any]) -> dict[str, Any]:
    """A declaration with what it leaves open, limit by limit."""
    usual = SMALL if "source" in declared else LARGE
    filled = {**usual, **declared}
    if isinstance(filled["limits"], Mapping):
        filled["limits"] = {**usual["limits"], **filled["limits"]}
    return filled
