"""Which model reads prose: the options that several commands share, and what they stand for."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from proctor.clients.cli.env_file import load_env_file
from proctor.clients.cli.options import complain, usage_error, with_options

if TYPE_CHECKING:
    from proctor.evaluator.judge.panel import Judge
    from proctor.evaluator.judge.settings import JudgeSettings

PANEL = "Judge"


@dataclass(frozen=True)
class JudgeOptions:
    """What the command line says of the judge. Its keys come from the environment or ``.env``."""

    judge: Annotated[
        str | None,
        typer.Option(
            "--judge",
            "--judge-model",
            metavar="MODEL",
            rich_help_panel=PANEL,
            help="Grade prose with this model, as LiteLLM names it: openai/gpt-5, "
            "gemini/gemini-2.5-pro, ollama_chat/qwen3. Its key comes from the environment.",
        ),
    ] = None
    judge_api_base: Annotated[
        str | None,
        typer.Option(
            metavar="URL", rich_help_panel=PANEL, help="Where the provider is, if not as usual."
        ),
    ] = None
    judge_votes: Annotated[
        int,
        typer.Option(min=1, max=25, rich_help_panel=PANEL, help="How often the judge is asked."),
    ] = 3
    judge_temperature: Annotated[
        float, typer.Option(min=0.0, max=2.0, rich_help_panel=PANEL, help="The votes' temperature.")
    ] = 1.0
    judge_seed: Annotated[
        int, typer.Option(rich_help_panel=PANEL, help="Of the first vote; the others count on.")
    ] = 0
    judge_max_tokens: Annotated[
        int,
        typer.Option(min=1, rich_help_panel=PANEL, help="Cap on the judge's tokens per grade."),
    ] = 200_000
    judge_max_usd: Annotated[
        float | None,
        typer.Option(min=0.0, rich_help_panel=PANEL, help="Cap on the judge's cost per grade."),
    ] = None
    env_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            callback=load_env_file,
            help="Where providers' keys are, beside the environment, which wins; .env by default.",
        ),
    ] = None

    def settings(self, model: str) -> "JudgeSettings":
        """The judge's settings, with a model."""
        from pydantic import ValidationError

        from proctor.evaluator.judge.settings import JudgeSettings

        try:
            return JudgeSettings(
                model=model,
                api_base=self.judge_api_base,
                votes=self.judge_votes,
                temperature=self.judge_temperature,
                seed=self.judge_seed,
                max_tokens=self.judge_max_tokens,
                max_usd=self.judge_max_usd,
            )
        except ValidationError as error:
            problem = error.errors()[0]
            usage_error(f"--judge-{problem['loc'][0]}: {problem['msg']}".replace("_", "-"))


with_judge_options = with_options(JudgeOptions, "judging")
"""Give a command the options of `JudgeOptions`, gathered in its argument ``judging``."""


def judge_of(options: JudgeOptions) -> "Judge | None":
    """The judge that the options ask for, if any; ends with exit code 2 where none can be had."""
    if options.judge is None:
        return None
    from proctor.evaluator.judge.model import traits_of
    from proctor.evaluator.judge.panel import Judge
    from proctor.schemas.errors import GradingError

    settings = options.settings(options.judge)
    try:
        traits = traits_of(settings.model)
    except GradingError as error:
        usage_error(f"--judge: {error}")
    if traits.missing_keys:
        usage_error(f"--judge {settings.model}: set {' or '.join(traits.missing_keys)}")
    if settings.max_usd is not None and traits.rates is None:
        usage_error(f"--judge-max-usd: the price of {settings.model} is unknown")
    if options.judge_temperature != traits.temperature(settings):
        complain(f"proctor: {settings.model} takes no temperature; its own is used")
    return Judge(settings)
