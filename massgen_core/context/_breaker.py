"""What earlier fits taught: which strategies to leave out for a while."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

PAUSE: Final = 8
"""Fits that a strategy is left out of: enough to be cheap, few enough to see that it recovered."""
CHAIN: Final = -1
"""In the place of a strategy's index: all of them together."""
_FAILURES: Final = 2
"""Failures in a row after which a strategy is left out."""


def preparation_of(index: int) -> int:
    """In the place of a strategy's index: what it does before it plans."""
    return CHAIN - 1 - index


Trial: TypeAlias = Literal["sound", "failed", "lost", "left_out"]
"""What came of asking: ``lost`` cost a time limit, or a price for nothing."""


@dataclass(frozen=True, slots=True)
class Breaker:
    """Which strategies the next fits of a conversation leave out, and why.

    A strategy that failed twice in a row, or lost time or money once, is left out of the next
    `PAUSE` fits and then tried again; if it fails then, it is left out again.

    Attributes:
        failures: How often each failed in a row, by its place in the chain.
        pauses: In how many fits each will be left out still.
        stuck: Whether the last fit could not bring the view below the trigger. The next is due
            only above the limit then, not at each message.
    """

    failures: Mapping[int, int] = field(default_factory=lambda: MappingProxyType({}))
    pauses: Mapping[int, int] = field(default_factory=lambda: MappingProxyType({}))
    stuck: bool = False

    def leaves_out(self, index: int) -> bool:
        """Whether the strategy is not to be asked."""
        return index in self.pauses

    def begins(self, index: int) -> bool:
        """Whether this is the first fit it is left out of."""
        return self.pauses.get(index) == PAUSE

    def after(self, trials: Mapping[int, Trial], *, stuck: bool) -> Breaker:
        """What holds after a fit in which the strategies did as `trials` say."""
        failures, pauses = dict(self.failures), dict(self.pauses)
        for index, trial in trials.items():
            if trial == "left_out":
                pauses[index] -= 1
                if not pauses[index]:
                    del pauses[index]
            elif trial == "sound":
                failures.pop(index, None)
            else:
                failures[index] = failures.get(index, 0) + 1
                if trial == "lost" or failures[index] >= _FAILURES:
                    pauses[index], failures[index] = PAUSE, _FAILURES - 1
        return Breaker(MappingProxyType(failures), MappingProxyType(pauses), stuck)
