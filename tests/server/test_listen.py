"""The socket that a server listens on, and what it lets the process do."""

import resource
import socket

import pytest
from starlette.applications import Starlette

from proctor.server import listen
from proctor.server.listen import bind, listening


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_what_is_written_to_a_client_is_sent_at_once(host: str) -> None:
    """Otherwise the second part of a reply waits until the first is acknowledged: 40 ms."""
    with bind(host, 0) as listener:
        listener.listen()
        with socket.create_connection(listener.getsockname()[:2]):
            accepted, _ = listener.accept()
            with accepted:
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_a_server_may_open_as_many_files_as_it_is_allowed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    monkeypatch.setattr(listen, "OPEN_FILES", min(hard, 2000))
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    try:
        async with listening(Starlette(), bind("127.0.0.1", 0)):
            assert resource.getrlimit(resource.RLIMIT_NOFILE) == (min(hard, 2000), hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
