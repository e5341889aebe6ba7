"""The program inside every sandbox: it runs commands and moves files for the server.

Its modules use the standard library only and are sent as source to a bare ``python -I -S``, so
that any image with Python >= 3.9 serves and versions never differ. Nothing of this package is
ever imported by the server itself.

    files         files beneath a root that nothing leads out of
    snapshots     a whole tree as one archive, and back
    processes     what can be done with processes and whole trees of them
    landlock      rights that a process gives up
    supervisor    the process between the helper and a command
    output        what a command writes
    commands      commands that run, jobs among them
    preload       interpreters that have imported what a script needs, as the helper keeps them
    forkserver    what runs inside such an interpreter
    stash         modules that are loaded but not imported
    conversation  requests and replies: the one loop that the helper is
"""

import base64
import json
import marshal
from functools import cache
from importlib import resources
from importlib.util import MAGIC_NUMBER

MODULES = (
    "files", "snapshots", "processes", "landlock", "supervisor", "output", "commands", "preload",
    "stash", "forkserver", "relay", "conversation",
)  # fmt: skip

BOOT = """\
import binascii, json, marshal, sys, types
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import MAGIC_NUMBER
stream = sys.stdin.buffer.raw
size = int(stream.read(8), 16)
sent = b""
while len(sent) < size:
    sent += stream.read(size - len(sent)) or sys.exit("no helper was sent")
sent = json.loads(sent)
class Sent:
    def find_spec(name, path=None, target=None):
        if name in sent["modules"]:
            return ModuleSpec(name, Sent)
        if any(known.startswith(name + ".") for known in sent["modules"]):
            return ModuleSpec(name, Sent, is_package=True)
    def create_module(spec):
        return None
    def exec_module(module):
        source, code = sent["modules"].get(module.__name__, ("", None))
        if code and sent["magic"] == MAGIC_NUMBER.hex():
            exec(marshal.loads(binascii.a2b_base64(code)), module.__dict__)
        else:
            exec(compile(source, module.__name__, "exec"), module.__dict__)
sys.meta_path.insert(0, Sent)
"""
"""Receives modules, and has them found by whoever imports them."""
START = """\
from proctor.sandbox_backends.helper.conversation import serve
serve(sent)
"""
BOOT_ARGS = ("-I", "-S", "-c", BOOT + START)
"""The arguments that turn a bare Python into a helper, once it is sent `first_frame`."""


def first_frame(scratch: str, user: tuple[int, int] | None = None) -> bytes:
    """The helper itself, to be sent before any request: its length in eight hex digits, then JSON.

    Args:
        scratch: A directory in the sandbox, outside the workspace, for long outputs.
        user: The ids of the user and group that commands run as and files belong to, where the
            helper is root; None keeps the helper's own.
    """
    code = {"modules": _modules(), "magic": MAGIC_NUMBER.hex(), "boot": BOOT}
    sent = {**code, "scratch": scratch, "user": user}
    frame = json.dumps(sent).encode()
    return b"%08x" % len(frame) + frame


@cache
def _modules() -> dict[str, tuple[str, str]]:
    """Every module by its name: its source, and its code for an interpreter like this one."""
    modules: dict[str, tuple[str, str]] = {}
    for short in MODULES:
        name, source = (
            f"{__name__}.{short}",
            resources.files(__name__).joinpath(f"{short}.py").read_text(),
        )
        code = marshal.dumps(compile(source, name, "exec"))
        modules[name] = source, base64.b64encode(code).decode()
    return modules
