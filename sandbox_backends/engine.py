"""The container engine: the one file that knows Docker's API, which Podman's socket speaks as well.

Above it: the docker backend and the sandbox image. Calls of the SDK block, so they run in threads;
a container's own stream is a socket that this process reads and writes itself.
"""

import io
import os
import re
import socket
import struct
import tarfile
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import anyio
import docker
import requests
import urllib3
from anyio.abc import ByteReceiveStream, ByteSendStream, SocketStream
from anyio.from_thread import run_sync as run_in_loop
from anyio.to_thread import run_sync
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from typing_extensions import override

from proctor.schemas.errors import SandboxStartError

Result = TypeVar("Result")

CALLS_AT_ONCE = 16
CALL_WITHIN_S = 60
REMOVE_WITHIN_S = 30
STREAM_HEADER = struct.Struct(">BxxxL")
STDOUT = 1
COMPLAINT_BYTES = 2000
COLOUR = re.compile("\x1b\\[[0-9;]*m")
STEP = "Step "
ITS_OWN = (" ---> ", "Removing ")
"""What an engine's own words begin with in the midst of a build's."""
LAST_LINES = 5
"""Of a command that fails: pip's last ones may be about a newer pip, not a full disk."""
PODMAN = ("/run/podman/podman.sock", "{XDG_RUNTIME_DIR}/podman/podman.sock")
FAULTS = (DockerException, requests.RequestException, urllib3.exceptions.HTTPError)
"""What the SDK raises; the last of them where an engine goes in the midst of a stream."""
EVERY_EVENT = 1
"""Since when events are asked for: a second after the epoch, as 0 means from now on."""


@dataclass
class Container:
    """A container that runs, and the stream to its first process."""

    id: str
    image: str
    """The image's id."""
    stdin: ByteSendStream
    stdout: ByteReceiveStream
    complaints: "Complaints"


class Complaints:
    """The last of what a container's first process wrote to stderr: why it did not come up."""

    def __init__(self, hear: Callable[[bytes], object] = lambda _: None) -> None:
        """Begin; `hear` is told all of it."""
        self._hear = hear
        self._last = b""

    def add(self, data: bytes) -> None:
        """Keep the end of it."""
        self._hear(data)
        self._last = (self._last + data)[-COMPLAINT_BYTES:]

    def __str__(self) -> str:
        return self._last.decode("utf-8", "replace").strip()


