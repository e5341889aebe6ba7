"""``proctor mcp-config``: what to paste into a client's configuration."""

import json
import re
import shutil
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from proctor.clients.cli.options import TasksOption, complain, usage_error

TOKEN_PLACEHOLDER = "<the owner token that proctor serve --http prints>"  # noqa: S105
PLACES = {
    "claude-desktop": "Settings > Developer > Edit Config (claude_desktop_config.json)",
    "claude-code": ".mcp.json in your project, or: claude mcp add-json proctor '<the entry>'",
    "cursor": "~/.cursor/mcp.json",
    "vscode": ".vscode/mcp.json in your workspace",
}


class ClientName(StrEnum):
    """The clients whose configuration is known."""

    CLAUDE_DESKTOP = "claude-desktop"
    CLAUDE_CODE = "claude-code"
    CURSOR = "cursor"
    VSCODE = "vscode"


def mcp_config(
    client: Annotated[ClientName, typer.Argument(help="The client to be configured.")],
    *,
    http: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Connect to a running server, http://host:port/mcp."),
    ] = None,
    token: Annotated[str | None, typer.Option(help="With --http: the token to send.")] = None,
    tasks: TasksOption = None,
) -> None:
    """Print the configuration that connects a client, ready to paste."""
    if http and not re.fullmatch(r"https?://[^/]+(/s/[^/]+)?/mcp", http):
        usage_error(f"--http {http} is not an endpoint such as http://127.0.0.1:8000/mcp")
    if token and not http:
        usage_error("--token goes with --http URL: on stdio the client starts its own server")
    if tasks and http:
        usage_error("--tasks goes with stdio: a running server has its own, of its --tasks")
    if missing := [path for path in tasks or [] if not path.exists()]:
        usage_error(f"--tasks {missing[0]}: there is no such file or directory")
    entry = (
        _over_http(client, http, token or TOKEN_PLACEHOLDER)
        if http
        else _over_stdio(client, tasks or [])
    )
    key = "servers" if client is ClientName.VSCODE else "mcpServers"
    print(json.dumps({key: {"proctor": entry}}, indent=2))
    complain(f"proctor: goes into {PLACES[client.value]}")


def _over_stdio(client: ClientName, tasks: list[Path]) -> dict[str, Any]:
    command, *arguments = _own_command()
    sources = [part for path in tasks for part in ("--tasks", str(path.absolute()))]
    entry: dict[str, Any] = {"command": command, "args": [*arguments, "serve", *sources]}
    typed = client in (ClientName.VSCODE, ClientName.CLAUDE_CODE)
    return {"type": "stdio", **entry} if typed else entry


def _over_http(client: ClientName, url: str, token: str) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {token}"}
    if client is ClientName.CLAUDE_DESKTOP:
        # Its file knows commands only; this bridge is what its makers point to.
        bridge = ["-y", "mcp-remote", url, "--header", "Authorization:${AUTH}"]
        return {"command": "npx", "args": bridge, "env": {"AUTH": f"Bearer {token}"}}
    if client is ClientName.CURSOR:
        return {"url": url, "headers": headers}
    return {"type": "http", "url": url, "headers": headers}


def _own_command() -> list[str]:
    """How to start this very installation from anywhere."""
    beside = Path(sys.executable).with_name("proctor")
    if beside.exists():
        return [str(beside)]
    found = shutil.which("proctor")
    return [str(Path(found).absolute())] if found else [sys.executable, "-m", "proctor"]
