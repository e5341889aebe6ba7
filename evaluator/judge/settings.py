"""What an operator says of the judge."""

from pydantic import Field

from proctor.schemas.base import Value


class JudgeSettings(Value):
    """Which model judges, how often it is asked, and what one grade may cost."""

    model: str = Field(min_length=1)
    """As litellm names it: ``provider/model``."""
    api_base: str | None = None
    """Where the provider is reached, if not where it usually is. Never recorded: it may hold a
    secret."""
    votes: int = Field(default=3, ge=1, le=25)
    temperature: float | None = Field(default=1.0, ge=0.0, le=2.0)
    """1 by default: votes are independent samples, and every provider takes it. None sends none."""
    seed: int | None = 0
    """Of the first vote; each further one has the next. None sends none."""
    max_tokens: int = Field(default=200_000, gt=0)
    """For one grade, prompts and replies together."""
    max_usd: float | None = Field(default=None, gt=0.0, allow_inf_nan=False)
    """For one grade; it can only be kept where litellm knows the model's price."""
    agreement: float = Field(default=2 / 3, gt=0.5, le=1.0)
    """The least share of the votes asked for that must say the same."""
    timeout_s: float = Field(default=120.0, gt=0.0)
    """For one call of the provider."""
    first_wait_s: float = Field(default=1.0, ge=0.0)
    """Before the first repetition of a call that failed; doubles with each, up to 20 s."""