class Engine:
    """A container engine that answers."""

    def __init__(self, client: docker.DockerClient, *, is_podman: bool) -> None:
        self._client: Any = client  # its types are incomplete
        self._calls = anyio.CapacityLimiter(CALLS_AT_ONCE)
        self._left: set[str] = set()
        """Containers that could not be removed, such as while it restarted."""
        self.is_podman = is_podman
        """Whether it is Podman, which reads a seccomp profile from a path on its own machine."""

    @classmethod
    async def connect(cls) -> "Engine":
        """Find the engine that ``DOCKER_HOST``, Docker's context or a Podman socket names.

        Raises:
            SandboxStartError: None answers.
        """
        return await run_sync(cls._connect)

    @classmethod
    def _connect(cls) -> "Engine":
        problem: Exception | None = None
        for environment in _environments():
            try:
                client: Any = docker.DockerClient.from_env(
                    environment=environment, timeout=CALL_WITHIN_S, max_pool_size=CALLS_AT_ONCE
                )
                parts = client.version().get("Components") or ()
                return cls(client, is_podman=any("Podman" in part["Name"] for part in parts))
            except (*FAULTS, OSError) as error:
                problem = problem or error
        raise SandboxStartError(f"no container engine answers: {_reason(problem)}") from problem

    async def close(self) -> None:
        """Let go of its connections, and of what an earlier attempt could not remove."""
        with anyio.CancelScope(shield=True):
            await self._remove_left()
            await run_sync(self._client.close)

    @asynccontextmanager
    async def container(
        self, settings: Mapping[str, Any], complaints: Complaints | None = None
    ) -> AsyncGenerator[Container]:
        """Run a container for as long as the context lasts.

        Args:
            settings: As docker-py's ``containers.create`` takes them.
            complaints: Where its stderr goes, as its stdout is read.

        Raises:
            SandboxStartError: It did not start; nothing is left behind.
        """
        await self._remove_left()
        made = await self._call(partial(self._client.containers.create, **settings))
        try:
            complaints = complaints or Complaints()
            async with self._attached(str(made.id)) as stream:
                await self._call(made.start)
                stdout = _Stdout(stream, complaints)
                image = str(made.attrs.get("Image", ""))
                yield Container(str(made.id), image, stream, stdout, complaints)
        finally:
            with anyio.move_on_after(REMOVE_WITHIN_S, shield=True):
                await run_sync(self._remove, str(made.id), abandon_on_cancel=True)

    @asynccontextmanager
    async def _attached(self, container_id: str) -> AsyncGenerator[SocketStream]:
        wanted = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
        held = await self._call(
            partial(self._client.api.attach_socket, container_id, params=wanted)
        )
        async with await _as_stream(held) as stream:
            yield stream

    def _remove(self, container_id: str) -> None:
        """Remove a container that may be going by itself; bear in mind one that stays."""
        api = self._client.api
        try:
            try:
                api.remove_container(container_id, force=True, v=True)
            except NotFound:
                pass
            except APIError:  # its removal is under way
                with suppress(NotFound):
                    api.wait(container_id, timeout=REMOVE_WITHIN_S, condition="removed")
        except FAULTS:
            self._left.add(container_id)
        else:
            self._left.discard(container_id)

    async def _remove_left(self) -> None:
        with anyio.move_on_after(REMOVE_WITHIN_S):
            for each in tuple(self._left):
                await run_sync(self._remove, each, abandon_on_cancel=True)

    async def exit_code(self, container_id: str) -> int:
        """How a container ended that is there to be removed; waits a while for its end."""
        ended = await self._call(partial(self._client.api.wait, container_id))
        return int(ended["StatusCode"])

    async def fate(self, container_id: str) -> str:
        """Why a container is gone, as far as the engine still knows."""
        try:
            events = await run_sync(self._events_of, container_id, abandon_on_cancel=True)
        except (*FAULTS, OSError):
            return "the container engine is gone, too"
        if "oom" in events:
            return "it ran out of memory"
        if "kill" in events:
            return "its container was killed from outside"
        if "die" in events:
            return f"its container ended with exit code {events['die']}"
        return "its container is gone; the engine may have been restarted"

    def _events_of(self, container_id: str) -> dict[str, str]:
        """What happened to a container, with the exit code where there is one."""
        now = datetime.fromisoformat(self._client.api.info()["SystemTime"]).timestamp()
        happened: dict[str, str] = {}
        with closing(
            self._client.api.events(
                since=EVERY_EVENT,
                until=int(now) + 2,  # its end may be news to the engine, too
                filters={"container": container_id, "type": "container"},
                decode=True,
            )
        ) as events:
            for event in events:
                happened[event["Action"]] = event["Actor"]["Attributes"].get("exitCode", "")
                if event["Action"] == "die":
                    break
        return happened

    async def sweep(self, label: str, dead: Callable[[str], bool]) -> None:
        """Remove the containers with `label` whose value is a dead server's."""
        filters = {"label": label}
        listed = await self._call(partial(self._client.api.containers, all=True, filters=filters))
        for each in listed:
            if dead(each["Labels"].get(label, "")):
                await run_sync(self._remove, each["Id"])

    async def has_image(self, name: str) -> bool:
        """Whether it holds an image."""
        try:
            await run_sync(self._client.api.inspect_image, name)
        except (ImageNotFound, NotFound):
            return False
        except FAULTS as error:
            raise _failure(error) from error
        return True

    async def image_id(self, name: str) -> str:
        """The digest of an image that it holds.

        Raises:
            SandboxStartError: It does not hold it.
        """
        found = await self._call(partial(self._client.api.inspect_image, name))
        return str(found["Id"])

    async def pull(self, name: str) -> None:
        """Fetch an image from its registry.

        Raises:
            SandboxStartError: It cannot be had.
        """
        try:
            await self._call(partial(self._client.api.pull, name))
        except SandboxStartError as error:
            raise SandboxStartError(
                f"the image {name} is not there and cannot be fetched: {error}"
            ) from error

    async def build(
        self,
        source: Mapping[str, bytes] | Path,
        options: Mapping[str, Any],
        say: Callable[[str], object],
    ) -> None:
        """Build an image from files or a directory, with docker-py's `options` of ``build``.

        `say` is told every line of its progress.

        Raises:
            SandboxStartError: It cannot be built.
        """
        last = deque[str](maxlen=LAST_LINES)  # of the step that fails
        context: dict[str, Any] = (
            {"path": str(source)}
            if isinstance(source, Path)
            else {"fileobj": _context(source), "custom_context": True}
        )

        def build() -> None:
            error = ""
            for line in self._client.api.build(
                **context,
                decode=True,
                rm=True,
                forcerm=True,
                **options,
            ):
                error = error or line.get("error", "")
                for text in _texts(line):
                    run_in_loop(say, text)
                    if text.startswith(STEP):
                        last.clear()
                    elif not text.startswith(ITS_OWN):
                        last.append(text)
            if error:
                raise SandboxStartError("\n".join((error, *last)))

        try:
            await self._call(build)
        except SandboxStartError as error:
            raise SandboxStartError(f"the image cannot be built: {error}") from error

    async def images(self, label: str) -> tuple[dict[str, Any], ...]:
        """Every image with that label, as the engine describes it."""
        listed = await self._call(partial(self._client.api.images, filters={"label": label}))
        return tuple(listed)

    async def remove_image(self, image_id: str) -> None:
        """Remove an image.

        Raises:
            SandboxStartError: It is in use.
        """
        await self._call(partial(self._client.api.remove_image, image_id, force=False))

    async def _call(self, work: Callable[[], Result]) -> Result:
        """Make a blocking call, and say whatever goes wrong as an error of ours."""
        try:
            return await run_sync(work, limiter=self._calls)
        except ImageNotFound as error:
            raise SandboxStartError(f"the image is missing: {_reason(error)}") from error
        except FAULTS as error:
            raise _failure(error) from error


