"""The sections the core itself knows. Plugins add theirs when they are selected."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from massgen_core._redact import STARS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

DEFAULT_BACKEND: Final = "local"
"""The backend of a ``backend`` section that names none."""

Ratio = Annotated[float, Field(gt=0.0, le=1.0)]
Tokens = Annotated[int, Field(gt=0)]
Price = Annotated[float, Field(ge=0.0)]
Seconds = Annotated[float, Field(gt=0.0)]


class Section(BaseModel):
    """What every section has: no unknown keys, no NaN, no change after loading."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        validate_default=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
    )


class PluginsSection(Section):
    """Which installed plugins may take part."""

    allow: tuple[str, ...] = Field(
        default=(),
        description="Distributions whose plugins are used; empty allows all that are installed.",
    )
    deny: tuple[str, ...] = Field(
        default=(),
        description="Distributions whose plugins are never used, even if they are in `allow`.",
    )
    prefer: tuple[str, ...] = Field(
        default=(),
        description="Distributions that win, first one first, where two provide the same name.",
    )
    strict: bool = Field(
        default=False, description="Whether a plugin that fails to load stops the program."
    )


class LogSection(Section):
    """What is logged, and how it looks."""

    level: Literal["debug", "info", "warning", "error", "critical"] = Field(
        default="info", description="Least severe level that is written."
    )
    format: Literal["auto", "human", "json"] = Field(
        default="auto", description="`human` lines, `json` lines, or `auto`: human on a terminal."
    )


class StorageSection(Section):
    """Where sessions are kept."""

    path: Path = Field(
        default=Path(".massgen/massgen.db"),
        description="Database file, or its folder; relative to the folder of `massgen.yaml`.",
    )
    synchronous: Literal["full", "normal"] = Field(
        default="full",
        description=(
            "`full` survives a power cut; `normal` is faster and may lose the last writes in one."
        ),
    )


class ModelOverride(Section):
    """What the catalogue should say about one model; a key that is left out keeps its figure."""

    provider: str | None = Field(default=None, description="Who serves the model.")
    window: Tokens | None = Field(default=None, description="Context window, in tokens.")
    max_output: Tokens | None = Field(default=None, description="Longest answer, in tokens.")
    max_input: Tokens | None = Field(
        default=None, description="Longest prompt, in tokens, where it is less than the window."
    )
    tokenizer: str | None = Field(
        default=None,
        description="Encoding that counts its tokens, e.g. `o200k_base`, or `estimate`.",
    )
    exact: bool | None = Field(
        default=None, description="Whether that tokenizer is the model's own, not a stand-in."
    )
    image: str | None = Field(
        default=None, description="Name of the formula that prices its images."
    )
    ratio: Annotated[float, Field(gt=0.0)] | None = Field(
        default=None, description="Tokens the provider counts for each token we count."
    )
    tools: bool | None = Field(default=None, description="Whether it can call tools.")
    system_role: bool | None = Field(default=None, description="Whether it knows system messages.")
    images: bool | None = Field(default=None, description="Whether it can see images.")
    reasoning: bool | None = Field(
        default=None, description="Whether it thinks, in tokens that are paid for."
    )
    source: str | None = Field(default=None, description="Where these figures are from.")
    date: str | None = Field(default=None, description="When these figures were true.")
    input_price: Price | None = Field(
        default=None, description="US dollars for a million tokens of the prompt."
    )
    cached_price: Price | None = Field(
        default=None, description="The same for what is read from the provider's cache."
    )
    cache_write_price: Price | None = Field(
        default=None, description="The same for what is written to that cache."
    )
    output_price: Price | None = Field(
        default=None, description="The same for the answer, reasoning included."
    )
    long_prompt: Tokens | None = Field(
        default=None, description="Tokens of the prompt above which all of a request costs more."
    )
    long_input: Price | None = Field(
        default=None, description="How many times more the prompt costs then."
    )
    long_output: Price | None = Field(
        default=None, description="How many times more the answer costs then."
    )
    price_source: str | None = Field(default=None, description="Where these prices are from.")
    price_date: str | None = Field(default=None, description="When these prices were true.")

    def given(self) -> Mapping[str, str | int | float | bool]:
        """The figures that were set, by key."""
        return self.model_dump(exclude_none=True)


class ContextSection(Section):
    """When a context is fitted into the window, and how far it shrinks."""

    trigger_threshold: Ratio = Field(
        default=1.0, description="Share of the budget above which a fit happens; over 0, at most 1."
    )
    target_ratio: Ratio = Field(
        default=0.6,
        description="Share of the budget a fit shrinks to; over 0, at most `trigger_threshold`.",
    )
    clip_system: bool = Field(
        default=True,
        description=(
            "Whether system messages that leave no room for the question are cut, with a mark and "
            "a warning in the report; if not, that is an error. `agent.instructions` are never cut."
        ),
    )
    output_reserve: Tokens | None = Field(
        default=None,
        description=(
            "Tokens kept free for the answer; null takes the model's longest answer, "
            "but at most a quarter of its window."
        ),
    )
    safety: Annotated[float, Field(ge=0.0, lt=1.0)] = Field(
        default=0.02,
        description="Share of the window kept free against miscounts; from 0, under 1.",
    )
    notify_agent: bool = Field(
        default=False,
        description=(
            "Whether the model is told in its requests how many messages left its window, "
            "and of the recall tool that gives them back."
        ),
    )

    strategy_timeout: Seconds = Field(
        default=10.0,
        description="Seconds a strategy may take to plan; then the next one is asked.",
    )
    produce_timeout: Seconds = Field(
        default=300.0,
        description="Seconds a text may take that stands for what left; then nothing replaces it.",
    )

    @field_validator("target_ratio")
    @classmethod
    def _at_most_the_trigger(cls, value: float, info: ValidationInfo) -> float:
        trigger = info.data.get("trigger_threshold")
        if trigger is not None and value > trigger:
            raise ValueError(f"should be at most context.trigger_threshold, which is {trigger}")
        return value


