"""Which model works the tasks: options, and what they stand for."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from proctor.clients.cli.options import usage_error, with_options

if TYPE_CHECKING:
    from proctor.clients.agents import Agent
    from proctor.clients.agents.model import ModelSettings
    from proctor.schemas.run import Candidate

PANEL = "Model"


@dataclass(frozen=True)
class ModelOptions:
    """What the command line says of the model. Its keys come from the environment alone."""

    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL",
            rich_help_panel=PANEL,
            help="Work the tasks with this model, as LiteLLM names it: openai/gpt-5, "
            "anthropic/claude-opus-4-5, ollama_chat/qwen3. May be repeated.",
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
            metavar="none|minimal|low|medium|high",
            rich_help_panel=PANEL,
            help="For models that reason.",
        ),
    ] = None
    max_turns: Annotated[
        int | None,
        typer.Option(min=1, rich_help_panel=PANEL, help="Turns of the model, over the task's own."),
    ] = None
    system_prompt: Annotated[
        Path | None,
        typer.Option(metavar="FILE", rich_help_panel=PANEL, help="Instead of the package's own."),
    ] = None


with_model_options = with_options(ModelOptions, "modelling")
"""Give a command the options of `ModelOptions`, gathered in its argument ``modelling``."""


def model_agents(
    options: ModelOptions, turns_of: Callable[[str], int]
) -> "list[tuple[Candidate, Agent]]":
    """The models that the options ask for, if any; ends with exit code 2 where one can't be had.

    Args:
        options: The command line's.
        turns_of: How many turns a task allows, by its id.
    """
    models = options.model or []
    if not models:
        return []
    from proctor.clients.agents.tool_loop import tool_loop
    from proctor.schemas.run import Candidate

    try:
        system = options.system_prompt.read_text("utf-8") if options.system_prompt else None
    except (OSError, ValueError) as error:
        usage_error(f"--system-prompt {options.system_prompt} cannot be read: {error}")
    agents: list[tuple[Candidate, Agent]] = []
    for model in models:
        settings = _settings(options, model)
        candidate = Candidate(
            name=re.sub(r"[^A-Za-z0-9.-]+", "-", model).strip("-."),
            agent="tool_loop",
            model=model,
            settings=settings.model_dump(mode="json", exclude={"model"}, exclude_none=True),
        )
        if any(other.name == candidate.name for other, _ in agents):
            usage_error(f"--model {model} is named twice; for more sessions use --epochs")
        agent = tool_loop(settings, lambda task_id: options.max_turns or turns_of(task_id), system)
        agents.append((candidate, agent))
    return agents


def _settings(options: ModelOptions, model: str) -> "ModelSettings":
    from pydantic import ValidationError

    from proctor.clients.agents.model import ModelSettings, model_problem

    names = ("api_base", "temperature", "seed", "max_tokens", "reasoning_effort")
    try:
        settings = ModelSettings.model_validate(
            {"model": model, **{name: getattr(options, name) for name in names}}
        )
    except ValidationError as error:
        first = error.errors()[0]
        usage_error(f"--{first['loc'][0]}: {first['msg']}".replace("_", "-"))
    if problem := model_problem(model):
        usage_error(f"--model {model}: {problem}")
    return settings
