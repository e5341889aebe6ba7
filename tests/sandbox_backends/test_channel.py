"""What a helper that has gone wrong, or over to the agent, can do to the server: nothing."""

import io
import json
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from anyio.abc import ByteReceiveStream, ByteSendStream
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from proctor.sandbox_backends.base import Sandbox
from proctor.sandbox_backends.channel import Channel, ChannelSandbox, start_helper
from proctor.schemas.errors import (
    SandboxError,
    SandboxLostError,
    SandboxStartError,
    SubmissionError,
)
from proctor.schemas.sandbox import SandboxInfo

INFO = SandboxInfo(
    backend="fake",
    isolation="none",
    limits="none",
    workdir="/w",
    scratch="/s",
    python="/p",
    memory_bytes=1,
    foreground_s=1,
)
REFUSALS = (SandboxError, SubmissionError, OSError)
EXACT = (ValueError, LookupError)
"""What a helper may say of a request; anything below these would be an accident of ours."""


class Peer(ByteSendStream, ByteReceiveStream):
    """A byte stream whose other end answers the first request with `answer`, and goes."""

    def __init__(self, answer: bytes, piece: int = 1 << 16) -> None:
        self._answer, self._piece = answer, piece
        self._asked = anyio.Event()

    @override
    async def send(self, item: bytes) -> None:
        self._asked.set()

    @override
    async def receive(self, max_bytes: int = 65536) -> bytes:
        await self._asked.wait()
        size = min(max_bytes, self._piece)
        given, self._answer = self._answer[:size], self._answer[size:]
        if not given:
            raise anyio.EndOfStream
        return given

    @override
    async def aclose(self) -> None:
        self._asked.set()


class Counting:
    """A sink that knows how much it took."""

    def __init__(self) -> None:
        self.taken = 0

    def write(self, data: bytes, /) -> object:
        self.taken += len(data)
        return None


OPERATIONS: dict[str, Callable[[Sandbox], Awaitable[object]]] = {
    "exec": lambda it: it.exec(["true"], timeout_s=5),
    "jobs": lambda it: it.jobs(),
    "job_output": lambda it: it.job_output(1, max_bytes=100),
    "job_output_later": lambda it: it.job_output(1, wait_s=1),
    "job_stop": lambda it: it.job_stop(1),
    "read": lambda it: it.read("f", max_bytes=100),
    "fetch": lambda it: it.fetch("f", max_bytes=100),
    "write": lambda it: it.write("f", io.BytesIO(b"x")),
    "list": lambda it: it.list("", max_entries=10),
    "snapshot": lambda it: it.snapshot(io.BytesIO(), max_bytes=100, max_files=10),
    "restore": lambda it: it.restore(io.BytesIO(b"x")),
    "kill_all": lambda it: it.kill_all(),
}


def frame(meta: object, data: bytes = b"") -> bytes:
    raw = meta if isinstance(meta, bytes) else json.dumps(meta).encode()
    return struct.pack(">II", len(raw), len(data)) + raw + data


async def ask(operation: str, answer: bytes, piece: int = 1 << 16) -> object:
    """What an operation comes to, answered so: its result, or the error that it raised."""
    peer = Peer(answer, piece)
    channel = Channel(peer, peer)
    with anyio.fail_after(20):
        async with channel.reading():
            sandbox = ChannelSandbox(channel, INFO, env={}, rlimits={})
            try:
                return await OPERATIONS[operation](sandbox)
            except REFUSALS as error:
                return error
            except EXACT as error:
                if type(error) not in EXACT:
                    raise
                return error


anything: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["file", "FileNotFoundError", "TimeoutError", "OSError", "KeyError"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=6,
)
FIELDS = (
    "exit_code", "timed_out", "oom_killed", "duration", "job", "stdout", "stderr", "jobs", "id",
    "argv", "running", "duration_s", "stdout_bytes", "stderr_bytes", "offset", "total",
    "last_line", "whole", "size", "files", "bytes", "skipped", "survivors", "head", "tail",
    "spool",
)  # fmt: skip
STREAM = {"head": 1, "tail": 1, "total": 2, "spool": None}
TRUTHS: dict[str, Any] = {
    "exec": {
        "exit_code": 0, "timed_out": False, "oom_killed": False, "duration": 0.1, "job": None,
        "stdout": STREAM, "stderr": STREAM,
    },
    "job": {
        "id": 1, "argv": ["true"], "running": False, "exit_code": 0, "timed_out": False,
        "duration_s": 1.0, "stdout_bytes": 0, "stderr_bytes": 0,
    },
    "read": {"last_line": 1, "whole": True, "size": 1},
    "list": {"total": 1},
    "snapshot": {"files": 1, "bytes": 1, "skipped": []},
    "kill_all": {"survivors": 0},
}  # fmt: skip


def almost(truth: str, wrong: dict[str, Any]) -> dict[str, Any]:
    return {**TRUTHS[truth], **wrong}


