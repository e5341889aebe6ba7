"""An agent outside our process: it is given an MCP endpoint and a token, and sits the exam itself.

Below it: launchers, of which the command line hands one in. Each knows one way to run something
that is not ours: as a plain process, in bubblewrap, in a container.
"""

import json
import re
import shlex
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import anyio
from fastmcp.exceptions import ToolError

from proctor.clients.agents import AnyClient, Exam
from proctor.clients.agents.log import AgentLog, Stream
from proctor.schemas.errors import AgentError, ProctorError
from proctor.schemas.result import AgentOrigin, AgentReport, Confinement

GRACE_S = 1.0
"""After the session's end, at which the server itself hands the work in."""
PROMPT_CHARS = 50_000
"""A variable of an environment can be 128 KiB long."""
ANSWER_CHARS = 8000
SERVER = "proctor"
PLACEHOLDER = re.compile(r"\{(mcp_url|mcp_token|mcp_config|prompt_file|task_id)\}")
BRIEFING = f"""\
You sit an exam in machine learning. Its files and its sandbox are reached through the tools of \
the MCP server "{SERVER}", and in no other way: your own files and shell, if you have any, are \
not where the task is. Work until the task is done, then call the tool "submit" with your final \
answer. Nobody can answer questions. The tool "status" shows the task again, and the time left.

"""
ASK = 'Call the tool "status" first: it shows the task.'

Hear: TypeAlias = Callable[[Stream, bytes], None]
"""Told what comes on stdout and stderr."""
Report: TypeAlias = Callable[[str], dict[str, Any]]
"""Makes fields of an `AgentReport` of the last that an agent wrote to stdout."""


@dataclass(frozen=True)
class Errand:
    """What a launcher is to run."""

    argv: tuple[str, ...]
    """Empty where the launcher's image knows by itself."""
    env: Mapping[str, str]
    """Beside what any process needs."""
    directory: Path
    """Its own: it holds the two files below, and ``work/``, empty, to work in."""

    @property
    def prompt(self) -> Path:
        """What it is told; comes as its stdin, too."""
        return self.directory / "prompt.md"

    @property
    def mcp_config(self) -> Path:
        """What connects an MCP client; readable by its owner alone."""
        return self.directory / "mcp.json"

    @property
    def work(self) -> Path:
        """Its working directory."""
        return self.directory / "work"


class Launcher(Protocol):
    """One way to run an agent outside our process."""

    @property
    def confinement(self) -> Confinement:
        """What keeps the agent from tasks and results."""
        ...

    async def run(self, errand: Errand, hear: Hear) -> int:
        """Run an agent to its end; if cancelled, end it with everything that it started.

        Returns:
            Its exit code.

        Raises:
            ProctorError: It cannot be started.
        """
        ...


def _nothing(_: str) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Outsider:
    """An agent outside our process."""

    launcher: Launcher
    argv: tuple[str, ...] = ()
    """As `parsed` gives it."""
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    """Variables of ours that it gets, such as its provider's key; no log shows their values."""
    origin: AgentOrigin = field(default_factory=AgentOrigin)
    report: Report = _nothing
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    """Variables that are no secret."""
    linger_s: float = 60.0
    """How long it may go on once its work is graded, to say its last."""

    async def sit(self, exam: Exam) -> AgentReport:
        """Sit one exam: an `Agent`."""
        began = time.monotonic()
        prompt = _prompt(await _text(exam.client, "status", {}))
        errors: list[str] = []
        with (
            _own_directory() as place,
            AgentLog.at(exam.directory, (exam.ticket.token, *self.env.values())) as log,
        ):
            errand = self._errand(exam, place, prompt)
            left_s = exam.ticket.time_s + GRACE_S - (time.monotonic() - began)
            with anyio.move_on_after(left_s) as time_limit:
                code = await self._run(errand, log, exam)
                if code:
                    errors.append(f"the agent's process ended with exit code {code}; see agent.log")
            if time_limit.cancelled_caught:
                errors.append("the agent was still at work when its time was up")
            log.end()
        told = self.report(log.last)
        try:  # which changes nothing where the agent has done so
            answer = told.pop("answer", log.last[-ANSWER_CHARS:])
            await _text(exam.client, "submit", {"answer": answer})
        except ToolError as error:
            errors.append(f"nothing could be handed in: {error}")
        return AgentReport(
            errors=(*told.pop("errors", ()), *errors),
            confinement=self.launcher.confinement,
            origin=self.origin,
            **told,
        )

    async def _run(self, errand: Errand, log: AgentLog, exam: Exam) -> int | None:
        """Run it to its end; its exit code, or None if it had to be told that all is over."""
        code = None

        async def end_with_the_session() -> None:
            with suppress(ProctorError):
                await exam.settled()
                await anyio.sleep(self.linger_s)
                tasks.cancel_scope.cancel()

        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(end_with_the_session)
                code = await self.launcher.run(errand, log.hear)
                tasks.cancel_scope.cancel()
        except ExceptionGroup as group:
            raise group.exceptions[0] from group
        return code

    def _errand(self, exam: Exam, place: Path, prompt: str) -> Errand:
        url, token = exam.ticket.url, exam.ticket.token
        session = {
            "PROCTOR_MCP_URL": url,
            "PROCTOR_MCP_TOKEN": token,
            "PROCTOR_TASK_ID": exam.task_id,
        }
        errand = Errand(self.argv, {**self.settings, **self.env, **session}, place)
        known = {
            "mcp_url": url,
            "mcp_token": token,
            "mcp_config": str(errand.mcp_config),
            "prompt_file": str(errand.prompt),
            "task_id": exam.task_id,
        }
        errand.work.mkdir()
        for path, text in ((errand.prompt, prompt), (errand.mcp_config, mcp_config(url, token))):
            path.touch(mode=0o600)
            path.write_text(text, "utf-8")
        argv = (PLACEHOLDER.sub(lambda found: known[found[1]], each) for each in self.argv)
        return replace(errand, argv=tuple(argv))


@contextmanager
def _own_directory() -> Generator[Path]:
    with tempfile.TemporaryDirectory(prefix="proctor-agent-", ignore_cleanup_errors=True) as place:
        yield Path(place).resolve()


def parsed(command: str) -> tuple[str, ...]:
    """A command line as arguments.

    They may hold ``{mcp_url}``, ``{mcp_token}``, ``{mcp_config}``, ``{prompt_file}`` and
    ``{task_id}``, which each session puts in.

    Raises:
        AgentError: It is no command line.
    """
    try:
        argv = tuple(shlex.split(command))
    except ValueError as error:
        raise AgentError(f"{command!r} is no command line: {error}") from error
    if not argv:
        raise AgentError("the command is empty; name a program")
    return argv


def mcp_config(url: str, token: str) -> str:
    """An ``mcp.json`` that connects a client to a session, in the form that most clients read."""
    headers = {"Authorization": f"Bearer {token}"}
    # alwaysLoad: Claude Code begins its first turn without servers that are not connected yet,
    # unless told to wait for one: https://github.com/anthropics/claude-code/issues/82900
    entry = {"type": "http", "url": url, "headers": headers, "alwaysLoad": True}
    return json.dumps({"mcpServers": {SERVER: entry}}, indent=2) + "\n"


def _prompt(status: str) -> str:
    return BRIEFING + (status if len(status) <= PROMPT_CHARS else ASK) + "\n"


async def _text(client: AnyClient, tool: str, arguments: dict[str, Any]) -> str:
    result = await client.call_tool(tool, arguments)
    return "".join(getattr(block, "text", "") for block in result.content)
