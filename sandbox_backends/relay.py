"""The server's end of connections out of a sandbox: each is connected to a filtering proxy.

What the frames mean, `proctor.sandbox_backends.helper.relay` says. Here, the sandbox is not
trusted: one that sends more than it may has broken the protocol and counts as lost.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import anyio
from anyio.abc import ByteStream, TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from proctor.sandbox_backends.channel import Channel
from proctor.sandbox_backends.concurrency import task_group
from proctor.sandbox_backends.squid import Proxy
from proctor.schemas.errors import SandboxLostError

PORT = 3128
"""Where programs in the sandbox find their proxy."""
CONNECTIONS = 64
"""At once; a further program waits for one to end."""
WINDOW = 1 << 18
"""Bytes of one connection, in one direction, that may be under way."""
CHUNK = 1 << 16
GONE = (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)
"""What a stream raises whose other end is gone."""

Frame = tuple[dict[str, Any], bytes]


@dataclass
class _Connection:
    """A connection that a program in the sandbox has made."""

    number: int
    incoming: bytearray = field(default_factory=bytearray)
    credit: int = WINDOW
    """Bytes that the sandbox will still take."""
    came: anyio.Event = field(default_factory=anyio.Event)
    allowed: anyio.Event = field(default_factory=anyio.Event)
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    async def written(self) -> bytes:
        """What the program has written since the last time; waits for something."""
        while not self.incoming:
            self.came = anyio.Event()
            await self.came.wait()
        data = bytes(self.incoming)
        self.incoming.clear()
        return data

    async def room(self) -> int:
        """How much the sandbox takes now; waits until it takes something."""
        while not self.credit:
            self.allowed = anyio.Event()
            await self.allowed.wait()
        return min(self.credit, CHUNK)


class _Relay:
    """The connections of one sandbox."""

    def __init__(
        self, outgoing: MemoryObjectSendStream[Frame], proxy: Proxy, tasks: TaskGroup
    ) -> None:
        self._outgoing, self._proxy, self._tasks = outgoing, proxy, tasks
        self._connections: dict[int, _Connection] = {}

    def take(self, meta: dict[str, Any], data: bytes) -> None:
        """Heed what the sandbox says of a connection, without waiting for anything.

        Raises:
            ValueError: No helper says that.
        """
        number, event = meta.get("relay"), meta.get("event")
        known = number in self._connections if isinstance(number, int) else True
        if event == "open" and not known and len(self._connections) < CONNECTIONS:
            opened = self._connections[number] = _Connection(number)
            self._tasks.start_soon(self._serve, opened)
            return
        connection = self._connections.get(number) if isinstance(number, int) else None
        if connection is None:
            raise ValueError("a connection that no helper has")
        if event == "data":
            connection.incoming += data
            connection.came.set()
        elif event == "more" and isinstance(passed_on := meta.get("bytes"), int):
            connection.credit += max(passed_on, 0)
            connection.allowed.set()
        elif event == "end":
            del self._connections[connection.number]
            connection.scope.cancel()
        if len(connection.incoming) > WINDOW or connection.credit > WINDOW:
            raise ValueError("more than a helper sends, or takes")

    async def _serve(self, connection: _Connection) -> None:
        """Connect a connection to the proxy, until either side is done with it."""
        with connection.scope, suppress(*GONE, anyio.EndOfStream):
            async with await anyio.connect_tcp(*self._proxy.address) as upstream:
                await upstream.send(self._proxy.greeting)
                async with task_group() as tasks:
                    tasks.start_soon(self._upwards, connection, upstream)
                    await self._downwards(connection, upstream)
                    tasks.cancel_scope.cancel()
        if connection.number in self._connections:
            with suppress(*GONE):
                await self._say(connection, "end")

    async def _upwards(self, connection: _Connection, upstream: ByteStream) -> None:
        with suppress(*GONE):  # then nothing comes down any more, either
            while True:
                data = await connection.written()
                await upstream.send(data)
                await self._say(connection, "more", bytes=len(data))

    async def _downwards(self, connection: _Connection, upstream: ByteStream) -> None:
        with suppress(*GONE, anyio.EndOfStream):
            while True:
                data = await upstream.receive(await connection.room())
                connection.credit -= len(data)
                await self._say(connection, "data", data)

    async def _say(
        self, connection: _Connection, event: str, data: bytes = b"", **about: int
    ) -> None:
        fields = {"id": 0, "op": "relay", "relay": connection.number, "event": event, **about}
        await self._outgoing.send((fields, data))


@asynccontextmanager
async def relaying(channel: Channel, proxy: Proxy) -> AsyncGenerator[None]:
    """Connect what programs in the sandbox send to `PORT` of its loopback to `proxy`."""
    outgoing, frames = anyio.create_memory_object_stream[Frame]()
    with outgoing, frames:
        async with task_group() as tasks:
            channel.unasked = _Relay(outgoing, proxy, tasks).take
            tasks.start_soon(_post_all, channel, frames)
            wanted = {"port": PORT, "connections": CONNECTIONS, "window": WINDOW}
            await channel.call("listen", wanted)
            yield
            tasks.cancel_scope.cancel()


async def _post_all(channel: Channel, frames: MemoryObjectReceiveStream[Frame]) -> None:
    """Send one frame after the other.

    So none is cut off when its connection ends, and what commands say waits for one at most.
    """
    with frames, suppress(SandboxLostError):
        async for meta, data in frames:
            await channel.post(meta, data)
