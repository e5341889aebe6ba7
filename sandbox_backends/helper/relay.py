"""Connections out of a sandbox that has no network: their bytes go to the server, and back.

The helper listens on the sandbox's own loopback; where each connection leads is the server's
affair. What is said of connection ``relay`` goes both ways in frames with an ``event``, asked for
by nobody, so that their ``id`` is 0:

    open  a program has connected (to the server only)
    data  some of its bytes
    more  `bytes` of data were passed on, so as many more may be sent
    end   it is over; the server asks for it, the helper alone says it, and then it is

Neither side holds more of a connection than its window: who is slow is not sent any more.
"""

from __future__ import annotations

import functools
import os
import selectors
import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

CHUNK = 1 << 16
READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


class Connection:
    """A program's connection."""

    def __init__(self, number: int, program: socket.socket, window: int) -> None:
        self.number, self.program = number, program
        self.credit = window  # bytes that the server will still take
        self.pending = bytearray()  # what the program has not taken yet
        self.ending = False
        self.watched = 0

    def wanted(self) -> int:
        """What to wait for: that there is something to read, or room to write."""
        readable = READ if self.credit and not self.ending else 0
        return readable | (WRITE if self.pending else 0)


class Relay:
    """A listener, and what is connected to it."""

    def __init__(
        self,
        selector: selectors.BaseSelector,
        send: Callable[[dict[str, Any], bytes], None],
        request: dict[str, Any],
    ) -> None:
        self.selector, self.send = selector, send
        self.window, self.most = request["window"], request["connections"]
        self.connections: dict[int, Connection] = {}
        self.count = 0
        self.listener = socket.create_server(("127.0.0.1", request["port"]), backlog=self.most)
        os.set_blocking(self.listener.fileno(), False)
        self.selector.register(self.listener, READ, self.accept)

    def accept(self, _: int) -> None:
        """Take in a connection; when there are enough, others wait for one to end."""
        try:
            program, _address = self.listener.accept()
        except OSError:  # it has left
            return
        os.set_blocking(program.fileno(), False)
        program.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # what comes comes in pieces
        self.count += 1
        connection = self.connections[self.count] = Connection(self.count, program, self.window)
        self.say(connection, "open")
        self.watch(connection)
        if len(self.connections) == self.most:
            self.selector.unregister(self.listener)

    def take(self, said: dict[str, Any], data: bytes) -> None:
        """Heed what the server says of a connection; it may not know yet that it is over."""
        connection = self.connections.get(said["relay"])
        if connection is None:
            return
        if said["event"] == "data":
            connection.pending += data
        elif said["event"] == "more":
            connection.credit += said["bytes"]
        else:
            connection.ending = True
        self.see_to(connection, WRITE)

    def see_to(self, connection: Connection, events: int) -> None:
        """Move what can be moved."""
        try:
            alive = not events & WRITE or self.write(connection)
            alive = alive and (not events & READ or self.read(connection))
        except BlockingIOError:
            alive = True
        except OSError:
            alive = False
        if alive:
            self.watch(connection)
        else:
            self.end(connection)

    def write(self, connection: Connection) -> bool:
        """Pass on what came from the server. False once nothing more will come."""
        if connection.pending:
            written = connection.program.send(connection.pending)
            del connection.pending[:written]
            self.say(connection, "more", bytes=written)
        return bool(connection.pending) or not connection.ending

    def read(self, connection: Connection) -> bool:
        """Pass on what the program wrote. False if it has left."""
        data = connection.program.recv(min(CHUNK, connection.credit))
        connection.credit -= len(data)
        if data:
            self.say(connection, "data", data)
        return bool(data)

    def watch(self, connection: Connection) -> None:
        """Wait for what the connection can go on with, and nothing else."""
        wanted = connection.wanted()
        if wanted == connection.watched:
            return
        if connection.watched:
            self.selector.unregister(connection.program)
        if wanted:
            go_on = functools.partial(self.see_to, connection)
            self.selector.register(connection.program, wanted, go_on)
        connection.watched = wanted

    def end(self, connection: Connection) -> None:
        """Let go of a connection."""
        if connection.watched:
            self.selector.unregister(connection.program)
        connection.program.close()
        del self.connections[connection.number]
        self.say(connection, "end")
        if len(self.connections) == self.most - 1:
            self.selector.register(self.listener, READ, self.accept)

    def say(self, connection: Connection, event: str, data: bytes = b"", **about: int) -> None:
        """Tell the server."""
        self.send({"id": 0, "relay": connection.number, "event": event, **about}, data)
