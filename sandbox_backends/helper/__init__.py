"""The program inside every sandbox: it runs commands and moves files for the server.

Its modules use the standard library only and are sent as source to a bare ``python -I -S``, so
that any image with Python >= 3.9 serves and versions never differ. Nothing of this package is
ever imported by the server itself.

    files         files beneath a root that nothing leads out of; snapshots; restoring
    processes     commands, their output, and their whole process tree
    relay         connections out of the sandbox, passed on to the server
    conversation  requests and replies: the one loop that the helper is
"""

import json
from importlib.resources import files

MODULES = ("files", "processes", "relay", "conversation")

BOOT = """\
import json, sys, types
stream = sys.stdin.buffer.raw
size = int(stream.read(8), 16)
sent = b""
while len(sent) < size:
    sent += stream.read(size - len(sent)) or sys.exit("no helper was sent")
sent = json.loads(sent)
for name, source in sent["modules"].items():
    module = sys.modules[name] = types.ModuleType(name)
    exec(compile(source, name, "exec"), module.__dict__)
module.serve(sent["scratch"], sent["user"])
"""
BOOT_ARGS = ("-I", "-S", "-c", BOOT)
"""The arguments that turn a bare Python into a helper, once it is sent `first_frame`."""


def first_frame(scratch: str, user: tuple[int, int] | None = None) -> bytes:
    """The helper itself, to be sent before any request: its length in eight hex digits, then JSON.

    Args:
        scratch: A directory in the sandbox, outside the workspace, for long outputs.
        user: The ids of the user and group that commands run as and files belong to, where the
            helper is root; None keeps the helper's own.
    """
    modules = {f"{__name__}.{n}": files(__name__).joinpath(f"{n}.py").read_text() for n in MODULES}
    frame = json.dumps({"modules": modules, "scratch": scratch, "user": user}).encode()
    return b"%08x" % len(frame) + frame
