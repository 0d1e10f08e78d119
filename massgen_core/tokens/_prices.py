"""What tokens cost."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from massgen_core.events import Usage

PRICE_FIELDS: Final = frozenset(
    {"input_price", "cached_price", "cache_write_price", "output_price"}
)
"""Fields of `ModelInfo` that are prices."""


@dataclass(frozen=True, slots=True)
class Prices:
    """US dollars for a million tokens, which is also millionths of a dollar for a token.

    Attributes:
        input: Of the prompt.
        output: Of the answer, reasoning included.
        cached: Of the part of the prompt read from the provider's cache.
        cache_write: Of the part written to it.
    """

    input: Decimal
    output: Decimal
    cached: Decimal
    cache_write: Decimal

    def of(self, usage: Usage) -> int:
        """What the usage costs, in millionths of a US dollar.

        Example:
            >>> from massgen_core.events import Usage
            >>> prices = Prices(Decimal(3), Decimal(15), Decimal("0.3"), Decimal("3.75"))
            >>> prices.of(Usage(prompt=1000, completion=100, cached=800))
            2340
        """
        fresh = max(0, usage.prompt - usage.cached - usage.cache_write)
        exact = (
            fresh * self.input
            + usage.cached * self.cached
            + usage.cache_write * self.cache_write
            + usage.completion * self.output
        )
        return int(exact.to_integral_value(ROUND_HALF_EVEN))