replies: st.SearchStrategy[Any] = (
    anything
    | st.dictionaries(st.sampled_from(FIELDS), anything, max_size=8)
    | st.builds(
        almost,
        st.sampled_from(sorted(TRUTHS)),
        st.dictionaries(st.sampled_from(FIELDS), anything, max_size=2),
    )
)
frames: st.SearchStrategy[bytes] = st.builds(
    frame,
    st.binary(max_size=20)
    | anything
    | st.fixed_dictionaries({"id": st.sampled_from([1, 2, 0, -1, "1"]), "ok": replies})
    | st.fixed_dictionaries({"id": st.just(1), "more": anything})
    | st.fixed_dictionaries(
        {"id": st.just(1), "error": anything},
        optional={"errno": anything, "message": anything, "path": anything},
    ),
    st.binary(max_size=40) | st.sampled_from([b"[]", b"[{}]", b'[["f","file",1]]', b"[" * 9000]),
)


@given(
    st.sampled_from(sorted(OPERATIONS)),
    st.lists(frames, max_size=4).map(b"".join),
    st.binary(max_size=20),
    st.integers(1, 300),
)
async def test_whatever_comes_back_is_an_answer_or_an_error_of_the_sandbox(
    operation: str, answer: bytes, rest: bytes, piece: int
) -> None:
    await ask(operation, answer + rest, piece)


HEADER_SAYS = {
    "too much": struct.pack(">II", 2**32 - 1, 2**32 - 1),
    "more than comes": struct.pack(">II", 100, 100) + b"{}",
    "nothing": struct.pack(">II", 0, 0),
}


@pytest.mark.parametrize("said", sorted(HEADER_SAYS))
async def test_sizes_that_no_helper_sends_lose_that_sandbox(said: str) -> None:
    assert isinstance(await ask("exec", HEADER_SAYS[said]), SandboxLostError)


@pytest.mark.parametrize(
    "meta",
    [b"[]", b"[{}]",
     b"1", b"\xff", b'{"id": [1], "ok": {}}', b'{"id": 1, "ok": NaN}', b"[" * 100_000,
     b'{"id": 1, "ok": ' + b"9" * 5000 + b"}"],
)  # fmt: skip
async def test_a_frame_that_makes_no_sense_loses_that_sandbox(meta: bytes) -> None:
    assert isinstance(await ask("kill_all", frame(meta)), SandboxLostError)


async def test_lengths_below_zero_or_beyond_the_output_are_refused() -> None:
    for wrong in ({"head": -1}, {"tail": -9}, {"head": 3}, {"tail": 2**70}):
        about = {**TRUTHS["exec"], "stdout": {**STREAM, **wrong}}
        answer = frame({"id": 1, "ok": about}, b"1234")
        assert isinstance(await ask("exec", answer), SandboxError)


@pytest.mark.parametrize("operation", sorted(set(OPERATIONS) - {"snapshot"}))
async def test_a_flood_is_cut_off_where_the_answer_should_have_ended(operation: str) -> None:
    flood = frame({"id": 1, "more": True}, b"x" * 250_000) * (80 if operation == "jobs" else 8)
    assert type(await ask(operation, flood)) is SandboxError


async def test_a_snapshot_that_never_ends_does_not_fill_the_disk() -> None:
    flood = frame({"id": 1, "more": True}, b"x" * 250_000) * 100
    peer, sink = Peer(flood), Counting()
    channel = Channel(peer, peer)
    async with channel.reading():
        sandbox = ChannelSandbox(channel, INFO, env={}, rlimits={})
        with pytest.raises(SandboxError, match="more than a snapshot can hold"):
            await sandbox.snapshot(sink, max_bytes=1000, max_files=10)
    assert sink.taken < 3 << 20


@pytest.mark.parametrize("about", [None, [], {}, {"python": 1, "path": ""}, {"odd": "x"}])
async def test_a_greeting_that_makes_no_sense_is_a_sandbox_that_did_not_start(about: Any) -> None:
    peer = Peer(frame({"id": 1, "ok": about}))
    channel = Channel(peer, _AfterTheHelper(peer))
    async with channel.reading():
        with pytest.raises(SandboxStartError, match="did not come up"):
            await start_helper(channel, "/s", "")


class _AfterTheHelper(ByteReceiveStream):
    """Says nothing until somebody waits for an answer: the helper itself is sent first."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    @override
    async def receive(self, max_bytes: int = 65536) -> bytes:
        await anyio.wait_all_tasks_blocked()
        return await self._peer.receive(max_bytes)

    @override
    async def aclose(self) -> None:
        await self._peer.aclose()


async def test_an_error_of_a_strange_kind_is_the_sandboxs() -> None:
    for kind in ("KeyboardInterrupt", "SystemExit", "MemoryError", "__import__", "UnicodeError"):
        answer = frame({"id": 1, "error": kind, "message": "\ud800", "errno": [], "path": {}})
        assert type(await ask("fetch", answer)) is SandboxError
    answer = frame({"id": 1, "error": "OSError", "message": "\ud800", "errno": {}, "path": [1]})
    refused = await ask("fetch", answer)
    assert isinstance(refused, OSError)
    assert str(refused).encode()


async def test_more_than_was_asked_for_is_not_taken() -> None:
    answer = frame({"id": 1, "ok": {}}, b"x" * 101)
    assert isinstance(await ask("fetch", answer), SandboxError)
    assert await ask("fetch", frame({"id": 1, "ok": {}}, b"x" * 100)) == b"x" * 100
