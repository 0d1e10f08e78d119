"""What can be set under ``embedder:`` when its ``name`` is ``minilm``."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class MiniLMSettings(BaseModel):
    """Settings of the embedded model; the model itself is pinned."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    threads: int = Field(default=1, ge=1, description="CPU threads that compute a batch of texts.")
