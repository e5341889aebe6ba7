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
import time

from proctor.sandbox_backends.helper.commands import Command, Jobs, never_run
from proctor.sandbox_backends.helper.files import (
    CHUNK,
    SnapshotTooLargeError,
    list_directory,
    read_lines,
    temporary,
    tree,
)
from proctor.sandbox_backends.helper.output import Capture
from proctor.sandbox_backends.helper.preload import Preloaded
from proctor.sandbox_backends.helper.processes import (
    KILL_WITHIN_S,
    PR_SET_CHILD_SUBREAPER,
    PR_SET_DUMPABLE,
    descendants,
    join_new_keyring,
    kill_tree,
    oom_kills,
    prctl,
    reap,
    touch_files_as,
    wake_on_child,
)
from proctor.sandbox_backends.helper.supervisor import Supervisor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO, Any

    from proctor.sandbox_backends.helper.relay import Relay

    Request = dict[str, Any]

HEADER = struct.Struct(">II")
KILLERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
MAX_META = 1 << 20
MAX_PAYLOAD = 1 << 20
IDLE_AT_MOST = 2
ALL_SPOOLS_BYTES = 64 << 20
BRING_FILES = ("write", "restore")


class Helper:
    """Answers requests until its stdin ends."""

    def __init__(self, sent: dict[str, Any], user: tuple[int, int] | None) -> None:
        self.scratch, self.user = sent["scratch"], user
        self.preloaded = Preloaded(sent, user)
        self.commands: dict[int, Command] = {}
        self.idle: list[Supervisor] = []
        self.uploads: dict[int, IO[bytes]] = {}
        self.incoming = bytearray()
        self.relay: Relay | None = None
        self.started = 0
        self.spooled: list[Capture] = []
        self.jobs = Jobs()
        self.oom_kills = oom_kills()
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
        try:
            preloaded = self.preloaded.taken_for(request)
            supervisor = preloaded or self.free_supervisor()
        except OSError as error:
            self.reply(request, *never_run(error))
            return
        command = Command(request, f"{self.scratch}/{self.started}", supervisor)
        command.stack = request.get("stack") if preloaded else None
        self.commands[command.id] = command
        self.selector.register(supervisor.report, selectors.EVENT_READ, (command, None))
        for capture in (command.stdout, command.stderr):
            self.selector.register(capture.fd, selectors.EVENT_READ, (command, capture))

    def do_cancel(self, request: Request, _: IO[bytes] | None) -> None:
        command = self.commands.get(request["target"])
        if command is not None and command.job is None:
            command.kill()

    def do_jobs(self, request: Request, _: IO[bytes] | None) -> None:
        jobs = [job.as_job() for job in self.jobs.known.values()]
        self.reply(request, {}, json.dumps(jobs).encode())

    def do_job_wait(self, request: Request, _: IO[bytes] | None) -> None:
        self.wait_for_job(request, request["wait"])

    def do_job_stop(self, request: Request, _: IO[bytes] | None) -> None:
        job = self.jobs[request["job"]]
        if job.ended_at is None:
            job.kill()
        self.wait_for_job(request, math.inf)

    def do_job_output(self, request: Request, _: IO[bytes] | None) -> None:
        job, size = self.jobs[request["job"]], request["max_bytes"]
        stream = job.stderr if request["stream"] == "stderr" else job.stdout
        stream.drain()
        offset = request["offset"]
        begin, data = stream.page(max(stream.total - size, 0) if offset is None else offset, size)
        self.reply(request, {**job.as_job(), "offset": begin, "total": stream.total}, data)

    def wait_for_job(self, request: Request, seconds: float) -> None:
        """Answer how it stands with a job once it has ended, or after some seconds."""
        job = self.jobs[request["job"]]
        if job.ended_at is not None:
            self.reply(request, job.as_job())
        else:
            self.jobs.waiting.append((time.monotonic() + seconds, request, job))

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
        from proctor.sandbox_backends.helper.snapshots import Snapshot

        limits = (request["max_bytes"], request["max_files"], request["exclude"])
        with tree(request["root"]) as files:
            about = Snapshot(files, *limits).write(
                lambda data: self.send({"id": request["id"], "more": True}, data)
            )
        self.reply(request, about)

    def do_restore(self, request: Request, upload: IO[bytes]) -> None:
        from proctor.sandbox_backends.helper.snapshots import restore

        os.makedirs(request["root"], exist_ok=True)
        with tree(request["root"]) as files:
            restore(files, upload)
        self.reply(request, {})

    def do_listen(self, request: Request, _: IO[bytes] | None) -> None:
        from proctor.sandbox_backends.helper.relay import Relay

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
        due += [c.answer_by for c in self.commands.values()]
        due += [deadline for deadline, _, _ in self.jobs.waiting]
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
        self.see_to_deadlines()
        for request, job in self.jobs.due():
            self.reply(request, job.as_job())

    def see_to_deadlines(self) -> None:
        """See to the commands that have run long enough, by either of their limits."""
        for command in list(self.commands.values()):
            if time.monotonic() >= command.deadline and not command.given_up:
                command.expire()
                if command.given_up:  # a stopped child of its supervisor may hold the report open
                    self.conclude(command, alive=False)
                    continue
            if time.monotonic() >= command.answer_by and not command.killed:
                self.jobs.add(command)
                self.answer(command)

    def see_to(self, fd: int, command: Command, capture: Capture | None) -> None:
        """See to a command: something was written, or its supervisor reports."""
        if capture is not None:
            if not capture.drain():  # its supervisor, which holds the other end, is gone
                self.selector.unregister(fd)
            return
        self.conclude(command, alive=command.read_report())

    def conclude(self, command: Command, *, alive: bool) -> None:
        """Answer a command that has ended, and forget one of which nothing is left."""
        if command.ended_at is None and (command.ended or not alive):
            command.end()
            if not command.answered:
                self.answer(command)
            self.forget_old_spools(command)
        if command.over or not alive:
            self.forget(command, alive=alive)

    def answer(self, command: Command) -> None:
        """Say how a command ended, or that it has become a job."""
        about, output = command.result()
        about["oom_killed"] = bool(about["exit_code"]) and self.was_out_of_memory()
        self.reply({"id": command.id}, about, output)
        if command.job is None:
            self.jobs.forget(command)

    def was_out_of_memory(self) -> bool:
        """Whether the kernel has killed something here for want of memory since last asked."""
        before, self.oom_kills = self.oom_kills, oom_kills()
        return self.oom_kills > before

    def free_supervisor(self) -> Supervisor:
        """One that waits for a command; the agent may have killed some of those."""
        while self.idle:
            supervisor = self.idle.pop()
            if supervisor.answers():
                return supervisor
            supervisor.close()
        return Supervisor(self.user)

    def forget_old_spools(self, command: Command) -> None:
        """Keep the long outputs of the latest commands, within a budget for all together."""
        self.spooled += [c for c in (command.stdout, command.stderr) if c.spooled]
        while sum(capture.spooled for capture in self.spooled) > ALL_SPOOLS_BYTES:
            self.spooled.pop(0).remove()

    def forget(self, command: Command, *, alive: bool) -> None:
        """Nothing is left of a command, so that its supervisor is free for another.

        If the agent killed the supervisor, what it watched over goes, too.
        """
        del self.commands[command.id]
        supervisor = command.supervisor
        command.stdout.detach()
        command.stderr.detach()
        for fd in (supervisor.report, supervisor.stdout, supervisor.stderr):
            with contextlib.suppress(KeyError):
                self.selector.unregister(fd)
        if alive and command.stack is not None:
            self.preloaded.give_back(supervisor, stack=command.stack)
            return
        if alive:
            with contextlib.suppress(OSError):  # the agent has used up the processes
                self.preloaded.start_for(command.request)
        if alive and len(self.idle) < IDLE_AT_MOST:
            self.idle.append(supervisor)
            return
        supervisor.close()
        if not alive:
            watched = [other.supervisor.pid for other in self.commands.values()]
            watched += [other.pid for other in self.idle] + self.preloaded.pids
            kill_tree(os.getpid(), time.monotonic() + KILL_WITHIN_S, spare=watched)

    def kill_everything(self) -> None:
        """Leave nothing running but this process."""
        deadline = time.monotonic() + KILL_WITHIN_S
        for command in self.commands.values():
            command.kill()
        while self.open and self.commands and time.monotonic() < deadline:
            self.turn(0.05)
        while self.idle:
            self.idle.pop().close()
        self.preloaded.close()
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
            except (OSError, ValueError, LookupError, SnapshotTooLargeError) as error:
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
            upload = temporary(self.scratch)
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


def serve(sent: dict[str, Any]) -> None:
    """Serve one sandbox until stdin ends.

    Args:
        sent: What `first_frame` sent: this code, ``scratch``, a directory for long outputs, and
            ``user``, whose everything of the agent's is.
    """
    identity = (sent["user"][0], sent["user"][1]) if sent["user"] else None
    for number in KILLERS:
        signal.signal(number, signal.SIG_IGN)  # with Python's handlers, PID 1 could be killed
    join_new_keyring()
    prctl(PR_SET_DUMPABLE, 0)  # the same user's code can neither trace this nor read its memory
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    if identity:
        touch_files_as(*identity)
    os.umask(0o022)
    os.makedirs(sent["scratch"], exist_ok=True)
    Helper(sent, identity).run()
