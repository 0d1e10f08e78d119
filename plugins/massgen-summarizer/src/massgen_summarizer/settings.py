"""Settings of the summarizer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from collections.abc import Iterable


class Backend(BaseModel):
    """Who writes the summary; other keys are settings of that backend."""

    model_config = ConfigDict(extra="allow", frozen=True, protected_namespaces=())

    name: str | None = Field(
        default=None, description="Registered name of the backend; the agent's own if omitted."
    )
    model: str | None = Field(
        default=None, description="The model to ask; the one the backend is named for if omitted."
    )

    def __repr_args__(self) -> Iterable[tuple[str | None, object]]:
        """Without the values of other keys: one may be a secret."""
        for key, value in super().__repr_args__():
            yield key, value if key in type(self).model_fields else "**********"


class Settings(BaseModel):
    """Who summarises, what it may cost, and how long the summary may be."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    backend: Backend | None = Field(
        default=None,
        description="Who writes the summary: `name`, `model` and the backend's own settings; "
        "the agent's own backend and model if omitted.",
    )
    max_tokens: int = Field(
        default=2000, ge=128, description="Tokens the summary may have at most."
    )
    max_price: int | None = Field(
        default=200_000,
        gt=0,
        description="Tokens that one summary may read and write in all its requests; what would "
        "cost more is extracted without a model instead. Null for no limit.",
    )
    min_gain: float = Field(
        default=0.1,
        ge=0.05,
        le=1,
        description="Share of the window a summary must free at least to be worth its price.",
    )
    window: int | None = Field(
        default=None,
        gt=0,
        description="Tokens of the summarizer's window to use, below its own.",
    )
    timeout: float = Field(
        default=120.0, gt=0, description="Seconds a summary may take, all its requests together."
    )
    background: bool = Field(
        default=False,
        description="Whether to write the summary while the agent goes on, from midway to a full "
        "window on. No turn waits for it; what is not written in time is left to the strategies "
        "behind this one.",
    )
    originals: bool = Field(
        default=True,
        description="Whether the summarizer reads what was said, or only what other strategies "
        "had left of it.",
    )
    share: float = Field(
        default=0.2,
        gt=0,
        le=0.5,
        description="Share of the room that is kept free for the summary.",
    )
    user_share: float = Field(
        default=0.3,
        ge=0,
        le=1,
        description="Share of the room that old user messages may fill before they leave.",
    )
