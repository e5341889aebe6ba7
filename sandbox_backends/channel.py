"""The server's end of the stream to a helper: one `Sandbox` over one pair of byte streams.

Above it: whoever holds a `Sandbox`. Below it: the frames that
`proctor.sandbox_backends.helper.conversation` describes. Requests overlap freely; each has its
own id.
"""

import builtins
import errno
import itertools
import json
import math
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal

import anyio
from anyio.abc import ByteReceiveStream, ByteSendStream
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from anyio.to_thread import run_sync
from typing_extensions import override

from proctor.sandbox_backends.base import (
    OUTPUT_LIMIT,
    BytesSink,
    FileSlice,
    Sandbox,
    SnapshotInfo,
)
from proctor.sandbox_backends.concurrency import alongside
from proctor.sandbox_backends.helper import first_frame
from proctor.schemas.base import Value
from proctor.schemas.errors import (
    SandboxError,
    SandboxLostError,
    SandboxStartError,
    SubmissionError,
)
from proctor.schemas.sandbox import Captured, ExecResult, FileEntry, Job, JobOutput, SandboxInfo

HEADER = struct.Struct(">II")
CHUNK = 1 << 18
REPLY_LIMIT = 2 << 20
"""Bytes of one reply frame; the helper sends less, so a larger one is forged or corrupt."""
REQUEST_LIMIT = 1 << 20
"""Bytes of a request without the files that it brings."""
START_WITHIN_S = 30.0
CAUSE_WITHIN_S = 3.0
"""How long it may take to find out what became of a machine that is gone."""
GIVE_UP_S = 30.0
"""How long a command that was cancelled or timed out may take to be killed, before its sandbox
counts as lost."""
SMALL_REPLY = 1 << 20
"""Bytes of data of a reply that brings no file, at most."""
ENTRY_BYTES = 2048
"""A directory's entry at most, as the helper sends it: each byte of a name can take six."""
JOBS_BYTES = 16 << 20
"""The list of all jobs at most: several kilobytes of each, of as many as there can be processes."""
ARCHIVED_BYTES = 32 << 10
"""What an archive adds to the content of an entry at most: paths as deep as they are allowed."""
NOT_KEPT = ("__pycache__",)
"""What no snapshot holds: derived, and a place to hide code that the grader would run."""

Reply = tuple[dict[str, Any], bytes]


@dataclass(frozen=True)
class Exchange:
    """One request and the frames of its reply."""

    id: int
    frames: MemoryObjectReceiveStream[Reply]
    gone: Callable[[], SandboxLostError]

    async def next(self) -> Reply:
        """The next frame; the last one holds ``ok``.

        Raises:
            SandboxLostError: The sandbox is gone.
            SubmissionError: A snapshot would be too large.
            OSError | ValueError: What the helper met, as the builtin that says so.
        """
        try:
            meta, data = await self.frames.receive()
        except anyio.EndOfStream:
            raise self.gone() from None
        if "error" in meta:
            raise _as_exception(meta)
        return meta, data

    async def all(self, max_bytes: int = SMALL_REPLY) -> Reply:
        """The whole reply: what its last frame says, and the data of all.

        Raises:
            SandboxError: It brings more data than `max_bytes`.
        """
        data = bytearray()
        while True:
            meta, more = await self.next()
            data += more
            if len(data) > max_bytes:
                raise SandboxError(f"the sandbox answers with more than {max_bytes} bytes")
            if "ok" in meta:
                return meta["ok"], bytes(data)


