"""The system-call filter of bubblewrap's sandboxes: the profile that containers have, compiled.

The profile, `etc/seccomp.json`, lists what is allowed, in the format of container engines, and
libseccomp compiles it here as it does for them. What the library does not know by name is left
out, so it is denied. Calls with numbers beyond the profile's last fail with ENOSYS instead of
EPERM, as runc has it, so that programs fall back to older ones.
"""

import ctypes
import errno
import json
import os
import struct
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

from proctor.schemas.errors import SandboxStartError

PROFILE = Path(__file__).resolve().parent / "etc" / "seccomp.json"
LIBRARY = "libseccomp.so.2"
ALLOW, ERRNO = 0x7FFF_0000, 0x0005_0000
COMPARISONS = ("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ")
"""As the library counts them, from 1 on."""
LOAD_NUMBER, IF_ABOVE, RETURN = 0x20, 0x25, 0x06
"""Instructions: ``BPF_LD|BPF_W|BPF_ABS``, ``BPF_JMP|BPF_JGT|BPF_K``, ``BPF_RET|BPF_K``."""
INSTRUCTION = struct.Struct("HBBI")


class _Comparison(ctypes.Structure):
    """``struct scmp_arg_cmp``."""

    _fields_ = (
        ("argument", ctypes.c_uint),
        ("comparison", ctypes.c_int),
        ("value", ctypes.c_uint64),
        ("value_two", ctypes.c_uint64),
    )


@contextmanager
def filter_to_inherit() -> Generator[int]:
    """A descriptor to read the compiled profile from, once: for ``bwrap --seccomp``.

    Raises:
        SandboxStartError: libseccomp is missing, or does not take the profile.
    """
    program = compiled()
    with _in_memory() as file:
        file.write(program)
        file.seek(0)
        yield file.fileno()


@cache
def compiled() -> bytes:
    """The profile as a program for this machine's architecture; any other's calls kill.

    Raises:
        SandboxStartError: libseccomp is missing, or does not take the profile.
    """
    profile = json.loads(PROFILE.read_text())
    library = _library()
    context = library.seccomp_init(_action(profile["defaultAction"], profile["defaultErrnoRet"]))
    try:
        last = 0
        for action, name, comparisons in _rules(profile):
            number: int = library.seccomp_syscall_resolve_name(name.encode())
            if number < 0:  # of a newer kernel, or of another architecture
                continue
            last = max(last, number)
            rule = (_Comparison * len(comparisons))(*comparisons)
            _check(library.seccomp_rule_add_array(context, action, number, len(rule), rule))
        with _in_memory() as file:
            _check(library.seccomp_export_bpf(context, file.fileno()))
            file.seek(0)
            return _unknown_above(last) + file.read()
    finally:
        library.seccomp_release(context)


def _rules(profile: Mapping[str, Any]) -> Iterator[tuple[int, str, list[_Comparison]]]:
    for entry in profile["syscalls"]:
        action = _action(entry["action"], entry.get("errnoRet", errno.EPERM))
        comparisons = [
            _Comparison(
                comparison["index"],
                1 + COMPARISONS.index(comparison["op"].removeprefix("SCMP_CMP_")),
                comparison["value"],
                comparison.get("valueTwo", 0),
            )
            for comparison in entry.get("args", ())
        ]
        for name in entry["names"]:
            yield action, name, comparisons


def _action(name: str, number: int) -> int:
    return {"SCMP_ACT_ALLOW": ALLOW, "SCMP_ACT_ERRNO": ERRNO | number}[name]


def _unknown_above(last: int) -> bytes:
    """The program's first instructions: a number above `last` is no system call."""
    program = (
        (LOAD_NUMBER, 0, 0, 0),
        (IF_ABOVE, 0, 1, last),
        (RETURN, 0, 0, ERRNO | errno.ENOSYS),
    )
    return b"".join(INSTRUCTION.pack(*instruction) for instruction in program)


def _in_memory() -> BinaryIO:
    try:
        return os.fdopen(os.memfd_create("seccomp"), "w+b")
    except OSError as error:
        raise SandboxStartError(f"cannot hand a sandbox its filter: {error}") from error


def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise SandboxStartError(f"{LIBRARY} is not installed") from error
    context, integer = ctypes.c_void_p, ctypes.c_int
    comparisons = ctypes.POINTER(_Comparison)
    library.seccomp_init.restype = context
    library.seccomp_init.argtypes = (ctypes.c_uint32,)
    library.seccomp_release.restype = None
    library.seccomp_release.argtypes = (context,)
    library.seccomp_syscall_resolve_name.argtypes = (ctypes.c_char_p,)
    library.seccomp_rule_add_array.argtypes = (
        context, ctypes.c_uint32, integer, ctypes.c_uint, comparisons,
    )  # fmt: skip
    library.seccomp_export_bpf.argtypes = (context, integer)
    return library


def _check(result: int) -> None:
    if result < 0:
        raise SandboxStartError(f"{LIBRARY} does not take {PROFILE}: {os.strerror(-result)}")
