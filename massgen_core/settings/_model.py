"""All settings as one model, and which of its sections choose a plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic import Field
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from massgen_core.settings._sections import (
    AgentSection,
    ContextSection,
    LogSection,
    MemorySection,
    ModelOverride,
    PluginsSection,
    Selected,
    SelectedBackend,
    StorageSection,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


class Settings(BaseSettings):
    """All settings. Loaded ones are of a subclass in which plugin sections have exact types."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, validate_default=True
    )

    profile: str | None = Field(
        default=None, description="Profile whose keys overlay those of its file."
    )
    plugins: PluginsSection = Field(
        default_factory=PluginsSection, description="Which installed plugins may take part."
    )
    log: LogSection = Field(default_factory=LogSection, description="What is logged, and how.")
    storage: StorageSection = Field(
        default_factory=StorageSection, description="Where sessions are kept."
    )
    models: dict[str, ModelOverride] = Field(
        default_factory=dict, description="Corrections to the model catalogue, by model name."
    )
    context: ContextSection = Field(
        default_factory=ContextSection, description="When and how far a context is shrunk."
    )
    memory: MemorySection = Field(default_factory=MemorySection, description="Long-term memory.")
    agent: AgentSection = Field(default_factory=AgentSection, description="How an agent works.")
    backend: SelectedBackend | None = Field(
        default=None, description="The backend that talks to the model, with its own keys."
    )
    strategy: Selected | None = Field(
        default=None, description="One truncation strategy, with its own keys."
    )
    strategies: tuple[Selected, ...] | None = Field(
        default=None,
        description=(
            "A chain of truncation strategies, tried in order; "
            "without this and `strategy`, the recommended ones that are installed."
        ),
    )
    memory_store: Selected | None = Field(
        default=None, description="The memory store, with its own keys."
    )
    embedder: Selected | None = Field(default=None, description="The embedder, with its own keys.")
    tools: Selected | None = Field(
        default=None, description="Where agents get tools from, with its own keys."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is passed in: files and the environment are read by `load_settings`."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)


SELECTABLE: Final[Mapping[str, str]] = {
    "backend": "backend",
    "strategy": "strategy",
    "memory_store": "memory_store",
    "embedder": "embedder",
    "tools": "tools",
}
"""Sections that choose one plugin by ``name``, and the plugin kind each chooses from."""

PROFILES: Final = "profiles"
"""The key of a file that holds its profiles."""
