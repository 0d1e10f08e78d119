"""Settings of the priorities."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

Kind: TypeAlias = Literal["user", "assistant", "tool", "peer"]


class Settings(BaseModel):
    """Who matters how much, and how much room other agents may take."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    roles: dict[Kind, int] = Field(
        default={},
        description="Priority of user messages, of assistant messages, under `tool` of assistant "
        "messages with tool calls, and under `peer` of all that other agents say; 0 for those not "
        "named, and for peers that of the kind of message.",
    )
    authors: dict[str, int] = Field(
        default={},
        description="Priority of what an author says, over that of the role.",
    )
    peer_share: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Share of what a fit keeps that messages of other authors may have.",
    )
    self_name: str = Field(
        default="agent",
        min_length=1,
        description="The agent's own name: messages of any other author are a peer's.",
    )
