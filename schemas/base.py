"""The base of every value: frozen, closed to unknown keys, validated where it enters."""

from pydantic import BaseModel, ConfigDict


class Value(BaseModel):
    """A frozen record that refuses keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)
