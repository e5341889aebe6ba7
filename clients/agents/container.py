"""An agent in a container of its own: what it is given, and what it may do.

Its image's own command is run. Beside the variables that any agent outside our process gets, it
finds the texts in ``PROCTOR_PROMPT`` and ``PROCTOR_MCP_CONFIG``, as no file of ours is there.

It shares the host's network, so that it reaches a server on loopback and its provider. So it
reaches whatever else listens on this machine's loopback, or on an abstract socket, too. The
session's token is all that it holds of ours; it has no capability and can gain none, and sees no
file of the host.
"""

from collections.abc import Mapping
from typing import Any

from proctor.clients.agents.command import Errand

MEMORY_BYTES = 4 << 30
PROCESSES = 1024


def container_settings(image: str, errand: Errand, labels: Mapping[str, str]) -> dict[str, Any]:
    """A hardened container, as docker-py's ``containers.create`` takes it."""
    texts = {
        "PROCTOR_PROMPT": errand.prompt.read_text("utf-8"),
        "PROCTOR_MCP_CONFIG": errand.mcp_config.read_text("utf-8"),
    }
    return {
        "image": image,
        "environment": {**errand.env, **texts},
        "labels": dict(labels),
        "network_mode": "host",
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "ipc_mode": "private",
        "init": True,
        "mem_limit": MEMORY_BYTES,
        "memswap_limit": MEMORY_BYTES,
        "pids_limit": PROCESSES,
        "log_config": {"type": "none"},
    }
