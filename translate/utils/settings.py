"""The base of every typed setting: frozen, strict, and closed to unknown keys."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Seed = Annotated[int, Field(ge=0, lt=2**63)]
"""The range that both torch and NumPy accept."""


class Settings(BaseModel):
    """Immutable settings; an unknown key or a wrong type is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
