"""``proctor run``: let agents work tasks, and show what they earned."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from proctor.clients.cli.agent_options import (
    AgentOptions,
    other_agents,
    refuse_two_agents,
    with_agent_options,
)
from proctor.clients.cli.judge_options import JudgeOptions, judge_of, with_judge_options
from proctor.clients.cli.model_options import ModelOptions, model_agents, with_model_options
from proctor.clients.cli.offering import with_prepared, without_competitions
from proctor.clients.cli.options import (
    CompatOption,
    DataOption,
    TasksOption,
    catalog_of,
    complain,
    made_directory,
    usage_error,
    with_problems_told,
)
from proctor.clients.cli.run_limits import RunLimits, with_run_limits
from proctor.clients.cli.run_lock import agreed, conditions_of, given_flags, lock_of, take_flags
from proctor.clients.cli.run_server import OtherServer, OwnServer
from proctor.clients.cli.run_tasks import TaskChoice, with_task_choice
from proctor.clients.cli.sandboxes import SandboxOptions, may_isolate, with_sandbox_options
from proctor.clients.cli.terms import FeedbackOption, SignKeyOption, signer_of, terms_of

if TYPE_CHECKING:
    from proctor.clients.cli.run_held import Outcome
    from proctor.clients.runs.directory import RunDirectory


@with_model_options
@with_agent_options
@with_judge_options
@with_sandbox_options
@with_run_limits
@with_task_choice
def run(
    ctx: typer.Context,
    patterns: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TASK]...", help="Ids or globs of tasks; if none, all that need no download."
        ),
    ] = None,
    *,
    epochs: Annotated[int, typer.Option(min=1, help="Sessions per task and agent.")] = 1,
    concurrency: Annotated[int, typer.Option(min=1, help="Sessions at once.")] = 2,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "--output-dir",
            metavar="DIR",
            help="Where results go; runs/<time> by default.",
        ),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            is_eager=True,
            callback=take_flags,
            help="Go on with the run in DIR, with its flags: what is done stays; what failed in "
            "a way that may pass is done again.",
        ),
    ] = None,
    accept_changes: Annotated[
        bool,
        typer.Option(
            "--accept-changes",
            help="With --resume: go on though tasks, flags or software have changed.",
        ),
    ] = False,
    server: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Hold the sessions on this server, whose owner token is in PROCTOR_TOKEN. "
            "Sandboxes, judge, feedback and --compat are then its own.",
        ),
    ] = None,
    no_eval: Annotated[
        bool,
        typer.Option("--no-eval", help="Keep what is handed in ungraded, for 'proctor grade'."),
    ] = False,
    tasks: TasksOption = None,
    data: DataOption = None,
    feedback: FeedbackOption = None,
    compat: CompatOption = "strict",
    sign_key: SignKeyOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document and nothing else.")
    ] = False,
    choice: TaskChoice,
    limits: RunLimits,
    sandboxes: SandboxOptions,
    judging: JudgeOptions,
    seating: AgentOptions,
    modelling: ModelOptions,
) -> None:
    """Work tasks with agents, through a real MCP client and server, and grade them."""
    from proctor.clients.cli.run_held import Holding
    from proctor.clients.cli.run_view import print_table
    from proctor.clients.runs.directory import RunDirectory
    from proctor.clients.runs.run import Plan, summary

    catalog = catalog_of([*(tasks or ()), *choice.files] or None, data)
    other = OtherServer(server.rstrip("/").removesuffix("/mcp")) if server else None
    if not other:
        catalog = with_problems_told(choice.offered(catalog, patterns or []), catalog)
    cards = choice.chosen(
        other.cards() if other else catalog.cards(),
        patterns or [],
        None if other else catalog.competitions,
    )
    if not other and not choice.asks(patterns or []) and not may_isolate(sandboxes):
        cards = without_competitions(cards)
    turns = {card.id: card.limits.turns for card in cards}
    budget = limits.budget()
    directory = RunDirectory(resume.absolute() if resume else _free_place(out))
    judge, signer = judge_of(judging), signer_of(sign_key)
    sandboxes.overrides()  # refuses sizes and settings that cannot be
    refuse_two_agents(seating, models=bool(modelling.model))
    sitting = model_agents(modelling, turns.__getitem__, budget)
    conditions = conditions_of(
        limits,
        sandboxes,
        judging,
        seating,
        feedback=feedback,
        compat=None if compat == "strict" else compat,
        server=server,
        graded=not no_eval,
        max_turns=modelling.max_turns,
        system_prompt=modelling.system_prompt,
    )
    if not other:  # may take hours, so whatever can be refused was
        catalog = with_prepared(catalog, cards)
        cards = [catalog.card(card.id) for card in cards]
    hidden = [directory.path, *(tasks or ()), *choice.files]
    hidden += [catalog.competitions.data] if catalog.competitions else []
    sitting = other_agents(seating, catalog, hidden, budget, models=bool(sitting)) or sitting
    lock = lock_of(given_flags(ctx), cards, [each for each, _ in sitting], epochs, conditions)
    if resume:
        lock = agreed(lock, directory, accept=accept_changes)
    if judge is None and not any(candidate.may_ask_a_model for candidate, _ in sitting):
        complain("proctor: no model takes part in this run")
    plan = Plan(
        lock=lock,
        concurrency=concurrency,
        retries=limits.retries,
        seal=signer.seal if signer else lambda result: result,
    )
    terms = terms_of(feedback, sign_key, judge, after="none", compat=compat)
    specs = [catalog[card.id].sandbox for card in cards if not other]
    made_directory(directory.path, "--out")
    outcome = Holding(
        plan=plan,
        agents={candidate.name: each for candidate, each in sitting},
        directory=directory,
        server=other or OwnServer(catalog, specs, directory.path, sandboxes, terms),
        limits=limits,
        budget=budget,
        grade=not no_eval,
    ).hold()
    if as_json:
        print(summary(lock, outcome.results).model_dump_json(indent=2))
    else:
        print_table(list(outcome.results.values()), directory.path, is_kept_here=other is None)
    raise typer.Exit(_exit_code(outcome, directory, graded=not no_eval))


def _free_place(out: Path | None) -> Path:
    """Where a new run's directory is to be made; ends with exit code 2 where something is."""
    from datetime import UTC, datetime

    from proctor.clients.runs.directory import LOCK

    path = (out or Path("runs") / f"{datetime.now(UTC):%Y%m%d-%H%M%S}").absolute()
    if (path / LOCK).exists():
        usage_error(f"--out {path} holds a run; go on with it by --resume {path}")
    if path.exists() and not path.is_dir():
        usage_error(f"--out {path} is a file; choose another")
    if path.exists() and any(path.iterdir()):
        usage_error(f"--out {path} is not empty; choose another")
    return path


def _exit_code(outcome: "Outcome", directory: "RunDirectory", *, graded: bool) -> int:
    if outcome.stopped or outcome.not_held:
        complain(
            f"proctor: {outcome.why}; sessions not held: {outcome.not_held}. "
            f"Go on with: proctor run --resume {directory.path}"
        )
    if outcome.stopped:
        return 130
    missing = graded and any(result.evaluation is None for result in outcome.results.values())
    return int(missing or bool(outcome.not_held))
