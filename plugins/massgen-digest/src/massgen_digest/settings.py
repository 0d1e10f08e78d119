"""Settings of the digest."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Settings(BaseModel):
    """How much room the digest takes, and how long user messages stay as they are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    share: float = Field(
        default=0.2,
        gt=0,
        le=0.5,
        description="Share of the room that the digest fills; the room is the window without "
        "system prompt, task and pins.",
    )
    user_share: float = Field(
        default=0.3,
        ge=0,
        le=1,
        description="Share of the room that old user messages may fill before they leave.",
    )
