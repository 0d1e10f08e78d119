"""What tokens cost."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from massgen_core.events import Usage

PRICE_FIELDS: Final = frozenset(
    {
        "input_price",
        "cached_price",
        "cache_write_price",
        "output_price",
        "long_input",
        "long_output",
    }
)
"""Fields of `ModelInfo` that are prices, or multiply them."""


@dataclass(frozen=True, slots=True)
class Prices:
    """US dollars for a million tokens, which is also millionths of a dollar for a token.

    Attributes:
        input: Of the prompt.
        output: Of the answer, reasoning included.
        cached: Of the part of the prompt read from the provider's cache.
        cache_write: Of the part written to it.
        long_prompt: Tokens of the prompt above which all of the request costs more; 0 for never.
        long_input: How many times more the prompt costs then.
        long_output: How many times more the answer costs then.
    """

    input: Decimal
    output: Decimal
    cached: Decimal
    cache_write: Decimal
    long_prompt: int = 0
    long_input: Decimal = Decimal(1)
    long_output: Decimal = Decimal(1)

    def of(self, usage: Usage) -> int:
        """What the usage costs, in millionths of a US dollar.

        Examples:
            >>> from massgen_core.events import Usage
            >>> prices = Prices(Decimal(3), Decimal(15), Decimal("0.3"), Decimal("3.75"))
            >>> prices.of(Usage(prompt=1000, completion=100, cached=800))
            2340
        """
        fresh = max(0, usage.prompt - usage.cached - usage.cache_write)
        prompt = (
            fresh * self.input + usage.cached * self.cached + usage.cache_write * self.cache_write
        )
        answer = usage.completion * self.output
        if self.long_prompt and usage.prompt > self.long_prompt:
            prompt, answer = prompt * self.long_input, answer * self.long_output
        exact = prompt + answer
        return int(exact.to_integral_value(ROUND_HALF_EVEN))
