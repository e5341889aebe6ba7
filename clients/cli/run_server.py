"""The server that a run is held against: one of its own on loopback, or one that runs already."""

import os
import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from proctor.clients.cli.options import usage_error
from proctor.clients.cli.sandboxes import SandboxOptions, backend_of
from proctor.clients.cli.serve import TOKEN_VARIABLE

if TYPE_CHECKING:
    from proctor.clients.runs.owner import Owner
    from proctor.schemas.sandbox import SandboxSpec
    from proctor.schemas.task import TaskCard
    from proctor.server.terms import Terms
    from proctor.tasks.catalog import Catalog


class Server(Protocol):
    """Where sessions are held."""

    keeps_records_of_its_own: bool
    """Whether its records lie elsewhere than the run's."""

    def owner(self) -> "AbstractAsyncContextManager[Owner]":
        """Reach it as its owner."""
        ...


@dataclass(frozen=True)
class OwnServer:
    """A server in this process, reached over HTTP on loopback."""

    catalog: "Catalog"
    specs: "Sequence[SandboxSpec]"
    """Those of the tasks that are going to be worked."""
    records: Path
    sandboxes: SandboxOptions
    terms: "Terms"
    keeps_records_of_its_own = False

    @asynccontextmanager
    async def owner(self) -> "AsyncGenerator[Owner]":
        """See `Server`."""
        from proctor.clients.runs.owner import Owner
        from proctor.server.http import build_app
        from proctor.server.listen import bind, listening
        from proctor.server.sessions import Sessions
        from proctor.server.unfinished import finish_gradings

        token, listener = secrets.token_urlsafe(32), bind("127.0.0.1", 0)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with backend_of(self.sandboxes, self.specs) as backend:
            await finish_gradings(self.records, self.catalog, backend, self.terms)
            serving = Sessions.serving(self.catalog, backend, self.records, self.terms)
            async with serving as sessions:
                app = build_app(sessions, owner_token=token)
                async with listening(app, listener), Owner.of(url, token) as owner:
                    yield owner


@dataclass(frozen=True)
class OtherServer:
    """A server that runs already."""

    url: str
    keeps_records_of_its_own = True

    @asynccontextmanager
    async def owner(self) -> "AsyncGenerator[Owner]":
        """See `Server`."""
        from proctor.clients.runs.owner import Owner

        token = os.environ.get(TOKEN_VARIABLE)
        if not token:
            usage_error(f"--server {self.url}: set {TOKEN_VARIABLE} to its owner token")
        async with Owner.of(self.url, token) as owner:
            yield owner

    def cards(self) -> "tuple[TaskCard, ...]":
        """The tasks that it offers; ends with exit code 2 where it cannot be asked."""
        import anyio

        from proctor.schemas.errors import SessionError

        async def ask() -> "tuple[TaskCard, ...]":
            async with self.owner() as owner:
                return await owner.tasks()

        try:
            return anyio.run(ask)
        except SessionError as error:
            usage_error(f"--server {self.url}: {error}")
