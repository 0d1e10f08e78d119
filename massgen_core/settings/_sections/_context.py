"""The section about fitting a context."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from massgen_core.settings._sections._section import Ratio, Seconds, Section, Tokens


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
