"""What can be set under ``backend:`` when its ``name`` is one of this distribution's."""

from __future__ import annotations

from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, JsonValue, SecretStr, field_validator

Api: TypeAlias = Literal["chat", "responses"]


class OpenAISettings(BaseModel):
    """Settings of a provider that speaks OpenAI's API."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    base_url: str | None = Field(
        default=None,
        description="Where the server is, with /v1; the provider's own address by default. Of "
        "Azure: the resource, e.g. https://NAME.openai.azure.com, or AZURE_OPENAI_ENDPOINT.",
    )
    api_key: SecretStr | None = Field(default=None, description="The key.")
    api_key_env: str | None = Field(
        default=None,
        description="Environment variable that holds the key; the provider's own by default.",
    )
    api: Api | None = Field(
        default=None,
        description="Which API to use: `chat` or `responses`; the provider's own by default.",
    )
    temperature: float | None = Field(
        default=None, ge=0.0, le=2.0, description="Sampling temperature where none is asked for."
    )
    reasoning_effort: str | None = Field(
        default=None,
        min_length=1,
        description="How long a model reasons: `none`, `low`, `medium`, `high`, as it knows them.",
    )
    reasoning_summary: Literal["auto", "concise", "detailed"] | None = Field(
        default=None,
        description="Ask for a summary of the reasoning; of the Responses API, where it exists.",
    )
    parallel_tools: bool | None = Field(
        default=None, description="Whether a model may call several tools in one step."
    )
    strict_turns: bool = Field(
        default=False,
        description=(
            "Make user and assistant alternate, as templates of some open models want; with "
            "the chat API only."
        ),
    )
    headers: dict[str, SecretStr] = Field(
        default_factory=dict, description="Further HTTP headers of every request."
    )
    extra_body: dict[str, JsonValue] = Field(
        default_factory=dict,
        description="Further fields of every request, e.g. a provider's own options.",
    )
    api_version: str | None = Field(
        default=None,
        description="Version of Azure's dated API, e.g. 2026-05-01; its undated v1 API by default.",
    )
    deployment: str | None = Field(
        default=None, description="Name of Azure's deployment, if it is not the model's."
    )

    @field_validator("base_url")
    @classmethod
    def _plain_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("expected a URL like https://host/v1")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("expected a URL without user, query and fragment; use api_key")
        return value.rstrip("/")
