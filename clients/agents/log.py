"""``agent.log``: what an agent's process wrote, streamed to disk, bounded, and without secrets."""

from collections.abc import Collection, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal, TypeAlias

Stream: TypeAlias = Literal["stdout", "stderr"]

NAME = "agent.log"
LOG_BYTES = 4 << 20
"""Of each stream."""
TAIL_BYTES = 1 << 20
"""Of stdout, kept beside the log: agents end with what they have to say."""
LINE_BYTES = 1 << 16
"""A longer one is passed on in pieces."""
SHORTEST_SECRET = 8
"""A variable shorter than this hides nothing, and would be found in any text."""
HIDDEN = b"[redacted]"


class AgentLog:
    """The log of one session."""

    def __init__(self, file: BinaryIO, secrets: Collection[str]) -> None:
        self._file = file
        self._clean = {stream: _Redactor(secrets) for stream in ("stdout", "stderr")}
        self._left = dict.fromkeys(self._clean, LOG_BYTES)
        self._tail = b""

    @classmethod
    @contextmanager
    def at(cls, directory: Path, secrets: Collection[str]) -> Generator["AgentLog"]:
        """Begin a log in `directory`, in which none of `secrets` will be found."""
        directory.mkdir(parents=True, exist_ok=True)
        with (directory / NAME).open("wb") as file:
            log = cls(file, secrets)
            try:
                yield log
            finally:
                log.end()

    def hear(self, stream: Stream, data: bytes) -> None:
        """Take down what came on a stream."""
        self._write(stream, self._clean[stream].add(data))

    def end(self) -> None:
        """Write what was held back."""
        for stream in ("stdout", "stderr"):
            self._write(stream, self._clean[stream].rest())

    @property
    def last(self) -> str:
        """The last of what came on stdout."""
        return self._tail.decode("utf-8", "replace").strip()

    def _write(self, stream: str, data: bytes) -> None:
        if stream == "stdout":
            self._tail = (self._tail + data)[-TAIL_BYTES:]
        if (left := self._left[stream]) <= 0:
            return
        self._left[stream] = left - len(data)
        self._file.write(data[:left])
        if len(data) >= left:
            self._file.write(f"\n[proctor: {stream} cut at {LOG_BYTES} bytes]\n".encode())
        self._file.flush()


class _Redactor:
    """Passes whole lines on, without secrets, wherever the stream is cut into pieces."""

    def __init__(self, secrets: Collection[str]) -> None:
        lines = {line for secret in secrets for line in secret.splitlines()}
        long = {line.encode() for line in lines if len(line) >= SHORTEST_SECRET}
        self._secrets = sorted(long, key=len, reverse=True)
        self._keep = max((len(secret) - 1 for secret in self._secrets), default=0)
        self._held = b""

    def add(self, data: bytes) -> bytes:
        """What can be shown by now."""
        held = self._held + data
        for secret in self._secrets:
            held = held.replace(secret, HIDDEN)
        size = held.rfind(b"\n") + 1
        if len(held) - size > LINE_BYTES:
            size = len(held) - self._keep  # a secret may begin there
        self._held = held[size:]
        return held[:size]

    def rest(self) -> bytes:
        """What was held back."""
        held, self._held = self._held, b""
        return held
