"""What can be set under ``backend:`` when its ``name`` is ``anthropic``."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

Effort = Literal["low", "medium", "high", "xhigh", "max"]
Thinking = Literal["adaptive", "disabled"] | Annotated[int, Field(ge=1024)]


class AnthropicSettings(BaseModel):
    """Settings of one server that speaks the Messages API, and of how Claude is asked."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    base_url: str = Field(
        default="https://api.anthropic.com",
        description="Where the server is; /v1/messages is added to it.",
    )
    api_key: SecretStr | None = Field(
        default=None,
        description="The key; api.anthropic.com gets ANTHROPIC_API_KEY if none is set.",
    )
    api_key_env: str | None = Field(
        default=None, description="Environment variable that holds the key."
    )
    thinking: Thinking | None = Field(
        default=None,
        description="adaptive, disabled, or a budget in tokens (at least 1024) for models up to "
        "4.6; by default what the model does by itself.",
    )
    effort: Effort | None = Field(
        default=None, description="How much work an answer may cost; by default the model's own."
    )
    keep_thinking: Literal["loop", "all"] = Field(
        default="loop",
        description="Thinking that is sent back: of the tool loop that still runs, which the "
        "provider requires, or of all turns.",
    )
    cache: Literal["5m", "1h", "off"] = Field(
        default="5m", description="How long the provider keeps the start of the prompt cached."
    )
    clear_tool_results_at: int | None = Field(
        default=None,
        ge=1,
        description="Prompt tokens from which the provider leaves out old tool results (native "
        "context editing, beta); by default it never does.",
    )
    keep_tool_results: int = Field(
        default=3, ge=0, description="The newest tool results that context editing leaves alone."
    )
    betas: tuple[str, ...] = Field(
        default=(), description="Further values of the header anthropic-beta."
    )
    connect_timeout: float = Field(
        default=10.0, gt=0, description="Seconds to wait for a connection."
    )

    @field_validator("base_url")
    @classmethod
    def _plain_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("expected a URL like https://host")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("expected a URL without user, query and fragment; use api_key")
        return value.rstrip("/")

    @property
    def host(self) -> str:
        """The server's name, without port and path."""
        return urlsplit(self.base_url).hostname or ""