class FallbackSection(BaseModel):
    """A model that is asked when those before it cannot answer; other keys are of its backend."""

    model_config = ConfigDict(
        extra="allow", frozen=True, hide_input_in_errors=True, protected_namespaces=()
    )

    name: str | None = Field(
        default=None, description="Registered name of its backend; the agent's own if omitted."
    )
    model: str | None = Field(
        default=None, description="The model to ask; the one the backend is named for if omitted."
    )

    def __repr_args__(self) -> Iterable[tuple[str | None, object]]:
        """Without the values of other keys: one may be a secret."""
        for key, value in super().__repr_args__():
            yield key, value if key in type(self).model_fields else STARS


class RetrievalSection(Section):
    """What long-term memory gives to a question."""

    limit: Annotated[int, Field(ge=1)] = Field(
        default=5, description="Memories at most, pinned ones not counted."
    )
    tokens: Tokens | None = Field(
        default=None, description="Tokens that all of them may have together; null for no limit."
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
    scope: dict[str, str] = Field(
        default_factory=dict,
        description="Whose memory an agent's is: tenant, team, user, agent; sessions are added.",
    )
    also: tuple[dict[str, str], ...] = Field(
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


class AgentSection(Section):
    """How an agent works."""

    instructions: str = Field(default="", description="Text of the agent's system message.")
    max_steps: Annotated[int, Field(ge=1)] = Field(
        default=50, description="Most model calls in one turn, tool calls in between."
    )
    fallbacks: tuple[FallbackSection, ...] = Field(
        default=(),
        description="Who is asked, in order, when the backend's model cannot answer: `name`, "
        "`model`, and the backend's own settings.",
    )


class Selected(Section):
    """One plugin that was chosen by name, with its own settings.

    Attributes:
        name: Its registered name.
        settings: An instance of exactly the class the plugin declared; None if it declares none.
    """

    name: str = Field(description="Registered name of the plugin.")
    settings: SerializeAsAny[BaseModel] | None = None


class RetrySection(Section):
    """When a request that failed for a passing reason is sent again."""

    attempts: Annotated[int, Field(ge=1)] = Field(
        default=5, description="How often a request is sent at most; 1 never sends one again."
    )
    most_wait: Seconds = Field(
        default=60.0,
        description="Seconds of the longest wait, where the provider does not say how long.",
    )
    deadline: Seconds = Field(
        default=300.0,
        description="Seconds from the first attempt after which none begins; "
        "a provider or a limit that asks for more is an error at once.",
    )


class TimeoutsSection(Section):
    """How long a provider is waited for."""

    idle: Seconds | None = Field(
        default=300.0, description="Seconds until the next piece of an answer; null for ever."
    )
    call: Seconds | None = Field(
        default=None, description="Seconds until an answer is complete; null for ever."
    )


class LimitsSection(Section):
    """What an account allows; all agents that use it wait their turn. Counted in one process."""

    requests_per_minute: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="Requests in a minute; null for no limit."
    )
    tokens_per_minute: Tokens | None = Field(
        default=None, description="Tokens of prompts and answers in a minute; null for no limit."
    )
    requests_per_day: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="Requests in 24 hours; null for no limit."
    )


class BreakerSection(Section):
    """When a backend that is down is left alone for a while."""

    failures: Annotated[int, Field(ge=0)] = Field(
        default=10, description="Faults in a row after which it is not asked; 0 always asks it."
    )
    pause: Seconds = Field(
        default=30.0, description="Seconds it is not asked; then one request tries it."
    )


class Patience(Section):
    """How patient a caller is with a backend."""

    retry: RetrySection = Field(default_factory=RetrySection, description="When to send again.")
    timeouts: TimeoutsSection = Field(
        default_factory=TimeoutsSection, description="How long to wait for the provider."
    )
    limits: LimitsSection = Field(
        default_factory=LimitsSection, description="What the account allows."
    )
    breaker: BreakerSection = Field(
        default_factory=BreakerSection, description="When to leave it alone."
    )


class SelectedBackend(Selected, Patience):
    """The chosen backend, and the model it is asked for."""

    name: str = Field(default=DEFAULT_BACKEND, description="Registered name of the backend.")
    model: str | None = Field(
        default=None, description="Model asked for; null leaves it to the backend's own default."
    )


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
