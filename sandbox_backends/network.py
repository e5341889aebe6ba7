"""What a sandbox can reach: nothing but a filtering proxy, and without need not even that.

No sandbox has a network of its own, on any backend: no bridge, no gateway, no neighbour. Programs
that honour the usual variables (pip, curl, Python's urllib and requests, git) connect to a port of
the sandbox's own loopback, from where the helper relays their bytes to the server, and that to a
proxy, which decides. Anything else than HTTP and HTTPS by that way leads nowhere.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

from proctor.sandbox_backends.channel import Channel
from proctor.sandbox_backends.relay import PORT, relaying
from proctor.sandbox_backends.squid import Egress, filtering_proxy
from proctor.schemas.sandbox import Network

NOT_BY_PROXY = "localhost,127.0.0.1,::1"


@asynccontextmanager
async def networked(
    channel: Channel, network: Network, egress: Egress
) -> AsyncGenerator[Mapping[str, str]]:
    """Give a sandbox its network for as long as the context lasts; yields variables for commands.

    Args:
        channel: To a helper that has been started.
        network: What may be reached.
        egress: The operator's settings.

    Raises:
        SandboxStartError: There is no proxy to be had.
    """
    if network == "none":
        yield {}
        return
    async with filtering_proxy(network, egress) as proxy, relaying(channel, proxy):
        here = dict.fromkeys(("http_proxy", "https_proxy"), f"http://127.0.0.1:{PORT}")
        lower = {**here, "no_proxy": NOT_BY_PROXY}
        yield {**lower, **{name.upper(): value for name, value in lower.items()}}