class Channel:
    """Requests to a helper, and the replies to them."""

    def __init__(
        self,
        send: ByteSendStream,
        receive: ByteReceiveStream,
        why_gone: Callable[[], Awaitable[str]] | None = None,
    ) -> None:
        """Speak over a pair of streams.

        Args:
            send: To the helper's stdin.
            receive: From its stdout.
            why_gone: Finds out, once the stream has ended, what became of the machine.
        """
        self._send = send
        self._sending = anyio.Lock(fast_acquire=True)
        self._receive = receive
        self._received = bytearray()
        self._ids = itertools.count(1)
        self._waiting: dict[int, MemoryObjectSendStream[Reply]] = {}
        self._why_gone = why_gone
        self._cause = ""
        self._lost = anyio.Event()
        self.unasked: Callable[[dict[str, Any], bytes], object] | None = None
        """Told at once of every frame that answers nothing; a ValueError says that it makes no
        sense, and with it the stream. Must not wait: all replies do."""

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[None]:
        """Receive replies for as long as the context lasts."""
        async with alongside(self._read_replies):
            yield

    async def send(self, data: bytes) -> None:
        """Send raw bytes: a frame, or before any frame the helper itself.

        Raises:
            SandboxLostError: The stream is gone.
        """
        try:
            async with self._sending:  # streams refuse a second sender
                await self._send.send(data)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError) as error:
            with anyio.move_on_after(CAUSE_WITHIN_S):
                await self._lost.wait()
            raise self._gone() from error

    def _gone(self) -> SandboxLostError:
        cause = f": {self._cause}" if self._cause else ""
        return SandboxLostError(f"the sandbox is gone{cause}")

    async def _read_replies(self) -> None:
        """Hand every frame to whoever asked for it, until the stream ends or makes no sense."""
        try:
            with suppress(
                anyio.EndOfStream,
                anyio.BrokenResourceError,
                anyio.ClosedResourceError,
                OSError,
                ValueError,
            ):
                while True:
                    await self._deliver(*await self._read_frame())
            if self._why_gone is not None:
                with anyio.move_on_after(CAUSE_WITHIN_S):
                    self._cause = await self._why_gone()
        finally:
            self._lost.set()
            for waiting in self._waiting.values():
                waiting.close()

    async def _read_frame(self) -> Reply:
        await self._have(HEADER.size)
        meta_size, data_size = HEADER.unpack_from(self._received)
        start, end = HEADER.size + meta_size, HEADER.size + meta_size + data_size
        if end > REPLY_LIMIT:
            raise ValueError("a frame that no helper sends")
        await self._have(end)
        meta = _parsed(self._received[HEADER.size : start])
        data = bytes(self._received[start:end])
        del self._received[:end]
        return meta, data

    async def _have(self, size: int) -> None:
        """Receive until so much is there. A stream per frame would cost as much as the frame."""
        while len(self._received) < size:
            self._received += await self._receive.receive(CHUNK)

    async def _deliver(self, meta: dict[str, Any], data: bytes) -> None:
        if not meta.get("id"):
            if self.unasked is not None:
                self.unasked(meta, data)
            return
        waiting = self._waiting.get(meta["id"])
        if waiting is not None:
            with suppress(anyio.BrokenResourceError):  # whoever asked has left
                await waiting.send((meta, data))

    async def post(self, fields: Mapping[str, Any], data: bytes = b"") -> None:
        """Send one frame.

        Raises:
            SandboxLostError: The sandbox is gone.
            ValueError: The request is too long.
        """
        meta = json.dumps(fields).encode()
        if len(meta) > REQUEST_LIMIT:
            raise ValueError(f"a request of {len(meta)} bytes, more than {REQUEST_LIMIT}")
        await self.send(HEADER.pack(len(meta), len(data)) + meta + data)

    @asynccontextmanager
    async def ask(
        self, op: str, fields: Mapping[str, Any], upload: BinaryIO | None = None
    ) -> AsyncGenerator[Exchange]:
        """Send a request; its reply can be read as long as the context lasts."""
        with self._expect() as exchange:
            await self._send_request({"id": exchange.id, "op": op, **fields}, upload)
            yield exchange

    async def call(
        self,
        op: str,
        fields: Mapping[str, Any],
        upload: BinaryIO | None = None,
        *,
        max_bytes: int = SMALL_REPLY,
    ) -> Reply:
        """Send a request and gather its whole reply, of at most `max_bytes` of data."""
        async with self.ask(op, fields, upload) as exchange:
            return await exchange.all(max_bytes)

    @contextmanager
    def _expect(self) -> Generator[Exchange]:
        if self._lost.is_set():
            raise self._gone()
        number = next(self._ids)
        sender, receiver = anyio.create_memory_object_stream[Reply](16)
        self._waiting[number] = sender
        try:
            with sender, receiver:
                yield Exchange(number, receiver, self._gone)
        finally:
            del self._waiting[number]

    async def _send_request(self, request: dict[str, Any], upload: BinaryIO | None) -> None:
        if upload is None:
            await self.post(request)
            return
        chunk, part = upload.read(CHUNK), 0
        while following := upload.read(CHUNK):
            await self.post({**request, "part": part, "more": True}, chunk)
            chunk, part = following, part + 1
        await self.post({**request, "part": part}, chunk)


def _parsed(raw: bytes | bytearray) -> dict[str, Any]:
    """What a frame says.

    Raises:
        ValueError: No helper says that.
    """
    try:
        meta: Any = json.loads(raw, parse_constant=_no_number)
    except RecursionError as error:
        raise ValueError("a frame nested too deep") from error
    try:
        meta["id"] = int(meta["id"])
    except (LookupError, TypeError) as error:
        raise ValueError("a frame that answers nothing") from error
    return dict(meta)


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number")


