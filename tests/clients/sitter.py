"""An agent of the standard library alone, as anybody could write one: MCP over HTTP by urllib.

Started with what it is to do; see `DEEDS`.
"""

import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

FIX = "def centre(values):\n    return sorted(values)[len(values) // 2]\n"


class Client:
    """A connection to the session that the environment names."""

    def __init__(self) -> None:
        self._headers = {
            "Authorization": f"Bearer {os.environ['PROCTOR_MCP_TOKEN']}",
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
        }
        self._ask(
            "initialize",
            protocolVersion="2025-06-18",
            capabilities={},
            clientInfo={"name": "sitter", "version": "1"},
        )

    def call(self, tool: str, **arguments: Any) -> str:
        result = self._ask("tools/call", name=tool, arguments=arguments)
        return str(result["content"][0]["text"])

    def _ask(self, method: str, **params: Any) -> dict[str, Any]:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        request = urllib.request.Request(
            os.environ["PROCTOR_MCP_URL"], body.encode(), self._headers
        )
        with urllib.request.urlopen(request) as response:
            lines = response.read().decode().splitlines()
            if found := response.headers.get("Mcp-Session-Id"):
                self._headers["Mcp-Session-Id"] = found
        found = [json.loads(each.removeprefix("data:")) for each in lines if "result" in each]
        result: dict[str, Any] = found[0]["result"]
        return result


def solve(*_: str) -> None:
    client = Client()
    client.call("write_file", path="stats.py", content=FIX)
    print(client.call("submit", answer="I took the median."))


def leave(*_: str) -> None:
    print("I had no idea.")
    sys.exit(7)


def tell(*arguments: str) -> None:
    """Say what it was given."""
    files = {each: Path(each).read_text() for each in arguments if Path(each).is_file()}
    modes = {each: oct(Path(each).stat().st_mode) for each in files}
    told = {
        "arguments": arguments, "env": dict(os.environ), "files": files, "modes": modes,
        "stdin": sys.stdin.read(), "work": list(map(str, Path().iterdir())),
    }  # fmt: skip
    print(json.dumps(told))


def daemonise(marker: str) -> None:
    """Leave a grandchild behind that heeds no signal, then go."""
    command = (
        "import os, signal, time; os.setsid(); "
        "[signal.signal(n, signal.SIG_IGN) for n in (signal.SIGTERM, signal.SIGHUP)]; "
        "time.sleep(600)"
    )
    nest = (
        f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {command!r}, {marker!r}])"
    )
    subprocess.run([sys.executable, "-c", nest], check=True)


def hang(marker: str) -> None:
    daemonise(marker)
    time.sleep(600)


def spy(*places: str) -> None:
    """Say which places can be read, and what it learns of other processes."""
    seen = [place for place in places if Path(place).exists()]
    words: set[str] = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        words.update(path.read_text("utf-8", "replace").split("\0"))
    print(json.dumps({"seen": seen, "processes": sorted(words)}))


DEEDS = {each.__name__: each for each in (solve, leave, tell, daemonise, hang, spy)}

if __name__ == "__main__":
    DEEDS[sys.argv[1]](*sys.argv[2:])
