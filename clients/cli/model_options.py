"""Which model works the tasks: options, and what they stand for."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from proctor.clients.cli.options import complain, usage_error, with_options

if TYPE_CHECKING:
    from proctor.clients.agents import Agent
    from proctor.clients.agents.budget import Budget
    from proctor.clients.agents.model import ModelSettings
    from proctor.schemas.run import Candidate

PANEL = "Model"


@dataclass(frozen=True)
class ModelOptions:
    """What the command line says of the model. Its keys come from the environment or ``.env``."""

    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL",
            rich_help_panel=PANEL,
            help="Work the tasks with this model, as LiteLLM names it: openai/gpt-5, "
            "gemini/gemini-2.5-pro, ollama_chat/qwen3. May be repeated.",
        ),
    ] = None
    api_base: Annotated[
        str | None,
        typer.Option(
            metavar="URL", rich_help_panel=PANEL, help="Where the provider is, if not as usual."
        ),
    ] = None
    temperature: Annotated[
        float | None,
        typer.Option(min=0.0, max=2.0, rich_help_panel=PANEL, help="The provider's own if unset."),
    ] = None
    seed: Annotated[
        int | None, typer.Option(rich_help_panel=PANEL, help="For providers that take one.")
    ] = None
    max_tokens: Annotated[
        int | None, typer.Option(min=1, rich_help_panel=PANEL, help="Of each reply.")
    ] = None
    reasoning_effort: Annotated[
        str | None,
        typer.Option(
            metavar="none|minimal|low|medium|high|xhigh",
            rich_help_panel=PANEL,
            help="For models that reason.",
        ),
    ] = None
    max_turns: Annotated[
        int | None,
        typer.Option(min=1, rich_help_panel=PANEL, help="Turns of the model, over the task's own."),
    ] = None
    max_session_tokens: Annotated[
        int | None,
        typer.Option(
            min=1, rich_help_panel=PANEL, help="Cap on a session's tokens, prompts and replies."
        ),
    ] = None
    max_session_usd: Annotated[
        float | None,
        typer.Option(min=0.0, rich_help_panel=PANEL, help="Cap on a session's cost."),
    ] = None
    price: Annotated[
        str | None,
        typer.Option(
            metavar="IN/OUT",
            rich_help_panel=PANEL,
            help="USD per million tokens of prompt and reply, where LiteLLM does not know them.",
        ),
    ] = None
    system_prompt: Annotated[
        Path | None,
        typer.Option(metavar="FILE", rich_help_panel=PANEL, help="Instead of the package's own."),
    ] = None


with_model_options = with_options(ModelOptions, "modelling")
"""Give a command the options of `ModelOptions`, gathered in its argument ``modelling``."""


def model_agents(
    options: ModelOptions, turns_of: Callable[[str], int], run: "Budget | None" = None
) -> "list[tuple[Candidate, Agent]]":
    """The models that the options ask for, if any; ends with exit code 2 where one can't be had.

    Args:
        options: The command line's.
        turns_of: How many turns a task allows, by its id.
        run: What all sessions together may use.
    """
    from proctor.schemas.run import Candidate

    for name in ("max_session_tokens", "max_session_usd"):
        if not options.model and getattr(options, name) is not None:
            flag = f"--{name.replace('_', '-')}"
            usage_error(f"{flag} can be kept with --model alone: other agents call as they like")
    wanted: dict[str, tuple[Candidate, ModelSettings]] = {}
    for model in options.model or ():
        settings = _settings(options, model)
        asked = settings.model_dump(mode="json", exclude={"model"}, exclude_none=True)
        candidate = Candidate.of("tool_loop", model, asked)
        if candidate.name in wanted:
            usage_error(f"--model {model} is named twice; for more sessions use --epochs")
        wanted[candidate.name] = candidate, settings
    return [
        (candidate, _agent(options, settings, turns_of, run))
        for candidate, settings in wanted.values()
    ]


def _agent(
    options: ModelOptions,
    settings: "ModelSettings",
    turns_of: Callable[[str], int],
    run: "Budget | None",
) -> "Agent":
    from proctor.clients.agents.model import model_problem, refusal_of, unheeded
    from proctor.clients.agents.tool_loop import Caps, tool_loop

    if problem := model_problem(settings):
        usage_error(f"--model {settings.model}: {problem}")
    _check_price(options, settings, run)
    system = _system_prompt(options)
    if refusal := refusal_of(settings, run):
        usage_error(f"--model {settings.model}: {refusal}")
    for name in unheeded(settings):
        complain(f"proctor: {settings.model} takes no {name}; it is left out")
    return tool_loop(
        settings,
        lambda task_id: options.max_turns or turns_of(task_id),
        system,
        Caps(tokens=options.max_session_tokens, usd=options.max_session_usd),
        run,
    )


def _settings(options: ModelOptions, model: str) -> "ModelSettings":
    from pydantic import ValidationError

    from proctor.clients.agents.model import ModelSettings

    names = ("api_base", "temperature", "seed", "max_tokens", "reasoning_effort")
    given = {name: getattr(options, name) for name in names}
    try:
        return ModelSettings.model_validate(
            {"model": model, **given, "price": _price(options.price)}
        )
    except ValidationError as error:
        first = error.errors()[0]
        usage_error(f"--{first['loc'][0]}: {first['msg']}".replace("_", "-"))


def _price(stated: str | None) -> tuple[float, float] | None:
    if stated is None:
        return None
    try:
        prompt, reply = (float(usd) for usd in stated.split("/"))
    except ValueError:
        prompt = reply = -1.0
    if not (math.isfinite(prompt + reply) and min(prompt, reply) >= 0):
        usage_error(f"--price {stated}: write it as IN/OUT in USD per million tokens, such as 3/15")
    return prompt, reply


def _check_price(options: ModelOptions, settings: "ModelSettings", run: "Budget | None") -> None:
    """Refuse a cap on money that could not be kept."""
    from proctor.clients.agents.model import rates_of

    limited = options.max_session_usd is not None or (run is not None and run.counts_money)
    if limited and rates_of(settings) is None:
        usage_error(
            f"the price of {settings.model} is unknown, so that its cost cannot be capped; say it "
            "with --price IN/OUT (USD per million tokens), or cap tokens instead"
        )


def _system_prompt(options: ModelOptions) -> str | None:
    try:
        return options.system_prompt.read_text("utf-8") if options.system_prompt else None
    except OSError as error:
        usage_error(f"--system-prompt {options.system_prompt} cannot be read: {error.strerror}")
    except ValueError as error:
        usage_error(f"--system-prompt {options.system_prompt} cannot be read: {error}")
