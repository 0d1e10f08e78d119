"""Settings of tool pruning."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Settings(BaseModel):
    """What stays verbatim, and how small the rest may become."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    keep_share: float = Field(
        default=0.8,
        ge=0,
        le=1,
        description="Share of the room that the newest messages may fill verbatim; the room is the "
        "window without system prompt, task and pins.",
    )
    least_tokens: int = Field(
        default=200,
        ge=16,
        description="Tokens that a clipped text keeps at least; what does not fit then must leave.",
    )
    ingest_tokens: int | None = Field(
        default=20_000,
        ge=256,
        description="Tokens above which a new result is clipped at once; null for no such limit.",
    )
