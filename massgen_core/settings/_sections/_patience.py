"""How patient a caller is with a backend: attempts, timeouts, limits, the breaker."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from massgen_core.settings._sections._section import Seconds, Section, Tokens


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
        default=None, description="Seconds to wait for an answer in all; null for ever."
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
