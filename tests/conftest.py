"""What many tests share: a small task, a catalog that holds it, and real sandboxes."""

import json
import os
import re
import socket
import ssl
import sys
import threading
import time
from collections.abc import AsyncGenerator, Callable, Container, Generator
from contextlib import asynccontextmanager, suppress
from functools import cache, partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import anyio
import pytest
import trustme
import uvicorn
from anyio.to_thread import run_sync
from hypothesis import HealthCheck, settings
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from typing_extensions import override

from proctor.sandbox_backends.base import Backend
from proctor.sandbox_backends.docker import DockerBackend
from proctor.sandbox_backends.local import bubblewrap_problem, open_bubblewrap, open_plain
from proctor.sandbox_backends.squid import Egress
from proctor.schemas.errors import SandboxStartError

settings.register_profile(
    "shared-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("shared-machine")

REQUIRE_BUBBLEWRAP = "PROCTOR_REQUIRE_BUBBLEWRAP"
REQUIRE_DOCKER = "PROCTOR_REQUIRE_DOCKER"

MINI_TASK = """
id = "mini"
title = "A mean that is off"
description = "A team's average looks odd."

[limits]
time_s = 600
tool_calls = 50

[[criteria]]
id = "issue_type"
points = 2
text = "The report names the error code."
grader = "report_field"
options = { pointer = "/issue_type", equals = "OUTLIER" }

[[criteria]]
id = "location"
points = 2
text = "The report points at the mean."
grader = "location"
requires = ["issue_type"]
options = { locations = [{ file = "stats.py", lines = [3, 3], function = "centre" }] }

[[criteria]]
id = "explanation"
points = 1
text = "The report explains the effect."
grader = "judge"
requires = ["issue_type"]

[[criteria]]
id = "fix"
points = 4
text = "One extreme value does not move the centre."
grader = "behaviour"
options = { checks = ["robust", "follows"], timeout_s = 20 }

[[criteria]]
id = "report_file"
points = 1
text = "`response/report.json` exists."
grader = "file_exists"
options = { path = "response/report.json" }
"""
MINI_CODE = """def centre(values):
    values = sorted(values)
    return sum(values) / len(values)
"""
MINI_FIX = """def centre(values):
    values = sorted(values)
    return values[len(values) // 2]
"""
MINI_DRIVER = """import json, os, sys
inputs, outputs = sys.argv[1:]
sys.path.insert(0, os.getcwd())
from stats import centre
values = json.load(open(f"{inputs}/values.json"))
json.dump(float(centre(values)), open(f"{outputs}/centre.json", "w"))
"""
MINI_PROBE = """from probe_kit import Case

def cases(rng):
    base = rng.normal(size=21).tolist()
    return [
        Case("plain", {"values": base}, {"centre": sorted(base)[10]}),
        Case("extreme", {"values": base[:-1] + [1e9]}),
        Case("shifted", {"values": [value + 50 for value in base]}),
    ]

def robust(cases, outputs):
    moved = abs(outputs["extreme"].number("centre") - outputs["plain"].number("centre"))
    return float(moved < 2), f"one extreme value moved the centre by {moved:.3g} (at most 2)"

def follows(cases, outputs):
    moved = outputs["shifted"].number("centre") - outputs["plain"].number("centre")
    return float(40 < moved < 60), f"a shift by 50 moved the centre by {moved:.3g} (40 to 60)"

CHECKS = {"robust": robust, "follows": follows}
"""
MINI_REPORT = """{"issue_type": "OUTLIER",
 "locations": [{"file": "stats.py", "lines": [3, 3], "function": "centre"}],
 "explanation": "one value moves the mean", "proposed_fix": "use the median",
 "verification": {"command": "python stats.py", "before": 1.0, "after": 0.0}}
"""
MINI_DECOY = """description = "Always answers zero."
base = "solution"
fails = ["fix"]
"""

MINI_FILES = {
    "task.toml": MINI_TASK,
    "instruction.md": "Find out why the centre is off, and mend it.\n",
    "workspace/stats.py": MINI_CODE,
    "workspace/data/values.csv": "value\n1\n2\n",
    "grading/driver.py": MINI_DRIVER,
    "grading/probe.py": MINI_PROBE,
    "solution/workspace/stats.py": MINI_FIX,
    "solution/workspace/response/report.json": MINI_REPORT,
    "solution/answer.md": "The mean was moved by one value; I took the median.\n",
    "decoys/constant/decoy.toml": MINI_DECOY,
    "decoys/constant/workspace/stats.py": "def centre(values):\n    return 0.0\n",
}


def write_task(root: Path, **changes: str | None) -> Path:
    """Write the mini task; `changes` replaces files (``__`` for ``/``), or drops them."""
    files: dict[str, str | None] = {**MINI_FILES, **changes}
    for name, text in files.items():
        if text is not None:
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
    return root


@pytest.fixture
def mini_task(tmp_path: Path) -> Path:
    return write_task(tmp_path / "tasks" / "mini")


@pytest.fixture
def task_with(tmp_path: Path) -> Callable[[dict[str, str | None]], Path]:
    def make(changes: dict[str, str | None]) -> Path:
        return write_task(tmp_path / "tasks" / "changed", **changes)

    return make


def need(problem: str | None, required_by: str) -> None:
    if problem and os.environ.get(required_by):
        pytest.fail(f"{required_by} is set, but: {problem}")
    if problem:
        pytest.skip(problem)


@cache
def docker_problem() -> str | None:
    """Why containers cannot be had here; None where they can."""

    async def find() -> None:
        async with DockerBackend.connected() as found:
            await found.prepare(may_build=False)

    try:
        anyio.run(find)
    except SandboxStartError as error:
        return str(error)
    return None


BUBBLEWRAP, PLAIN = "bubblewrap", "plain"
DOCKER = pytest.param("docker", marks=pytest.mark.docker)


@asynccontextmanager
async def _opened(name: str, egress: Egress | None = None) -> AsyncGenerator[Backend]:
    if name == PLAIN:
        yield open_plain
    elif name == BUBBLEWRAP:
        need(bubblewrap_problem(), REQUIRE_BUBBLEWRAP)
        yield partial(open_bubblewrap, egress=egress)
    else:
        need(await run_sync(docker_problem), REQUIRE_DOCKER)
        async with DockerBackend.connected(egress=egress) as docker:
            yield docker


@pytest.fixture(params=[BUBBLEWRAP, DOCKER, PLAIN])
async def backend(request: pytest.FixtureRequest) -> AsyncGenerator[Backend]:
    """Every backend in turn."""
    async with _opened(request.param) as opened:
        yield opened


@pytest.fixture
def egress() -> Egress | None:
    """The operator's settings of networks; tests that are about networks have their own."""
    return None


@pytest.fixture(params=[BUBBLEWRAP, DOCKER])
async def isolating(
    request: pytest.FixtureRequest, egress: Egress | None
) -> AsyncGenerator[Backend]:
    """Every backend that claims isolation."""
    async with _opened(request.param, egress) as opened:
        yield opened


@pytest.fixture
async def docker_backend() -> AsyncGenerator[Backend]:
    """Containers."""
    async with _opened("docker") as opened:
        yield opened


@pytest.fixture
def any_backend() -> Backend:
    """The best backend that there is, for tests that are not about backends."""
    return open_plain if bubblewrap_problem() else open_bubblewrap


class Processes:
    """The host's processes that carry a marker among their arguments."""

    def marked(self, marker: str) -> list[Path]:
        """Their directories in /proc."""
        found: list[Path] = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                if marker.encode() in path.read_bytes().split(b"\0"):
                    found.append(path.parent)
        return found

    async def appear(self, marker: str) -> Path:
        """Wait until there is one."""
        with anyio.fail_after(20):
            while not (found := self.marked(marker)):
                await anyio.sleep(0.02)
        return found[0]

    async def vanish(self, marker: str) -> None:
        """Wait until there is none."""
        with anyio.fail_after(20):
            while self.marked(marker):
                await anyio.sleep(0.02)


@pytest.fixture
def processes() -> Processes:
    return Processes()


@pytest.fixture
def proctor_command() -> list[str]:
    return [sys.executable, "-m", "proctor"]


QUESTION = re.compile(r"^\[(c\d+)\] (.*)$", re.MULTILINE)
Reply = str | int | dict[str, Any] | tuple[int, dict[str, Any]] | Callable[[], Response]
"""What a model's server gives back: a text, an HTTP error of that status, a whole body, which may
have a status, too, or what a function makes."""
ASKED_ONCE = "Reply with the word OK."
"""What the reference agent asks before a run. Nobody sees that request but `asked_once`."""


class Everything(Container[str]):
    """What a model finds met that was talked over."""

    @override
    def __contains__(self, item: object) -> bool:
        return True


class ModelServer:
    """An OpenAI-compatible server on loopback, whose model judges as a test says."""

    def __init__(self) -> None:
        self.met: Container[str] = ()
        """The texts of the criteria that it finds met."""
        self.first: list[Reply] = []
        """Replies that come before any verdict."""
        self.always: Reply | None = None
        """What comes instead of verdicts."""
        self.answer: Callable[[dict[str, Any]], Reply] = self.verdicts
        self.usage: dict[str, int] | None = {"prompt_tokens": 900, "completion_tokens": 100}
        self.asked_once: Reply = "OK"
        """What comes to the agent's question before a run."""
        self.everything = Everything()
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.url = ""
        self.over = threading.Event()

    def questions(self, body: dict[str, Any]) -> dict[str, str]:
        """The criteria that a request asks about, by their keys."""
        asked = body["messages"][1]["content"].rpartition("THE CRITERIA:")[2]
        return dict(QUESTION.findall(asked))

    def verdicts(self, body: dict[str, Any]) -> str:
        """The reply to a request, in the form that it asks for."""
        said = {
            key: {"reason": f"as to {key}", "verdict": "met" if text in self.met else "not met"}
            for key, text in self.questions(body).items()
        }
        return json.dumps(said)

    async def complete(self, request: Request) -> Response:
        """``POST /chat/completions``."""
        body = await request.json()
        self.keys.append(request.headers.get("authorization", ""))
        if body["messages"][-1]["content"] == ASKED_ONCE:
            return self._response(body, self.asked_once)
        self.bodies.append(body)
        if self.first:
            return self._response(body, self.first.pop(0))
        return self._response(body, self.answer(body) if self.always is None else self.always)

    def silence(self) -> Response:
        """A reply that does not come; the test's end ends it."""

        async def nothing() -> AsyncGenerator[bytes]:
            while not self.over.is_set():
                await anyio.sleep(0.02)
            yield b""

        return StreamingResponse(nothing())

    def _response(self, body: dict[str, Any], reply: Reply) -> Response:
        if callable(reply):
            return reply()
        if isinstance(reply, int):
            said = f"no luck with {self.keys[-1]}"
            return JSONResponse({"error": {"message": said, "type": "x"}}, reply)
        if isinstance(reply, tuple):
            return JSONResponse(reply[1], reply[0])
        if isinstance(reply, dict):
            return JSONResponse(reply)
        message = {"role": "assistant", "content": reply}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        whole = {"id": "1", "object": "chat.completion", "created": 1, "model": body["model"],
                 "choices": [choice]}  # fmt: skip
        if self.usage:
            whole["usage"] = {**self.usage, "total_tokens": sum(self.usage.values())}
        return JSONResponse(whole)


@pytest.fixture
def model_server(monkeypatch: pytest.MonkeyPatch) -> Generator[ModelServer]:
    """A server in a thread of its own, so that commands run as processes reach it too."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-abcdefghijklmnop0123456789")
    serving = ModelServer()
    paths = ("/v1/chat/completions", "/v1/messages")  # as OpenAI has it, and as Anthropic has it
    app = Starlette(routes=[Route(path, serving.complete, methods=["POST"]) for path in paths])
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none", lifespan="off"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving.url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            while not server.started:
                time.sleep(0.01)
            yield serving
        finally:
            serving.over.set()
            server.should_exit = True
            thread.join(20)


KAGGLE_KEY, SIGNATURE = "0123456789abcdef-key-of-kaggle", "fedcba-signature-of-an-address"
API, STORAGE = "api.kaggle.com", "storage.googleapis.com"


class Fault(NamedTuple):
    """What comes in place of an answer."""

    status: int
    headers: dict[str, str]


class Cut(NamedTuple):
    """So many bytes of a body come, and then the connection breaks, or nothing more."""

    after: int
    stalls: bool = False


class KaggleServer:
    """Kaggle on loopback: a proxy that answers for its two hosts itself, with a certificate that
    the client is told to trust. So its real client runs, as it does behind a company's proxy."""

    def __init__(self) -> None:
        self.files: dict[str, dict[str, bytes]] = {}
        """By competition and name."""
        self.archives: dict[str, bytes] = {}
        """By competition: the zip of all."""
        self.entered = True
        self.faults: dict[str, list[Fault | Cut]] = {}
        """By the method of the API, or "storage": what comes first."""
        self.etag: str | None = '"one"'
        self.ranges = True
        self.page = 200
        self.asked: list[str] = []
        """Methods of the API, and what was taken from the storage, with the range."""
        self.keys: list[tuple[str, str | None]] = []
        """Of each request, the host and the header with the key."""
        self.over = threading.Event()

    def fails(self, name: str, status: int, **headers: str) -> None:
        """The next such request fails."""
        self.faults.setdefault(name, []).append(Fault(status, headers))

    def breaks(self, after: int, *, stalls: bool = False) -> None:
        """The next download breaks off, or stands still, after so many bytes."""
        self.faults.setdefault("storage", []).append(Cut(after, stalls))

    def fault(self, name: str) -> Fault | Cut | None:
        """The next one."""
        return self.faults[name].pop(0) if self.faults.get(name) else None

    def answer(self, method: str, asked: dict[str, Any]) -> Fault | dict[str, Any] | str:
        """To a call of the API: an error, a document, or where a file is."""
        self.asked.append(method)
        fault, name = self.fault(method), asked["competitionName"]
        if isinstance(fault, Fault):
            return fault
        if name not in self.archives:
            return Fault(404, {})
        if method == "GetCompetition":
            return {"ref": name, "userHasEntered": self.entered}
        if method == "ListDataFiles":
            start, files = int(asked.get("pageToken") or 0), list(self.files[name].items())
            page = [{"name": key, "totalBytes": len(data)} for key, data in files]
            end = start + self.page
            return {"files": page[start:end], "nextPageToken": str(end) * (end < len(page))}
        return f"{name}/{asked.get('fileName', '')}"

    def stored(self, path: str) -> tuple[str, bytes]:
        """What lies at a path of the storage."""
        competition, _, name = path.partition("/")
        return path, self.files[competition][name] if name else self.archives[competition]


class KaggleHandler(BaseHTTPRequestHandler):
    serving: KaggleServer
    context: ssl.SSLContext
    protocol_version = "HTTP/1.1"
    host = ""

    def do_CONNECT(self) -> None:
        self.host = self.path.partition(":")[0]
        self.send_response(200)
        self.end_headers()
        self.connection = self.context.wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb", 0)
        self.close_connection = False  # though HTTP/1.0 asks for the tunnel

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.serving.keys.append((self.host, self.headers["Authorization"]))
        said = self.serving.answer(self.path.rpartition("/")[2], asked)
        if isinstance(said, Fault):
            body = {"code": said.status, "message": f"no, {KAGGLE_KEY}"}
            self.send(said.status, json.dumps(body).encode(), said.headers)
        elif isinstance(said, dict):
            self.send(200, json.dumps(said).encode(), {})
        else:
            place = f"https://{STORAGE}/{said}?X-Goog-Signature={SIGNATURE}"
            self.send(302, b"", {"Location": place})

    def do_GET(self) -> None:
        self.serving.keys.append((self.host, self.headers["Authorization"]))
        name, whole = self.serving.stored(unquote(urlsplit(self.path).path.lstrip("/")))
        ranged = self.headers["Range"] if self.serving.ranges else None
        if ranged and self.headers["If-Range"] != self.serving.etag:
            ranged = None
        opened = self.headers["Accept-Encoding"] == "identity"
        if opened:
            self.serving.asked.append(f"{name} {ranged or 'all'}")
        fault = self.serving.fault("storage") if opened else None
        if isinstance(fault, Fault):
            self.send(fault.status, b"<Error/>", fault.headers)
            return
        headers = {"ETag": self.serving.etag} if self.serving.etag else {}
        start = int(ranged.removeprefix("bytes=").rstrip("-")) if ranged else 0
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(whole) - 1}/{len(whole)}"
        body = whole[start:]
        if start and not body:
            self.send(416, b"", {"Content-Range": f"bytes */{len(whole)}"})
        else:
            self.send(206 if start else 200, body, headers, fault)

    def send(
        self, status: int, body: bytes, headers: dict[str, str], cut: Cut | None = None
    ) -> None:
        with suppress(OSError):  # who asked only for the address does not read on
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            for key, value in headers.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(body[: cut.after] if cut else body)
            if cut and cut.stalls:
                self.serving.over.wait(60)
        self.close_connection = bool(cut) or self.close_connection

    def finish(self) -> None:
        with suppress(OSError):
            super().finish()
        self.connection.close()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


@pytest.fixture
def kaggle_server(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Generator[KaggleServer]:
    """A server in a thread of its own; commands run as processes find it, too."""
    place, authority = tmp_path_factory.mktemp("kaggle"), trustme.CA()
    authority.cert_pem.write_to_path(str(place / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(API, STORAGE).configure_cert(context)  # pyright: ignore[reportUnknownMemberType] - PyOpenSSL's types
    serving = KaggleServer()
    parts = {"serving": serving, "context": context}
    handler = type("Handler", (KaggleHandler,), parts)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        for name in ("HTTPS_PROXY", "https_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{server.server_port}")
        for name in ("NO_PROXY", "no_proxy", "KAGGLE_API_TOKEN", "KAGGLE_CONFIG_DIR"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(place / "ca.pem"))
        monkeypatch.setenv("HOME", str(place))
        monkeypatch.setenv("KAGGLE_USERNAME", "somebody")
        monkeypatch.setenv("KAGGLE_KEY", KAGGLE_KEY)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield serving
        finally:
            serving.over.set()
            server.shutdown()
            thread.join(20)