def _failure(error: Exception) -> SandboxStartError:
    what = "fails" if isinstance(error, DockerException) else "does not answer"
    return SandboxStartError(f"the container engine {what}: {_reason(error)}")


def _texts(line: Mapping[str, Any]) -> Iterator[str]:
    """The lines of text in one message of a build's progress."""
    said = COLOUR.sub("", str(line.get("stream") or line.get("status") or ""))
    return (text.rstrip() for text in said.splitlines() if text.strip())


def _environments() -> Iterator[dict[str, str]]:
    """Where to look for an engine: as Docker's own command does, then at Podman's sockets."""
    yield dict(os.environ)
    if "DOCKER_HOST" not in os.environ:
        runtime = os.environ.get("XDG_RUNTIME_DIR", "/nowhere")
        for path in PODMAN:
            place = Path(path.format(XDG_RUNTIME_DIR=runtime))
            if place.is_socket():
                yield {**os.environ, "DOCKER_HOST": f"unix://{place}"}


def _reason(error: Exception | None) -> str:
    explanation = getattr(error, "explanation", None)
    return str(explanation or error).strip().splitlines()[-1][:500]


async def _as_stream(held: Any) -> SocketStream:  # noqa: ANN401 - docker-py's
    """The connection that docker-py made, as a stream of ours; docker-py lets go of it."""
    inner = getattr(held, "_sock", held)
    plain = type(inner) is socket.socket  # TLS and ssh have no descriptor that carries plain bytes
    own = socket.socket(fileno=os.dup(inner.fileno())) if plain else None
    held.close()
    inner.close()
    if own is None:
        raise SandboxStartError(
            "a container engine behind TLS or ssh cannot be used; "
            "run proctor on its machine, or forward its socket"
        )
    own.setblocking(False)  # noqa: FBT003 - the system's signature
    return await SocketStream.from_socket(own)  # a UnixSocketStream could cut a frame off


class _Stdout(ByteReceiveStream):
    """The stdout among a container's streams; what comes on stderr is kept as complaints."""

    def __init__(self, stream: ByteReceiveStream, complaints: Complaints) -> None:
        self._stream = stream
        self._complaints = complaints
        self._received = bytearray()
        self._left = 0

    @override
    async def receive(self, max_bytes: int = 65536) -> bytes:
        while not self._left:
            kind, size = STREAM_HEADER.unpack(await self._taken(STREAM_HEADER.size))
            if kind == STDOUT:
                self._left = size
            else:
                self._complaints.add(await self._taken(size))
        data = await self._taken(min(max_bytes, self._left, len(self._received) or 1))
        self._left -= len(data)
        return data

    async def _taken(self, size: int) -> bytes:
        """The next `size` bytes, whatever pieces they come in."""
        while len(self._received) < size:
            self._received += await self._stream.receive()
        data = bytes(self._received[:size])
        del self._received[:size]
        return data

    @override
    async def aclose(self) -> None:
        await self._stream.aclose()


def _context(files: Mapping[str, bytes]) -> io.BytesIO:
    """A build's files, as the tar stream that engines take."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o644
            archive.addfile(info, io.BytesIO(content))
    target.seek(0)
    return target
