"""What can be set under ``embedder:`` when its ``name`` is ``openai_embeddings``."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator

NATIVE: Final = {
    "text-embedding-3-small": 1536,
    "text-embedding-3-large": 3072,
    "text-embedding-ada-002": 1536,
}
"""Dimensions of OpenAI's models (its embeddings guide); of others they must be set."""


class OpenAIEmbeddingsSettings(BaseModel):
    """Settings of one server and one model."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    base_url: str = Field(
        default="https://api.openai.com/v1",
        description="Where the server is; /embeddings is added to it.",
    )
    model: str = Field(
        default="text-embedding-3-small", min_length=1, description="The model to ask for."
    )
    api_key: SecretStr | None = Field(
        default=None, description="The key; api.openai.com gets OPENAI_API_KEY if none is set."
    )
    api_key_env: str | None = Field(
        default=None, description="Environment variable that holds the key."
    )
    shorten: bool = Field(
        default=False,
        description="Ask the server for `dimensions`; only models trained for it can be shortened.",
    )
    dimensions: int | None = Field(
        default=None,
        ge=1,
        description="Length of the vectors; known of OpenAI's models, needed for all others.",
        validate_default=True,
    )
    revision: str = Field(
        default="",
        description="Which weights the server has, if you know: a change means new vectors.",
    )
    document_prefix: str = Field(
        default="", description="Put before a text that is stored, e.g. 'passage: ' for E5."
    )
    query_prefix: str = Field(
        default="", description="Put before a text that is searched for, e.g. 'query: ' for E5."
    )
    batch_size: int = Field(default=64, ge=1, le=2048, description="Texts in a request, at most.")
    max_characters: int = Field(
        default=32_000,
        ge=1,
        description="The head of a text that is sent; less if the server finds that too long.",
    )
    timeout: float = Field(default=60.0, gt=0, description="Seconds a request may take.")
    retries: int = Field(
        default=4, ge=0, description="How often a request is sent again after a passing fault."
    )
    backoff: float = Field(
        default=0.5, gt=0, description="Seconds before the first retry; twice as many each time."
    )
    max_wait: float = Field(
        default=60.0,
        ge=0,
        description="Seconds to wait at most when the server says when to come back.",
    )

    @field_validator("base_url")
    @classmethod
    def _plain_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("expected a URL like https://host/v1")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("expected a URL without user, query and fragment; use api_key")
        return value.rstrip("/")

    @field_validator("dimensions")
    @classmethod
    def _known_dimensions(cls, value: int | None, info: ValidationInfo) -> int:
        model = info.data.get("model", "")
        native = NATIVE.get(model)
        if value is None and native is None:
            raise ValueError(f"the length of the vectors of {model!r} is not known; set it")
        if value is not None and native not in {None, value} and not info.data.get("shorten"):
            raise ValueError(f"{model!r} has {native}; set shorten: true to have them shortened")
        return value or native or 0

    @property
    def host(self) -> str:
        """The server's name, without port and path."""
        return urlsplit(self.base_url).hostname or ""
