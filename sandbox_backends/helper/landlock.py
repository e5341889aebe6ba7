"""Landlock, where the kernel offers it: rights given up by a process, for itself and all below."""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
import sys

from proctor.sandbox_backends.helper.files import LIBC

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # system calls, on every architecture
ASK_FOR_VERSION = 1
PATH_BENEATH = 1
WRITE_FILE, REFER = 1 << 1, 1 << 13
RENAMES_SINCE = 2
"""Before this version of Landlock, no restricted process may move a file between directories."""
PR_GET_NO_NEW_PRIVS = 39
KERNELS_OWN = ("proc", "sys")


def leave_the_kernels_files_alone() -> None:
    """Give up writing to files in /proc and /sys.

    By its score in /proc, a process could have the kernel kill another in its place when memory
    runs out.

    A process that could still gain privileges gives up nothing: it is in no sandbox. Whoever has
    given this up can trace, and see the descriptors of, those alone that descend from where it
    was given up.
    """
    if sys.platform != "linux" or not LIBC.prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0):
        return
    if LIBC.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), ASK_FOR_VERSION) < RENAMES_SINCE:
        return
    handled = struct.pack("Q", WRITE_FILE | REFER)
    ruleset = LIBC.syscall(CREATE_RULESET, handled, ctypes.c_size_t(len(handled)), 0)
    if ruleset < 0:
        return
    try:
        with os.scandir("/") as places:
            for place in places:
                if place.is_dir(follow_symlinks=False) and place.name not in KERNELS_OWN:
                    _allow(ruleset, place.path)
        LIBC.syscall(RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str) -> None:
    with contextlib.suppress(OSError):
        fd = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            rule = struct.pack("=Qi", WRITE_FILE | REFER, fd)
            LIBC.syscall(ADD_RULE, ruleset, PATH_BENEATH, rule, 0)
        finally:
            os.close(fd)
