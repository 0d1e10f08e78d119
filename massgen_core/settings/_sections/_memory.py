"""The section about long-term memory."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from massgen_core.settings._sections._agent import FallbackSection
from massgen_core.settings._sections._section import Section, Tokens


class ScopeSection(Section):
    """Whose memory; what is not said does not narrow it."""

    tenant: str | None = Field(default=None, description="Name of an organisation.")
    team: str | None = Field(default=None, description="Name of a team.")
    user: str | None = Field(default=None, description="Name of a user.")
    agent: str | None = Field(default=None, description="Name of an agent.")
    session: str | None = Field(default=None, description="Id of a session.")
    run: str | None = Field(default=None, description="Id of a run.")

    @field_validator("*")
    @classmethod
    def _somebody(cls, value: str | None) -> str | None:
        if value is not None and not value:
            raise ValueError("is empty, which would mean everybody; say a name, or leave it out")
        return value


class RetrievalSection(Section):
    """What long-term memory gives to a question."""

    limit: Annotated[int, Field(ge=1)] = Field(
        default=5, description="Memories at most, pinned ones not counted."
    )
    tokens: Tokens | None = Field(
        default=None,
        description="Tokens that all of them may have together, the frame of an agent's reminder "
        "(about 80) counted; null for no limit.",
    )
    exclude_recent: bool = Field(
        default=True, description="Whether an agent is not reminded of what its request holds."
    )


class AskedSection(FallbackSection):
    """A model that is asked for something else than an answer; other keys are of its backend."""


class ExtractionSection(Section):
    """What long-term memory learns from what is said, by asking a model."""

    enabled: bool = Field(
        default=False,
        description="Whether a model proposes facts, preferences and instructions from messages: "
        "in the background after each turn, and when `mgc memory work` runs.",
    )
    backend: AskedSection | None = Field(
        default=None,
        description="Who is asked: `name`, `model` and the backend's own settings; "
        "the agent's own backend and model if omitted.",
    )
    finish: Annotated[float, Field(ge=0.0)] = Field(
        default=30.0,
        description="Seconds the end of a program waits for what is under way; "
        "what is not done by then waits on disk for the next one.",
    )


class MemorySection(Section):
    """Long-term memory; the section `embedder` adds recall by meaning."""

    enabled: bool = Field(
        default=False,
        description="Whether agents remember what is said, and are reminded of it later.",
    )
    scope: ScopeSection = Field(
        default_factory=ScopeSection,
        description="Whose memory an agent's is; sessions are added.",
    )
    also: tuple[ScopeSection, ...] = Field(
        default=(), description="Other scopes an agent is reminded from, e.g. a team's."
    )

    indexes: tuple[str, ...] = Field(
        default=(),
        description="Registered names of memory stores that index it; any may be taken away again "
        "without losing a memory. The own settings of one of them stand in `memory_store`.",
    )
    retrieval: RetrievalSection = Field(
        default_factory=RetrievalSection, description="What it gives to a question."
    )
    extraction: ExtractionSection = Field(
        default_factory=ExtractionSection, description="What it learns from what is said."
    )
