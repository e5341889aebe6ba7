"""The owner's side of a server that answers oddly."""

import httpx2
import pytest

from proctor.clients.runs.owner import Owner
from proctor.schemas.errors import SessionError


@pytest.mark.parametrize("content", [b"<html>", b"[{}]", b'[{"id": "../elsewhere"}]'])
async def test_an_answer_that_cannot_be_read_is_the_servers_doing(content: bytes) -> None:
    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, content=content)

    async with httpx2.AsyncClient(
        base_url="http://server", transport=httpx2.MockTransport(answer)
    ) as http:
        with pytest.raises(SessionError, match="the server's answer cannot be read"):
            await Owner(http).tasks()


@pytest.mark.parametrize("wait", ["0.01", "Fri, 21 Oct 2016 07:28:00 GMT", "soon", "nan", "-1"])
async def test_a_server_that_is_not_ready_is_asked_again_however_it_says_so(wait: str) -> None:
    answers = iter([httpx2.Response(503, headers={"Retry-After": wait}),
                    httpx2.Response(200, content=b"[]")])  # fmt: skip
    async with httpx2.AsyncClient(
        base_url="http://server", transport=httpx2.MockTransport(lambda _: next(answers))
    ) as http:
        assert await Owner(http).sessions() == ()
