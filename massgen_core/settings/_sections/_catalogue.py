"""What settings may correct in the catalogue of models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from massgen_core.settings._sections._section import Price, Section, Tokens

if TYPE_CHECKING:
    from collections.abc import Mapping


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
    images: bool | None = Field(default=None, description="Whether it can see images.")
    reasoning: bool | None = Field(
        default=None,
        description="Whether it thinks, in tokens that are paid for; what OpenAI-compatible "
        "backends ask of a model depends on it, and its name decides where nothing says.",
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
