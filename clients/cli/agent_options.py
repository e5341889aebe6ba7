"""Who sits the exam: options, and what they stand for."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from proctor.clients.cli.options import complain, usage_error, with_options

if TYPE_CHECKING:
    from proctor.clients.agents import Agent
    from proctor.clients.agents.budget import Budget
    from proctor.clients.agents.command import Launcher, Outsider
    from proctor.clients.agents.presets import Preset
    from proctor.schemas.run import Candidate
    from proctor.tasks.catalog import Catalog

PANEL = "Agent"
ORACLE, NOOP = "oracle", "noop"


@dataclass(frozen=True)
class AgentOptions:
    """What the command line says of the agent, where it is no model in the reference agent."""

    agent: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE.py:FUNCTION",
            rich_help_panel=PANEL,
            help="oracle (the default) replays the reference solutions; noop submits at once; "
            "claude-code and codex run those programs; FILE.py:FUNCTION is an async function of "
            "your own.",
        ),
    ] = None
    agent_command: Annotated[
        str | None,
        typer.Option(
            metavar="COMMAND",
            rich_help_panel=PANEL,
            help="Start this for each session. It may hold {mcp_url}, {mcp_token}, {mcp_config}, "
            "{prompt_file} and {task_id}; the prompt comes on stdin, too.",
        ),
    ] = None
    agent_image: Annotated[
        str | None,
        typer.Option(
            metavar="IMAGE", rich_help_panel=PANEL, help="Run this image for each session."
        ),
    ] = None
    agent_git: Annotated[
        str | None,
        typer.Option(
            metavar="URL@REV",
            rich_help_panel=PANEL,
            help="Build the Dockerfile at the top of this repository, and run the image.",
        ),
    ] = None
    trust_agent: Annotated[
        bool,
        typer.Option(
            "--trust-agent",
            rich_help_panel=PANEL,
            help="With --agent-image and --agent-git: yes, build and run what is there.",
        ),
    ] = False
    agent_arg: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ARGUMENT",
            rich_help_panel=PANEL,
            help="Another argument for claude-code or codex: --agent-arg=--model "
            "--agent-arg=opus. May be repeated.",
        ),
    ] = None
    agent_env: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            rich_help_panel=PANEL,
            help="A variable that a process or container gets from the environment, such as "
            "its provider's key. May be repeated.",
        ),
    ] = None
    agent_path: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="PATH",
            rich_help_panel=PANEL,
            help="What a process may read of this machine beside the system and the files that "
            "its command names. May be repeated.",
        ),
    ] = None
    agent_home: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE",
            rich_help_panel=PANEL,
            help="A file of your home, such as .codex/auth.json, of which a process gets a copy "
            "in its own. May be repeated.",
        ),
    ] = None
    agent_unconfined: Annotated[
        bool,
        typer.Option(
            "--agent-unconfined",
            rich_help_panel=PANEL,
            help="Run a process as it is, without bubblewrap; every result says so.",
        ),
    ] = False


with_agent_options = with_options(AgentOptions, "seating")
"""Give a command the options of `AgentOptions`, gathered in its argument ``seating``."""


@dataclass(frozen=True)
class NamedAgent:
    """An agent, and what results call it."""

    name: str
    agent: "Agent"


def other_agents(
    options: AgentOptions,
    catalog: "Catalog",
    hidden: Sequence[Path],
    run: "Budget",
    *,
    models: bool,
) -> "list[tuple[Candidate, Agent]]":
    """The agent that the options ask for, if any; ends with exit code 2 where it can't be had.

    Args:
        options: The command line's.
        catalog: The tasks, of which oracle gets the solutions.
        hidden: Directories that no process may see: tasks and results.
        run: What all sessions together may use; charged as each has ended.
        models: Whether models were named, for the reference agent; without, oracle is taken where
            nothing else is asked for.
    """
    from proctor.clients.agents.charged import charged
    from proctor.schemas.run import Candidate

    found = _agent_of(options, catalog, hidden, models=models)
    return [] if found is None else [(Candidate.of(found.name), charged(found.agent, run))]


def refuse_two_agents(options: AgentOptions, *, models: bool) -> None:
    """End with exit code 2 where more than one option names an agent, `--model` being one."""
    given = _given(options)
    if len(given) > 1:
        usage_error(f"{given[0]} and {given[1]} both name an agent; choose one")
    if models and given:
        usage_error(f"--model is for the reference agent, and {given[0]} names another")


def _given(options: AgentOptions) -> list[str]:
    """The options that name an agent."""
    names = ("agent", "agent_command", "agent_image", "agent_git")
    return [_flag(name) for name in names if getattr(options, name)]


def _agent_of(
    options: AgentOptions, catalog: "Catalog", hidden: Sequence[Path], *, models: bool
) -> NamedAgent | None:
    from proctor.clients.agents.presets import PRESETS
    from proctor.schemas.errors import ProctorError

    if models:
        return None
    given = _given(options)
    try:
        if options.agent_image or options.agent_git:
            return _container(options)
        if options.agent_command:
            return _command(options, options.agent_command, hidden)
        if options.agent in PRESETS:
            return _preset(options, options.agent, PRESETS[options.agent], hidden)
        return _in_process(options.agent or ORACLE, catalog)
    except ProctorError as error:
        usage_error(f"{given[0]}: {error}" if given else str(error))


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _in_process(name: str, catalog: "Catalog") -> NamedAgent:
    if name == NOOP:
        from proctor.clients.agents.noop import noop

        return NamedAgent(NOOP, noop)
    if name == ORACLE:
        from proctor.clients.agents.oracle import oracle

        solutions = {task.id: task.solution for task in catalog if task.solution is not None}
        return NamedAgent(ORACLE, oracle(solutions))
    if ":" not in name:
        usage_error(
            f"there is no agent {name!r}; it is oracle, noop, claude-code, codex, "
            "or FILE.py:FUNCTION"
        )
    from proctor.clients.agents.python_file import load_agent

    return NamedAgent(name.rpartition(":")[2], load_agent(name))


def _command(options: AgentOptions, command: str, hidden: Sequence[Path]) -> NamedAgent:
    from proctor.clients.agents.command import Outsider, parsed
    from proctor.schemas.result import AgentOrigin

    argv = _located(parsed(command))
    launcher = _launcher(options, argv, tuple(options.agent_home or ()), hidden)
    origin = AgentOrigin(command=argv)
    name = next((Path(each).stem for each in argv[1:] if Path(each).is_file()), Path(argv[0]).name)
    return _named(name, Outsider(launcher, argv, _passed_on(options), origin))


def _preset(
    options: AgentOptions, name: str, preset: "Preset", hidden: Sequence[Path]
) -> NamedAgent:
    from proctor.clients.agents.command import Outsider
    from proctor.schemas.result import AgentOrigin

    argv = _located(preset.argv + tuple(options.agent_arg or ()))
    launcher = _launcher(options, argv, preset.home_files + tuple(options.agent_home or ()), hidden)
    env = {each: os.environ[each] for each in preset.passed_on if each in os.environ}
    outsider = Outsider(
        launcher,
        argv,
        {**env, **_passed_on(options)},
        AgentOrigin(command=argv),
        preset.report,
        dict(preset.settings),
    )
    return _named(name, outsider)


def _container(options: AgentOptions) -> NamedAgent:
    import anyio

    from proctor.clients.agents.command import Outsider
    from proctor.clients.cli.agent_containers import Contained, from_git, from_image

    place = options.agent_git or options.agent_image or ""
    if not options.trust_agent:
        what = (
            f"fetch {place} and build the Dockerfile there"
            if options.agent_git
            else f"fetch {place}, where it is not here"
        )
        usage_error(
            f"this would {what}, and run the image on this machine's network, with the variables "
            "that --agent-env names; if you trust it, add --trust-agent"
        )
    prepare = from_git if options.agent_git else from_image
    try:
        origin = anyio.run(prepare, place, complain)
    except KeyboardInterrupt:
        complain("proctor: interrupted")
        raise typer.Exit(130) from None
    launcher = Contained(origin.image_id or "")
    name = Path((origin.git or place).rstrip("/")).name.removesuffix(".git")
    return _named(name, Outsider(launcher, env=_passed_on(options), origin=origin))


def _named(name: str, outsider: "Outsider") -> NamedAgent:
    return NamedAgent(name, outsider.sit)


def _located(argv: tuple[str, ...]) -> tuple[str, ...]:
    """A command line that means the same from any directory: its program and files are absolute."""
    from proctor.schemas.errors import AgentError

    found = shutil.which(argv[0])
    if found is None:
        raise AgentError(f"there is no program {argv[0]!r}; install it, or name its path")
    files = (str(Path(each).absolute()) if Path(each).is_file() else each for each in argv[1:])
    return (str(Path(found).absolute()), *files)


def _launcher(
    options: AgentOptions, argv: tuple[str, ...], home: tuple[str, ...], hidden: Sequence[Path]
) -> "Launcher":
    """What runs a process: bubblewrap, or nothing where it cannot be had or is not wanted."""
    from proctor.clients.cli.agent_processes import Plain, Walled, walls_problem
    from proctor.sandbox_backends.agent_walls import View
    from proctor.sandbox_backends.local import bubblewrap_problem
    from proctor.schemas.errors import AgentError

    problem = None if options.agent_unconfined else bubblewrap_problem()
    if problem or options.agent_unconfined:
        why = f" ({problem})" if problem else ""
        complain(
            f"proctor: WARNING: the agent runs unconfined{why}: it can read tasks and results, "
            "and every result says so."
        )
        return Plain()
    files = [Path(each) for each in argv if Path(each).is_absolute() and Path(each).is_file()]
    paths = [path.absolute() for path in options.agent_path or ()]
    view = View((*paths, *files), tuple(path.resolve() for path in hidden))
    if problem := view.problem() or walls_problem(view):
        raise AgentError(problem)
    return Walled(view, home)


def _passed_on(options: AgentOptions) -> dict[str, str]:
    names = options.agent_env or []
    if missing := [name for name in names if name not in os.environ]:
        usage_error(f"--agent-env {missing[0]}: it is not set; set it, or leave the option out")
    return {name: os.environ[name] for name in names}
