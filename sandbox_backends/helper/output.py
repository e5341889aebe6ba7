"""What a command writes: the beginning and the end in memory, the whole in a file if it is long."""

from __future__ import annotations

import contextlib
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SPOOL_BYTES = 32 << 20  # a flood must not fill the sandbox's memory
READS_PER_TURN = 64


class Capture:
    """One output stream of a command."""

    def __init__(self, fd: int, limit: int, spool_path: str) -> None:
        self.fd, self.limit, self.spool_path = fd, limit, spool_path
        self.head, self.tail = b"", bytearray()  # up to the limit, the tail is everything
        self.total = self.spooled = 0
        self.spool: int | None = None
        self.full = self.ended = self.finished = False

    def drain(self) -> bool:
        """Take what is there, in bounded time. False once the stream has ended."""
        for _ in range(0 if self.ended else READS_PER_TURN):
            try:
                data = os.read(self.fd, 1 << 16)
            except BlockingIOError:
                return True
            self.ended = not data
            if self.ended:
                break
            if not self.finished:
                self.take(data)
        return not self.ended

    def take(self, data: bytes) -> None:
        """Add `data` to what was captured."""
        overflowed = self.total > self.limit
        self.total += len(data)
        self.tail += data
        if self.total <= self.limit:
            return
        if overflowed:
            self._write_spool(data)
        else:
            with contextlib.suppress(OSError):
                flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
                self.spool = os.open(self.spool_path, flags, 0o644)
            self._write_spool(self.tail)
            self.head = bytes(self.tail[: self.limit // 2])
        del self.tail[: max(len(self.tail) - (self.limit - self.limit // 2), 0)]

    def _write_spool(self, data: bytes | bytearray) -> None:
        left = memoryview(bytes(data))[: SPOOL_BYTES - self.spooled]
        while self.spool is not None and left and not self.full:
            try:
                written = os.write(self.spool, left)
            except OSError:  # the disk is full: what is there stays
                self.full = True
                return
            self.spooled += written
            left = left[written:]

    def so_far(self) -> tuple[dict[str, Any], bytes]:
        """What was captured up to now."""
        self.drain()
        about = {
            "head": len(self.head),
            "tail": len(self.tail),
            "total": self.total,
            "spool": self.spool_path if self.spooled else None,
        }
        return about, self.head + bytes(self.tail)

    def page(self, offset: int, size: int) -> tuple[int, bytes]:
        """Bytes from `offset` on, or from the first later one that is still kept.

        Returns:
            Where they begin, and the bytes.
        """
        if self.spool is not None and offset < self.spooled:
            return offset, os.pread(self.spool, min(size, self.spooled - offset), offset)
        kept_from = self.total - len(self.tail)
        offset = min(max(offset, kept_from), self.total)
        return offset, bytes(self.tail[offset - kept_from :][:size])

    def finish(self) -> None:
        """Keep what there is; whatever survivors write later is read and thrown away."""
        self.drain()
        self.finished = True

    def detach(self) -> None:
        """Read no more: the descriptor serves another command from now on."""
        self.ended = True

    def forget(self) -> None:
        """Let go of what is kept in memory and of the file, which stays where it is."""
        self.tail.clear()
        if self.spool is not None:
            os.close(self.spool)
            self.spool = None

    def remove(self) -> None:
        """Let go of the file, and remove it."""
        self.forget()
        with contextlib.suppress(OSError):
            os.unlink(self.spool_path)
        self.spooled = 0
