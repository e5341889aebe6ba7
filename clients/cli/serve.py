"""``proctor serve``: the server, over stdio or HTTP."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from proctor.clients.cli.judge_options import JudgeOptions, judge_of, with_judge_options
from proctor.clients.cli.offering import CompetitionsOption, with_competitions
from proctor.clients.cli.options import (
    CompatOption,
    TasksOption,
    catalog_of,
    complain,
    made_directory,
    usage_error,
)
from proctor.clients.cli.sandboxes import SandboxOptions, backend_of, with_sandbox_options
from proctor.clients.cli.terms import FeedbackOption, SignKeyOption, terms_of

if TYPE_CHECKING:
    from proctor.server.sessions import Sessions
    from proctor.server.terms import Terms
    from proctor.tasks.catalog import Catalog

TOKEN_VARIABLE = "PROCTOR_TOKEN"  # noqa: S105 - the name of a variable
LOOPBACK = ("127.0.0.1", "::1", "localhost")
FEW_SESSIONS = 200
"""Room for fewer is worth a word."""
EVERY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound to


@with_judge_options
@with_sandbox_options
def serve(
    *,
    http: Annotated[
        bool, typer.Option("--http", help="Serve HTTP instead of stdin and stdout.")
    ] = False,
    host: Annotated[str, typer.Option(help="With --http: the address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="With --http: the port; 0 takes a free one.", min=0, max=65535)
    ] = 8000,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="With --http: a host name under which clients reach the server."),
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="On stdio: open this task at once and offer no other.")
    ] = None,
    tasks: TasksOption = None,
    competitions: CompetitionsOption = "prepared",
    feedback: FeedbackOption = None,
    compat: CompatOption = "strict",
    sign_key: SignKeyOption = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Where sessions are kept; by default the user's data directory."),
    ] = None,
    sandboxes: SandboxOptions,
    judging: JudgeOptions,
) -> None:
    """Serve tasks to MCP clients, over stdin and stdout or, with --http, over HTTP."""
    import logging

    import anyio

    logging.basicConfig(level=logging.WARNING, format="proctor: %(levelname)s: %(message)s")
    terms = terms_of(
        feedback,
        sign_key,
        judge_of(judging),
        after="none" if http else "score",
        compat=compat,
    )
    catalog = with_competitions(catalog_of(tasks), competitions, [task] if task else [])
    serving = _Serving(catalog, sandboxes, data, terms, may_build=http)
    if http:
        if task:
            usage_error("--task goes with stdio; over HTTP, open sessions with POST /sessions")
        anyio.run(_serve_http, serving, host, port, allow_host or [])
    else:
        anyio.run(_serve_stdio, serving, task)


class _Serving:
    """What both ways of serving need."""

    def __init__(
        self,
        catalog: "Catalog",
        sandboxes: SandboxOptions,
        data: Path | None,
        terms: "Terms",
        *,
        may_build: bool,
    ) -> None:
        self._catalog = catalog
        self._sandboxes = sandboxes
        self._data = data
        self._terms = terms
        self._may_build = may_build

    @asynccontextmanager
    async def sessions(self) -> "AsyncGenerator[Sessions]":
        """The sessions, kept below the data directory."""
        import platformdirs

        from proctor.server.sessions import Sessions

        data = self._data or platformdirs.user_data_path("proctor", appauthor=False)
        records = made_directory(data.absolute() / "sessions", "--data")
        specs = [task.sandbox for task in self._catalog.read]
        async with (
            backend_of(self._sandboxes, specs, may_build=self._may_build) as backend,
            Sessions.serving(self._catalog, backend, records, self._terms) as sessions,
        ):
            complain(f"proctor: sessions are kept in {records}")
            yield sessions


async def _serve_stdio(serving: _Serving, task: str | None) -> None:
    from proctor.schemas.errors import TaskError
    from proctor.server.stdio import serve_stdio

    async with serving.sessions() as sessions:
        try:
            await serve_stdio(sessions, task)
        except TaskError as error:
            usage_error(str(error))


async def _serve_http(serving: _Serving, host: str, port: int, allow_host: list[str]) -> None:
    import secrets
    import signal

    import anyio

    from proctor.server.http import build_app
    from proctor.server.listen import bind, listening
    from proctor.server.room import allowed_files, room_for_sessions

    try:
        listener = bind(host, port)
    except OSError as error:
        usage_error(
            f"cannot listen on {host}:{port}: {error.strerror}; choose another --host or --port"
        )
    if host not in LOOPBACK and not allow_host:
        complain(
            "proctor: clients are let in only under this machine's own names; "
            "name the host that they use with --allow-host"
        )
    token = os.environ.get(TOKEN_VARIABLE) or secrets.token_urlsafe(32)
    async with serving.sessions() as sessions:
        app = build_app(sessions, owner_token=token, hosts=allow_host)
        async with listening(app, listener):
            name = LOOPBACK[0] if host in EVERY_ADDRESS else f"[{host}]" if ":" in host else host
            address = f"http://{name}:{listener.getsockname()[1]}"
            complain(
                f"proctor: MCP endpoint  {address}/mcp\n"
                f"proctor: owner token   {token}\n"
                "proctor: send it as 'Authorization: Bearer <token>'; POST /sessions opens a "
                "session for a client. Ctrl-C ends the server."
            )
            if (room := room_for_sessions()) is not None and room < FEW_SESSIONS:
                complain(
                    f"proctor: there is room for {room} sessions at once, as {allowed_files()} "
                    "open files are allowed; 'ulimit -n' allows more"
                )
            with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                async for _ in signals:
                    break
