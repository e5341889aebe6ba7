"""An ASGI application on a socket."""

import resource
import socket
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

import anyio
import uvicorn
from starlette.types import ASGIApp
from typing_extensions import override

from proctor.sandbox_backends.concurrency import task_group

KEEP_ALIVE_S = 75
"""How long an idle connection stays open: longer than clients keep theirs (5 s is usual), as one
that both use and close at once looks like a server that is gone."""
CLOSE_WITHIN_S = 3
"""How long open streams may hold up the end; older MCP clients keep one open for good."""
OPEN_FILES = 65_536
"""A session takes about ten; many systems allow 1024 to a process that asks for no more."""


class _Quiet(uvicorn.Server):
    """A uvicorn that leaves signals to whoever runs it."""

    @override
    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one.

    Raises:
        OSError: The address is taken or is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Connections have it from here. Without it, each reply's body waits 40 ms for the client to
        # acknowledge its headers; asyncio sees to that only for sockets that name their protocol.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener


@asynccontextmanager
async def listening(app: ASGIApp, listener: socket.socket) -> AsyncGenerator[None]:
    """Serve `app` for as long as the context lasts; closes `listener` at its end."""
    config = uvicorn.Config(
        app, log_config=None, access_log=False, timeout_graceful_shutdown=CLOSE_WITHIN_S,
        timeout_keep_alive=KEEP_ALIVE_S, ws="none",
    )  # fmt: skip
    server = _Quiet(config)
    stopped = anyio.Event()

    async def serve() -> None:
        try:
            await server.serve([listener])
        finally:
            stopped.set()

    _allow_many_files()
    with listener:
        async with task_group() as tasks:
            tasks.start_soon(serve)
            try:
                while not server.started:  # noqa: ASYNC110 - uvicorn has a flag, and no event
                    await anyio.sleep(0.01)
                yield
            finally:
                server.should_exit = True
                with anyio.CancelScope(shield=True):
                    await stopped.wait()


def _allow_many_files() -> None:
    """Let this process hold hundreds of sessions, as far as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
