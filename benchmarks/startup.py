"""How long a client waits for the list of tools: ``proctor serve`` against a bare MCPServer.

Runs the two in turn and prints the median of each and the median ratio, pair by pair:
``python benchmarks/startup.py [PAIRS]``. The aim: little longer than the bare server, so a ratio
below 1.5. Also prints the time of ``proctor --help``, against ``python -c pass``.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import anyio
from fastmcp import Client
from fastmcp.client.transports import StdioTransport

BARE = """
from mcp.server import MCPServer

server = MCPServer("bare")


@server.tool()
def echo(text: str) -> str:
    return text


server.run()
"""


async def seconds_to_tools(arguments: list[str]) -> float:
    """Wall-clock seconds from the process's start to its list of tools."""
    transport = StdioTransport(
        sys.executable, arguments, keep_alive=False, log_file=Path(os.devnull)
    )
    started = time.perf_counter()
    async with Client(transport, timeout=120) as client:
        await client.list_tools()
        return time.perf_counter() - started


def seconds_to_end(arguments: list[str]) -> float:
    """Wall-clock seconds that a command takes."""
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def report(what: str, ours: list[float], theirs: list[float]) -> None:
    """Print medians and the median ratio."""
    ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
    medians = (statistics.median(ours), statistics.median(theirs))
    print(f"{what}: {medians[0]:.3f} s against {medians[1]:.3f} s, ratio {ratio:.2f}")


async def main(pairs: int) -> None:
    """Measure everything."""
    with tempfile.TemporaryDirectory() as data:
        bare = Path(data, "bare.py")
        bare.write_text(BARE)
        serve = ["-m", "proctor", "serve", "--data", data]
        tools = [
            (await seconds_to_tools(serve), await seconds_to_tools([str(bare)]))
            for _ in range(pairs)
        ]
    report("list of tools over stdio", [a for a, _ in tools], [b for _, b in tools])
    helps = [
        (seconds_to_end(["-m", "proctor", "--help"]), seconds_to_end(["-c", "pass"]))
        for _ in range(pairs)
    ]
    report("proctor --help", [a for a, _ in helps], [b for _, b in helps])


if __name__ == "__main__":
    anyio.run(main, int(sys.argv[1]) if len(sys.argv) > 1 else 7)
