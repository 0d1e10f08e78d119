"""What came of a fit."""

from __future__ import annotations

from dataclasses import dataclass, field

from massgen_core._quick import quick
from massgen_core.context._breaker import Breaker
from massgen_core.context._view import View
from massgen_core.events import FitEvent, Operation


@quick
@dataclass(frozen=True, slots=True)
class FitReport:
    """What a fit did.

    Attributes:
        tokens_before: Counted tokens of the view before.
        tokens_after: The same after.
        limit: Tokens the view may have.
        operations: What was done, in order; empty if the view was left as it was.
        events: Plans that were rejected, strategies that failed or are left out, and texts that
            came too late, in order.
        cache_cost: Tokens of the view after that follow its first change: what the next request
            cannot read from the provider's prompt cache. 0 if the view was left as it was.
    """

    tokens_before: int
    tokens_after: int
    limit: int
    operations: tuple[Operation, ...] = ()
    events: tuple[FitEvent, ...] = ()
    cache_cost: int = 0


@dataclass(frozen=True, slots=True)
class Fit:
    """The fitted view, the report of how it came about, and what it taught for the next one."""

    view: View
    report: FitReport
    breaker: Breaker = field(default_factory=Breaker)