@contextmanager
def making_sense() -> Generator[None]:
    """Read a reply's fields: whatever is wrong with them is the sandbox's failure."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise SandboxError(f"the sandbox answers what makes no sense: {error!r:.200}") from error


def _as_exception(meta: Mapping[str, Any]) -> Exception:
    kind = str(meta["error"])
    message = str(meta.get("message", "")).encode("utf-8", "replace").decode()
    if kind == "SnapshotTooLargeError":
        return SubmissionError(f"the workspace is too large to be handed in: {message}")
    if kind in ("ValueError", "LookupError"):
        return {"ValueError": ValueError, "LookupError": LookupError}[kind](message)
    builtin = getattr(builtins, kind, None)
    if isinstance(builtin, type) and issubclass(builtin, OSError):
        number, path = meta.get("errno"), meta.get("path")
        return builtin(
            number if isinstance(number, int) else errno.EIO,
            message,
            path if isinstance(path, str) else None,
        )
    return SandboxError(f"the sandbox failed: {kind}: {message}")


class Greeting(Value):
    """What a helper says of the machine that it finds itself in."""

    python: str
    """The interpreter that runs it, as a path in the sandbox."""
    path: str
    """Where programs are looked for: directories, joined by colons."""


async def start_helper(
    channel: Channel,
    scratch: str,
    complaints: object,
    user: tuple[int, int] | None = None,
) -> Greeting:
    """Send the helper to an interpreter that waits for it, and hear from it.

    Args:
        channel: A stream to `BOOT_ARGS`; it must be read from.
        scratch: Where long outputs go, a directory in the sandbox.
        complaints: What the machine has said on stderr, as text.
        user: See `first_frame`.

    Raises:
        SandboxStartError: It did not answer.
    """
    try:
        with anyio.fail_after(START_WITHIN_S):
            await channel.send(first_frame(scratch, user))
            about, _ = await channel.call("hello", {})
    except TimeoutError as error:
        raise SandboxStartError(f"the sandbox was not up in {START_WITHIN_S:g} s") from error
    except SandboxError as error:
        reason = str(complaints) or str(error)
        raise SandboxStartError(f"the sandbox did not come up: {reason}") from error
    try:
        with making_sense():
            return Greeting(**about)
    except SandboxError as error:
        raise SandboxStartError(f"the sandbox did not come up: {error}") from error


class ChannelSandbox(Sandbox):
    """The sandbox at the other end of a channel."""

    def __init__(
        self,
        channel: Channel,
        info: SandboxInfo,
        *,
        env: Mapping[str, str],
        rlimits: Mapping[str, int],
    ) -> None:
        """Wrap a channel whose helper has been started.

        Args:
            channel: It must be read from for as long as the sandbox is used.
            info: What the backend made.
            env: The whole environment of every command.
            rlimits: Limits of every command's processes, by their name in `resource`.
        """
        self._channel = channel
        self._info = info
        self._env = dict(env)
        self._rlimits = dict(rlimits)

    @property
    @override
    def info(self) -> SandboxInfo:
        return self._info

    @override
    async def exec(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        foreground_s: float | None = None,
        preloaded: bool = False,
    ) -> ExecResult:
        answer_within_s = min(timeout_s, timeout_s if foreground_s is None else foreground_s)
        request = {
            "argv": list(argv),
            "cwd": cwd or self._info.workdir,
            "env": {**self._env, **(env or {})},
            "rlimits": self._rlimits,
            "timeout": None if timeout_s == math.inf else timeout_s,
            "foreground": foreground_s,
            "preloaded": preloaded,
            "limit": OUTPUT_LIMIT,
        }
        async with self._channel.ask("exec", request) as exchange:
            try:
                with anyio.fail_after(answer_within_s + GIVE_UP_S):
                    about, data = await exchange.all()
            except anyio.get_cancelled_exc_class():
                await self._kill(exchange)
                raise
            except TimeoutError as error:
                raise SandboxLostError("the sandbox does not answer") from error
        with making_sense():
            return _exec_result(about, data)

    @override
    async def jobs(self) -> tuple[Job, ...]:
        _, data = await self._channel.call("jobs", {}, max_bytes=JOBS_BYTES)
        with making_sense():
            return tuple(Job(**each) for each in _listed(data))

    @override
    async def job_output(
        self,
        job_id: int,
        *,
        stream: Literal["stdout", "stderr"] = "stdout",
        offset: int | None = None,
        max_bytes: int = OUTPUT_LIMIT,
        wait_s: float = 0,
    ) -> tuple[Job, JobOutput]:
        if wait_s:
            await self._channel.call("job_wait", {"job": job_id, "wait": wait_s})
        wanted = {"stream": stream, "offset": offset, "max_bytes": max_bytes}
        request = {"job": job_id, **wanted}
        about, data = await self._channel.call("job_output", request, max_bytes=max_bytes)
        with making_sense():
            output = JobOutput(data=data, offset=about.pop("offset"), total=about.pop("total"))
            return Job(**about), output

    @override
    async def job_stop(self, job_id: int) -> Job:
        about, _ = await self._channel.call("job_stop", {"job": job_id})
        with making_sense():
            return Job(**about)

    async def _kill(self, exchange: Exchange) -> None:
        with anyio.move_on_after(GIVE_UP_S, shield=True), suppress(SandboxError):
            await self._channel.post({"id": 0, "op": "cancel", "target": exchange.id})
            await exchange.all()

    @override
    async def read(
        self, path: str, *, offset: int = 1, limit: int | None = None, max_bytes: int
    ) -> FileSlice:
        wanted = {"offset": offset, "limit": limit, "max_bytes": max_bytes}
        request = {**self._place(path, None), **wanted}
        about, data = await self._channel.call("read", request, max_bytes=max_bytes)
        with making_sense():
            return FileSlice(data=data, **about)

    @override
    async def fetch(self, path: str, *, max_bytes: int, root: str | None = None) -> bytes:
        request = {**self._place(path, root), "max_bytes": max_bytes}
        _, data = await self._channel.call("fetch", request, max_bytes=max_bytes)
        return data

    @override
    async def write(
        self, path: str, source: BinaryIO, *, root: str | None = None, mode: int | None = None
    ) -> None:
        await self._channel.call("write", {**self._place(path, root), "mode": mode}, source)

    @override
    async def list(
        self, path: str, *, root: str | None = None, max_entries: int = 10_000
    ) -> tuple[tuple[FileEntry, ...], int]:
        request = {**self._place(path, root), "max_entries": max_entries}
        limit = (max_entries + 1) * ENTRY_BYTES
        about, data = await self._channel.call("list", request, max_bytes=limit)
        with making_sense():
            return _entries(about, data)

    @override
    async def snapshot(
        self, target: BytesSink, *, max_bytes: int, max_files: int = 20_000
    ) -> SnapshotInfo:
        limits = {"max_bytes": max_bytes, "max_files": max_files, "exclude": NOT_KEPT}
        request = {"root": self._info.workdir, **limits}
        left = max_bytes + max_files * ARCHIVED_BYTES + SMALL_REPLY
        async with self._channel.ask("snapshot", request) as exchange:
            while True:
                meta, data = await exchange.next()
                if "ok" in meta:
                    with making_sense():
                        return SnapshotInfo(**meta["ok"])
                left -= len(data)
                if left < 0:
                    raise SandboxError("the sandbox hands over more than a snapshot can hold")
                await run_sync(target.write, data)

    @override
    async def restore(self, archive: BinaryIO, *, root: str | None = None) -> None:
        await self._channel.call("restore", {"root": root or self._info.workdir}, archive)

    @override
    async def kill_all(self) -> None:
        about, _ = await self._channel.call("kill_all", {})
        with making_sense():
            survivors = int(about["survivors"])
        if survivors:
            raise SandboxError(f"{survivors} processes could not be killed")

    def _place(self, path: str, root: str | None) -> dict[str, str]:
        return {"root": root or self._info.workdir, "path": path}


def _exec_result(about: Mapping[str, Any], data: bytes) -> ExecResult:
    streams: list[Captured] = []
    for stream in (about["stdout"], about["stderr"]):
        head, tail = stream["head"], stream["tail"]
        if head < 0 or tail < 0 or head + tail > len(data):
            raise ValueError(f"{head} and {tail} of {len(data)} bytes")
        streams.append(
            Captured(
                head=data[:head],
                tail=data[head : head + tail],
                total=stream["total"],
                spool=stream["spool"],
            )
        )
        data = data[head + tail :]
    return ExecResult(
        exit_code=about["exit_code"],
        stdout=streams[0],
        stderr=streams[1],
        timed_out=about["timed_out"],
        oom_killed=about["oom_killed"],
        job=about["job"],
        duration_s=about["duration"],
    )


def _entries(about: Mapping[str, Any], data: bytes) -> tuple[tuple[FileEntry, ...], int]:
    listed = (FileEntry(name=n, kind=k, size=s) for n, k, s in _listed(data))
    return tuple(listed), int(about["total"])


def _listed(data: bytes) -> Any:  # noqa: ANN401 - whatever a helper says
    try:
        return json.loads(data)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
