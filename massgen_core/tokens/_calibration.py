"""From our count to the provider's: an anchor, and a learned ratio for what came after it."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from massgen_core.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Mapping

    from massgen_core.messages import JSONValue

LOWEST, HIGHEST = 0.25, 4.0
"""Bounds of a ratio: tokenizers differ by less, what is outside is a fault."""
_HIDDEN: Final = 200_000
"""Tokens a provider or host may add that we never see (system prompts, built-in tools)."""
_SAMPLE: Final = 50
"""Counted tokens a difference must have to teach: in smaller ones frames dominate."""
_RECENT: Final = 50
"""How many of the newest ratios are ranked, and how few are too few to rank."""
_ENOUGH: Final = 5
_PRIOR_WEIGHT: Final = 5_000.0
"""Counted tokens the prior is worth."""
_PERCENTILE: Final = 0.95
_ANSWER: Final = (0.5, 1.5)
"""Bounds of an answer's reported size, as shares of the size to expect. What is outside holds more
than the message, such as reasoning that is not sent back."""


class Calibration:
    """What the provider will report for a request, learned from what it reported before.

    One object per agent and model. An estimate is the last reported size (of a request and its
    answer) plus the difference we count times a learned ratio; before the first report it is the
    count times the family's prior. A smaller request than the last is estimated from the smallest
    one, too: the last may be one that was refused, of content that is counted far too low, and what
    it has more says nothing of what the provider adds to every request.

    Args:
        prior: Reported tokens per counted token to expect, `ModelInfo.ratio`.
        exact: Whether the counter is the model's own tokenizer; it then needs less of a margin.

    Raises:
        InvalidArgument: The prior is no number from 0.25 to 4.
    """

    __slots__ = (
        "_base",
        "_counted",
        "_exact",
        "_prior",
        "_reported",
        "_seen",
        "_spread",
        "_taught",
        "_tokens",
    )

    def __init__(self, prior: float = 1.0, *, exact: bool) -> None:
        if not LOWEST <= prior <= HIGHEST:
            raise InvalidArgument(
                f"prior is {prior!r}, expected a number from {LOWEST} to {HIGHEST}"
            )
        self._prior = float(prior)
        self._exact = exact
        self._counted = 0
        self._reported = 0
        self._base = (0, 0)  # the smallest request: counted, reported
        self._seen: deque[float] = deque(maxlen=_RECENT)
        self._tokens = 0.0  # counted tokens of all differences seen
        self._taught = 0.0  # what the provider reported for them
        self._spread = self._ranked_spread()

    def __repr__(self) -> str:
        return f"<Calibration ratio {self.ratio:.3f}, anchor {self._reported} for {self._counted}>"

    @property
    def _frame(self) -> int:
        """Tokens around a request that no message has: 3 prime the answer; templates add more."""
        return 3 if self._exact else 24

    @property
    def ratio(self) -> float:
        """Reported tokens per counted token, as learned so far."""
        return (self._taught + self._prior * _PRIOR_WEIGHT) / (self._tokens + _PRIOR_WEIGHT)

    def observe(self, *, counted: int, reported: int) -> None:
        """Learns from one request: our count of exactly what was sent, and the reported size.

        Nonsense is ignored: numbers that are not positive, a report no tokenizer can explain.
        """
        if not (_sane(counted) and _sane(reported)):
            return
        if not LOWEST * counted <= reported <= HIGHEST * counted + _HIDDEN:
            return
        if self._reported:
            self._learn(counted - self._counted, reported - self._reported)
        self._counted, self._reported = int(counted), int(reported)
        if not self._base[0] or self._counted <= self._base[0]:
            self._base = (self._counted, self._reported)

    def answered(self, *, counted: int, reported: int) -> None:
        """Learns from the answer to the request observed last, which the next one will hold.

        Without it, the answer is a part of the next request that is estimated; with it, it is
        known. Ignored if the provider counted more, or less, than the message can be.

        Args:
            counted: Our count of the message that was kept.
            reported: The tokens the provider reported for it, without reasoning that was not kept.
        """
        if not (self._reported and _sane(counted) and _sane(reported)):
            return
        low, high = _ANSWER
        if not low * self.ratio * counted <= reported <= high * self.ratio * counted + _SAMPLE:
            return
        self._counted += int(counted)
        self._reported += int(reported)

    def _learn(self, counted: int, reported: int) -> None:
        if abs(counted) < _SAMPLE or (counted > 0) != (reported > 0):
            return
        ratio = min(HIGHEST, max(LOWEST, reported / counted))
        self._seen.append(ratio)
        self._tokens += abs(counted)
        self._taught += abs(counted) * ratio
        self._spread = self._ranked_spread()

    def estimate(self, counted: int) -> int:
        """The tokens the provider will most likely report for a request we count as `counted`."""
        return self._apply(counted, self.ratio, self.ratio)

    def upper(self, counted: int) -> int:
        """The tokens the provider will hardly exceed: never below `estimate`."""
        more, less = self._spread
        return self._apply(counted, more, less) + (0 if self._reported else self._frame)

    def _ranked_spread(self) -> tuple[float, float]:
        """The ratio to add with and the one to take away with, for an upper estimate."""
        ratio = self.ratio
        if len(self._seen) < _ENOUGH:
            margin = 1.02 if self._exact else 1.12
            return ratio * margin, ratio / margin
        ranked = sorted(self._seen)
        high = ranked[math.ceil(_PERCENTILE * len(ranked)) - 1]
        low = ranked[math.floor((1 - _PERCENTILE) * len(ranked))]
        return max(ratio, high), min(ratio, low)

    def _apply(self, counted: int, more: float, less: float) -> int:
        """The last request, `more` for each token added, `less` back for each taken away.

        Not more, for fewer tokens than that, than the smallest request makes likely.
        """
        counted = max(0, counted)
        if not self._reported:
            return math.ceil(counted * more)
        size = _from((self._counted, self._reported), counted, more, less)
        if counted >= self._counted:
            return size
        return min(size, _from(self._base, counted, more, less))

    def budget(self, limit: int) -> int:
        """The largest count whose `upper` is at most `limit`; 0 if there is none."""
        more, less = self._spread
        if not self._reported:
            count = (limit - self._frame) / more
        else:
            count = _until((self._counted, self._reported), limit, more, less)
            if limit < self._reported:
                below = min(self._counted - 1, _until(self._base, limit, more, less))
                count = max(count, below)
        budget = max(0, math.floor(count) + 1)  # one more, for what floats lose
        while budget and self.upper(budget) > limit:
            budget -= 1
        return budget

    def in_proportion(self, limit: int) -> int:
        """The count with the share of the last request that `limit` has of its reported size.

        Less careful than `budget`: as if the provider added nothing. For when that leaves nothing.
        """
        return limit * self._counted // self._reported if self._reported else 0

    def to_json(self) -> dict[str, JSONValue]:
        """The state as JSON values; `from_json` is its inverse."""
        return {
            "prior": self._prior,
            "exact": self._exact,
            "counted": self._counted,
            "reported": self._reported,
            "base": list(self._base),
            "seen": list(self._seen),
            "tokens": self._tokens,
            "taught": self._taught,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, JSONValue]) -> Calibration:
        """The calibration that `to_json` wrote.

        Raises:
            InvalidArgument: It is none.
        """
        try:
            out = cls(_number(data["prior"]), exact=data["exact"] is True)
            out._counted, out._reported = (
                int(_number(data["counted"])),
                int(_number(data["reported"])),
            )
            smallest, size = map(_number, _sequence(data["base"]))
            out._base = (int(smallest), int(size))
            out._tokens, out._taught = _number(data["tokens"]), _number(data["taught"])
            out._seen.extend(map(_number, _sequence(data["seen"])))
            out._spread = out._ranked_spread()
            known = (out._counted, out._reported, *out._base)
            if any(known) != all(known) or not LOWEST <= out.ratio <= HIGHEST:
                raise ValueError("its numbers contradict each other")  # noqa: TRY301 - one remedy
        except (KeyError, TypeError, ValueError) as exc:
            raise InvalidArgument(f"not a calibration: {type(exc).__name__}: {exc}") from exc
        return out


def _from(anchor: tuple[int, int], counted: int, more: float, less: float) -> int:
    """The size by what was reported for the anchor.

    What was taken away gives back no more than its share: what the provider adds itself stays.
    """
    known, reported = anchor
    if counted >= known:
        return reported + math.ceil((counted - known) * more)
    return reported - math.floor((known - counted) * min(less, reported / known))


def _until(anchor: tuple[int, int], limit: int, more: float, less: float) -> float:
    """The count for which `_from` gives `limit`."""
    known, reported = anchor
    if limit >= reported:
        return known + (limit - reported) / more
    return known - (reported - limit) / min(less, reported / known)


def _number(value: JSONValue) -> float:
    if isinstance(value, int | float) and math.isfinite(value) and value >= 0:
        return float(value)
    raise TypeError(f"expected a number, got {value!r}")


def _sequence(value: JSONValue) -> Sequence[JSONValue]:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return value
    raise TypeError(f"expected a list, got {value!r}")


def _sane(tokens: float) -> bool:
    return not isinstance(tokens, bool) and math.isfinite(tokens) and tokens > 0
