"""Settings of the relevance strategy."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Settings(BaseModel):
    """How much room what comes back may take, and when it may come."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    share: float = Field(
        default=0.15,
        gt=0,
        le=0.5,
        description="Share of what a fit keeps that older groups which match the need may have.",
    )
    least: float = Field(
        default=0.2,
        gt=0,
        le=1,
        description="How much of the need a group must match to come back; 1 is nearly all of it.",
    )
    each_turn: bool = Field(
        default=True,
        description="Whether to look at each new user message, not only when the window is full.",
    )
    meaning: float = Field(
        default=0.7,
        ge=0,
        le=1,
        description="How much likeness of meaning counts beside shared words, where the settings "
        "choose an embedder; 0 does without it.",
    )
