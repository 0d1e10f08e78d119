"""What can be set under ``backend:`` when its ``name`` is ``gemini``."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

Thinking = Literal["minimal", "low", "medium", "high"] | Annotated[int, Field(ge=-1)]


class GeminiSettings(BaseModel):
    """Settings of one server that speaks the generateContent API, and of how Gemini is asked."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    base_url: str = Field(
        default="https://generativelanguage.googleapis.com",
        description="Where the server is; /v1beta/models is added to it.",
    )
    api_key: SecretStr | None = Field(
        default=None,
        description="The key; Google's server gets GEMINI_API_KEY or GOOGLE_API_KEY if none is "
        "set.",
    )
    api_key_env: str | None = Field(
        default=None, description="Environment variable that holds the key."
    )
    thinking: Thinking | None = Field(
        default=None,
        description="minimal, low, medium or high; or a budget in tokens for Gemini 2.5, where 0 "
        "is none and -1 leaves it to the model; by default the model's own.",
    )
    show_thoughts: bool = Field(
        default=False, description="Have the model's thoughts summarised, as reasoning events."
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
