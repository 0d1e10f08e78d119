"""Settings of the sliding window."""

from __future__ import annotations

import re

from pydantic import BaseModel, ConfigDict, Field, field_validator


class Settings(BaseModel):
    """Limits below the model's own window, and what stays inside them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_tokens: int | None = Field(
        default=None,
        gt=0,
        description="Tokens the conversation may have, below the model's own window.",
    )
    keep_last_turns: int | None = Field(
        default=None,
        gt=0,
        description="Turns (user messages with what follows) that stay; older ones leave.",
    )
    pin: tuple[str, ...] = Field(
        default=(),
        description="Regular expressions; a message in which one is found stays in the window.",
    )

    @field_validator("pin")
    @classmethod
    def _patterns_compile(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            try:
                re.compile(pattern)
            except re.error as exc:
                raise ValueError(f"{pattern!r} is no regular expression: {exc}") from exc
        return patterns
