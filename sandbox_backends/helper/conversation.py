"""The helper's loop: requests come in on stdin, replies go out on stdout.

A frame is two big-endian lengths, a JSON object, and raw bytes. A request has an ``id``, which
its replies repeat, and an ``op``. A reply with ``more`` is followed by another; the last has
``ok``, or ``error``. Requests that bring a file come in numbered parts, all but the last with
``more``. What is said of a relayed connection (`relay`) answers nothing and is not answered. At
the end of its stdin the helper kills everything and ends.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import selectors
import signal
import struct
import sys
import tarfile
import tempfile
import time
from collections.abc import Sequence
from typing import IO, Any

from proctor.sandbox_backends.helper.files import (
    CHUNK,
    Snapshot,
    SnapshotTooLargeError,
    list_directory,
    read_lines,
    restore,
    tree,
)
from proctor.sandbox_backends.helper.processes import (
    ALL_SPOOLS_BYTES,
    KILL_WITHIN_S,
    PR_SET_CHILD_SUBREAPER,
    PR_SET_DUMPABLE,
    Capture,
    Command,
    descendants,
    join_new_keyring,
    kill_tree,
    prctl,
    reap,
    send_signal,
    touch_files_as,
    wake_on_child,
)
from proctor.sandbox_backends.helper.relay import Relay

HEADER = struct.Struct(">II")
KILLERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
MAX_META = 1 << 20
MAX_PAYLOAD = 1 << 20
BRING_FILES = ("write", "restore")

Request = dict[str, Any]


class Helper:
    """Answers requests until its stdin ends."""

    def __init__(self, scratch: str, user: tuple[int, int] | None) -> None:
        self.scratch, self.user = scratch, user
        self.commands: dict[int, Command] = {}
        self.uploads: dict[int, IO[bytes]] = {}
        self.incoming = bytearray()
        self.relay: Relay | None = None
        self.started = 0
        self.spooled: list[Capture] = []
        self.open = True
        self.woken = wake_on_child()
        self.selector = selectors.DefaultSelector()
        self.selector.register(0, selectors.EVENT_READ)
        self.selector.register(self.woken, selectors.EVENT_READ)
        os.set_blocking(0, False)

    def run(self) -> None:
        """Converse until stdin ends, then leave nothing running."""
        while self.open:
            self.turn(None)
        self.kill_everything()

    # What the server may ask for, by `op`. Whatever raises is answered with the error.

    def do_hello(self, request: Request, _: IO[bytes] | None) -> None:
        self.reply(request, {"python": sys.executable, "path": os.environ.get("PATH", os.defpath)})

    def do_exec(self, request: Request, _: IO[bytes] | None) -> None:
        self.started += 1
        command = Command({**request, "user": self.user}, f"{self.scratch}/{self.started}")
        self.commands[command.id] = command
        self.selector.register(command.status, selectors.EVENT_READ, (command, None))
        for capture in (command.stdout, command.stderr):
            self.selector.register(capture.fd, selectors.EVENT_READ, (command, capture))

    def do_cancel(self, request: Request, _: IO[bytes] | None) -> None:
        command = self.commands.get(request["target"])
        if command is not None:
            command.kill()

    def do_read(self, request: Request, _: IO[bytes] | None) -> None:
        with tree(request["root"]) as files:
            fd = files.regular(request["path"])
        size = os.fstat(fd).st_size
        wanted = (request["offset"], request["limit"], request["max_bytes"])
        data, last_line, whole = read_lines(fd, *wanted)
        self.reply(request, {"last_line": last_line, "whole": whole, "size": size}, data)

    def do_fetch(self, request: Request, _: IO[bytes] | None) -> None:
        with tree(request["root"]) as files:
            fd = files.regular(request["path"])
        limit = request["max_bytes"]
        with os.fdopen(fd, "rb") as file:
            data = file.read(limit + 1)
        if len(data) > limit:
            raise OSError(errno.EFBIG, f"is larger than {limit} bytes", request["path"])
        self.reply(request, {}, data)

    def do_write(self, request: Request, upload: IO[bytes]) -> None:
        with tree(request["root"]) as files:
            files.replace(request["path"], upload, request["mode"])
        self.reply(request, {})

    def do_list(self, request: Request, _: IO[bytes] | None) -> None:
        with tree(request["root"]) as files:
            fd = files.directory(request["path"])
        entries, total = list_directory(fd, request["max_entries"])
        self.reply(request, {"total": total}, json.dumps(entries).encode())

    def do_snapshot(self, request: Request, _: IO[bytes] | None) -> None:
        limits = (request["max_bytes"], request["max_files"], request["exclude"])
        with tree(request["root"]) as files:
            about = Snapshot(files, *limits).write(
                lambda data: self.send({"id": request["id"], "more": True}, data)
            )
        self.reply(request, about)

    def do_restore(self, request: Request, upload: IO[bytes]) -> None:
        os.makedirs(request["root"], exist_ok=True)
        with tree(request["root"]) as files:
            restore(files, upload)
        self.reply(request, {})

    def do_listen(self, request: Request, _: IO[bytes] | None) -> None:
        self.relay = Relay(self.selector, self.send, request)
        self.reply(request, {})

    def do_kill_all(self, request: Request, _: IO[bytes] | None) -> None:
        self.kill_everything()
        self.reply(request, {"survivors": len(descendants(os.getpid()))})

    # How it is said.

    def send(self, meta: dict[str, Any], data: bytes = b"") -> None:
        """Send one frame."""
        raw = json.dumps(meta).encode()
        left = memoryview(HEADER.pack(len(raw), len(data)) + raw + data)
        while left:
            left = left[os.write(1, left) :]

    def reply(self, request: Request, about: dict[str, Any], data: bytes = b"") -> None:
        """Send a whole reply."""
        while len(data) > CHUNK:
            self.send({"id": request["id"], "more": True}, data[:CHUNK])
            data = data[CHUNK:]
        self.send({"id": request["id"], "ok": about}, data)

    def fail(self, request: Request, error: Exception) -> None:
        """Say that a request failed, and how."""
        is_os = isinstance(error, OSError) and bool(error.strerror)
        self.send(
            {
                "id": request["id"],
                "error": type(error).__name__,
                "errno": getattr(error, "errno", None),
                "message": str(error.strerror if is_os else error)[:4000],  # type: ignore[attr-defined]
                "path": request.get("path"),
            }
        )

    # How it runs.

    def turn(self, longest: float | None) -> None:
        """Wait for the next thing to happen, at most `longest` seconds, and see to it."""
        due = [c.deadline for c in self.commands.values() if not c.given_up]
        waits = [max(0.0, moment - time.monotonic()) for moment in due if moment < math.inf]
        waits += [] if longest is None else [longest]
        for key, events in self.selector.select(min(waits, default=None)):
            if self.selector.get_map().get(key.fd) is not key:
                continue  # a request before it in this turn has seen to it
            if key.fd == 0:
                self.take_input()
            elif key.fd == self.woken:
                os.read(self.woken, 4096)
                reap()
            elif callable(key.data):
                key.data(events)
            else:
                self.see_to(key.fd, *key.data)
        for command in list(self.commands.values()):
            if time.monotonic() >= command.deadline and not command.given_up:
                command.expire()

    def see_to(self, fd: int, command: Command, capture: Capture | None) -> None:
        """See to a command: something was written, or its supervisor reports."""
        if capture is not None:
            if not capture.drain():
                self.selector.unregister(fd)
                os.close(fd)
            return
        alive = command.read_report()
        if not command.answered and (command.over or not alive):
            self.reply({"id": command.id}, *command.result())
            self.forget_old_spools(command)
        if not alive:
            self.forget(command)

    def forget_old_spools(self, command: Command) -> None:
        """Keep the long outputs of the latest commands, within a budget for all together."""
        self.spooled += [c for c in (command.stdout, command.stderr) if c.spooled]
        while sum(capture.spooled for capture in self.spooled) > ALL_SPOOLS_BYTES:
            with contextlib.suppress(OSError):
                os.unlink(self.spooled.pop(0).spool_path)

    def forget(self, command: Command) -> None:
        """A supervisor is gone. If the agent killed it, what it watched over goes too."""
        self.selector.unregister(command.status)
        command.close()
        del self.commands[command.id]
        watched = [other.supervisor for other in self.commands.values()]
        send_signal(descendants(os.getpid(), spare=watched), signal.SIGKILL)

    def kill_everything(self) -> None:
        """Leave nothing running but this process."""
        deadline = time.monotonic() + KILL_WITHIN_S
        for command in self.commands.values():
            command.kill()
        while self.open and self.commands and time.monotonic() < deadline:
            self.turn(0.05)
        if os.getpid() == 1:
            with contextlib.suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)  # PID 1 of a namespace of its own, and nowhere else
        kill_tree(os.getpid(), time.monotonic() + KILL_WITHIN_S)
        reap()

    def take_input(self) -> None:
        """Read what came in, and answer every request that is complete."""
        with contextlib.suppress(BlockingIOError):
            data = os.read(0, CHUNK)
            self.open = bool(data)
            self.incoming += data
        while len(self.incoming) >= HEADER.size:
            meta, payload = HEADER.unpack_from(self.incoming)
            if meta > MAX_META or payload > MAX_PAYLOAD:
                sys.exit(f"a frame of {meta} + {payload} bytes")
            start, end = HEADER.size + meta, HEADER.size + meta + payload
            if len(self.incoming) < end:
                return
            request = json.loads(bytes(self.incoming[HEADER.size : start]))
            body = bytes(self.incoming[start:end])
            del self.incoming[:end]
            try:
                self.take_request(request, body)
            except (OSError, ValueError, SnapshotTooLargeError, tarfile.TarError) as error:
                self.fail(request, error)

    def take_request(self, request: Request, body: bytes) -> None:
        """Answer one request, or keep a part of its upload."""
        if request["op"] == "relay":
            if self.relay:
                self.relay.take(request, body)
            return
        do = getattr(self, "do_" + request["op"])
        if request["op"] not in BRING_FILES:
            do(request, None)
            return
        more = bool(request.get("more"))
        upload = self.uploads.pop(request["id"], None)
        if upload is None and request["part"]:
            return  # an earlier part failed, and that has been answered
        if upload is None:
            upload = tempfile.TemporaryFile()  # noqa: SIM115 - may outlive this frame
        try:
            upload.write(body)
            if more:
                self.uploads[request["id"]] = upload
                return
            upload.seek(0)
            do(request, upload)
        finally:
            if self.uploads.get(request["id"]) is not upload:
                upload.close()


def serve(scratch: str, user: Sequence[int] | None) -> None:
    """Serve one sandbox until stdin ends.

    Args:
        scratch: A directory for long outputs.
        user: The ids of the user and group that everything of the agent's belongs to; None
            where that is the helper's own.
    """
    identity = (user[0], user[1]) if user else None
    for number in KILLERS:
        signal.signal(number, signal.SIG_IGN)  # with Python's handlers, PID 1 could be killed
    join_new_keyring()
    prctl(PR_SET_DUMPABLE, 0)  # the same user's code can neither trace this nor read its memory
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    if identity:
        touch_files_as(*identity)
    os.umask(0o022)
    os.makedirs(scratch, exist_ok=True)
    Helper(scratch, identity).run()
