"""``proctor run``: let an agent work tasks, and show what it earned."""

import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from proctor.clients.cli.agent_options import AgentOptions, agent_of, with_agent_options
from proctor.clients.cli.judge_options import JudgeOptions, judge_of, with_judge_options
from proctor.clients.cli.model_options import ModelOptions, model_agent, with_model_options
from proctor.clients.cli.options import (
    TasksOption,
    catalog_of,
    complain,
    made_directory,
    usage_error,
)
from proctor.clients.cli.sandboxes import SandboxOptions, backend_of, with_sandbox_options
from proctor.clients.cli.terms import FeedbackOption, SignKeyOption, signer_of, terms_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proctor.clients.runs.run import Plan
    from proctor.schemas.result import RunResult
    from proctor.server.terms import Terms
    from proctor.tasks.catalog import Catalog


@with_model_options
@with_agent_options
@with_judge_options
@with_sandbox_options
def run(
    patterns: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TASK]...", help="Ids or globs of tasks; all of them if none."),
    ] = None,
    *,
    epochs: Annotated[int, typer.Option(min=1, help="Sessions per task.")] = 1,
    concurrency: Annotated[int, typer.Option(min=1, help="Sessions at once.")] = 2,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where results go; runs/<time> by default.")
    ] = None,
    tasks: TasksOption = None,
    feedback: FeedbackOption = None,
    sign_key: SignKeyOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document and nothing else.")
    ] = False,
    sandboxes: SandboxOptions,
    judging: JudgeOptions,
    modelling: ModelOptions,
    seating: AgentOptions,
) -> None:
    """Work tasks with an agent, through a real MCP client and server, and grade them."""
    from datetime import UTC, datetime

    import anyio

    from proctor.clients.cli.run_view import print_table
    from proctor.clients.runs.run import Attempt, Plan, summary

    catalog = catalog_of(tasks)
    chosen = _chosen(catalog, patterns or ["*"])
    directory = (out or Path("runs") / f"{datetime.now(UTC):%Y%m%d-%H%M%S}").absolute()
    if any(made_directory(directory, "--out").iterdir()):
        usage_error(f"--out {directory} is not empty; choose another")
    model = model_agent(modelling, lambda task_id: catalog[task_id].limits.turns)
    hidden = [directory, *(path for path in tasks or [])]
    agent = agent_of(seating, model, catalog, hidden)
    plan = Plan(
        attempts=[Attempt(task_id=t, epoch=e) for t in chosen for e in range(1, epochs + 1)],
        agent=agent.agent,
        agent_name=agent.name,
        out=directory,
        concurrency=concurrency,
        seal=signer.seal if (signer := signer_of(sign_key)) else lambda result: result,
    )
    judge = judge_of(judging)
    terms = terms_of(feedback, sign_key, judge, after="none")
    if judge is None and not agent.may_ask_a_model:
        complain("proctor: no model takes part in this run")
    try:
        results = anyio.run(_run, plan, catalog, sandboxes, terms)
    except KeyboardInterrupt:
        complain(f"proctor: interrupted; what was finished is in {directory}")
        raise typer.Exit(130) from None
    if as_json:
        print(summary(plan, results).model_dump_json(indent=2))
    else:
        print_table(results, directory)
    if any(result.evaluation is None for result in results):
        raise typer.Exit(1)


def _chosen(catalog: "Catalog", patterns: list[str]) -> list[str]:
    chosen: dict[str, None] = {}
    for pattern in patterns:
        matching = fnmatch.filter(catalog.ids, pattern)
        if not matching:
            usage_error(f"no task matches {pattern!r}; 'proctor tasks list' names them")
        chosen.update(dict.fromkeys(matching))
    return list(chosen)


async def _run(
    plan: "Plan", catalog: "Catalog", options: SandboxOptions, terms: "Terms"
) -> "Sequence[RunResult]":
    """Run a plan against a server of this process, over HTTP on loopback."""
    import secrets

    from proctor.clients.cli.run_view import watching
    from proctor.clients.runs.owner import Owner
    from proctor.clients.runs.run import run as run_plan
    from proctor.server.http import build_app
    from proctor.server.listen import bind, listening
    from proctor.server.sessions import Sessions

    token, listener = secrets.token_urlsafe(32), bind("127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    chosen = [catalog[attempt.task_id].sandbox for attempt in plan.attempts]
    async with (
        backend_of(options, chosen) as backend,
        Sessions.serving(catalog, backend, plan.out, terms) as sessions,
    ):
        app = build_app(sessions, owner_token=token)
        async with listening(app, listener), Owner.of(url, token) as owner:
            with watching(plan) as watch:
                return await run_plan(plan, owner, watch)
