"""What every section of the settings has, and the numbers that most of them use."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Ratio = Annotated[float, Field(gt=0.0, le=1.0)]
Tokens = Annotated[int, Field(gt=0)]
Price = Annotated[float, Field(ge=0.0)]
Seconds = Annotated[float, Field(gt=0.0)]


class Section(BaseModel):
    """What every section has: no unknown keys, no NaN, no change after loading."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        validate_default=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
    )
