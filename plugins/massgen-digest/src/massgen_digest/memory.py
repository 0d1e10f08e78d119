"""What left the window, folded group by group into little more than a digest can hold."""

from __future__ import annotations

import math
import re
from collections import deque
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from massgen_digest.extract import Extract, Line, extract

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from massgen_core.context import Group
    from massgen_core.tokens import TokenCounter
    from massgen_digest.extract import Spot

T = TypeVar("T")

_RECENCY: Final = 2.5
"""Weight of being last against the logarithm of the score; by hand."""
_ENDS: Final = 512
"""How many of the first and of the last statements are remembered."""
_FAILURES: Final = 64
"""How many of the last failures are remembered: older ones are mended, or known too well."""
_LINES: Final = 1 << 12
"""How many lines' sizes are remembered."""
_ORDERS: Final = (
    *("always", "never", "must", "do not", "don't", "only", "every time", "from now on"),
    *("make sure", "remember", "rule", "immer", "nie", "niemals", "nur", "ab jetzt"),
    *("toujours", "jamais", "seulement", "siempre", "nunca", "solo", "sempre", "mai"),
    *("всегда", "никогда", "только"),
)
"""Words of a statement that holds for more than its own turn."""
_ORDERS_INSIDE: Final = (
    "总是",
    "必须",
    "不要",
    "永远",
    "从现在起",
    "必ず",
    "絶対",
    "しないで",
    "항상",
    "절대",
)
"""The same in scripts that put no space between words."""


class Ends(Generic[T]):
    """The first and the last of what was added."""

    def __init__(self) -> None:
        self._first: list[T] = []
        self._last: deque[T] = deque(maxlen=_ENDS)

    def add(self, item: T) -> None:
        """Adds one; one in the middle may be forgotten for it."""
        if len(self._first) < _ENDS:
            self._first.append(item)
        else:
            self._last.append(item)

    def __iter__(self) -> Iterator[T]:
        """The newest, the oldest, the second newest, and so on: goals stand at the beginning."""
        items = [*self._first, *self._last]
        left, right = 0, len(items) - 1
        while left <= right:
            yield items[right]
            if left < right:
                yield items[left]
            left, right = left + 1, right - 1


class Memory:
    """What a digest of ``history[:folded]`` can say, while `folded` grows.

    A pure function of the history and of `most`: each group is folded in once, in order, and what
    is forgotten depends on nothing else. A process that begins anew comes to the same.

    Args:
        most: How many atoms are remembered after a pruning; twice as many between two.
        counter: Counts lines.

    Attributes:
        folded: How many groups are in it.
        size: The tokens of a line; of the same lines at each fit, counted once.
        orders: Statements that hold for more than their own turn.
        statements: All others.
        facts: By `Line.rank`, without those whose atom had been said before.
        decided: Lines of decisions.
        failed: Lines of failures, the newest last.
    """

    def __init__(self, most: int, counter: TokenCounter) -> None:
        self._most, self._counter = most, counter
        self.folded = 0
        self.size = lru_cache(_LINES)(lambda text: counter.count_text(text).tokens)
        self.orders: Ends[Line] = Ends()
        self.statements: Ends[Line] = Ends()
        self.facts: dict[int, Ends[Line]] = {}
        self.decided: Ends[Line] = Ends()
        self.failed: deque[Line] = deque(maxlen=_FAILURES)
        self._spots: dict[str, Spot] = {}
        self._scores: dict[str, float] = {}
        self._witnesses: dict[int, Group] = {}
        self._extracts: dict[int, tuple[Group, Extract]] = {}

    def is_of(self, history: Sequence[Group], until: int, most: int, counter: TokenCounter) -> bool:
        """Whether it is made alike, and of no more than the first `until` groups of this history.

        A late result changes a group that had a stand-in for it.
        """
        alike = (self._most, self._counter) == (most, counter)
        return (
            alike
            and self.folded <= until
            and all(history[number] is group for number, group in self._witnesses.items())
        )

    def extract(self, group: Group) -> Extract:
        """What is worth keeping of a group; found once while it may be asked for again."""
        before = self._extracts.get(group.number)
        if before is None or before[0] is not group:
            before = self._extracts[group.number] = group, extract(group)
        return before[1]

    def keep_extracts(self, numbers: Collection[int]) -> None:
        """Forgets what was found in groups of other numbers."""
        self._extracts = {n: found for n, found in self._extracts.items() if n in numbers}

    def add(self, group: Group) -> None:
        """Folds in the next group."""
        found = self.extract(group)
        if self.folded > 1 and not _has_stand_in(last := self._witnesses[self.folded - 1]):
            del self._witnesses[last.number]
        self._witnesses[group.number] = group
        self.folded = group.number + 1
        if group.role == "system":
            return
        if group.role == "user":
            kind = self.orders if is_order(group) else self.statements
            kind.add(Line(group.text, group.number))
        for fact in found.facts:
            if fact.name not in self._scores:
                self.facts.setdefault(fact.rank, Ends()).add(fact)
        for line in found.decided:
            self.decided.add(line)
        self.failed.extend(found.failed)
        self._count(found.spots)

    def best(self, known: Collection[str]) -> list[Spot]:
        """Where each atom stood last, the most important first, without those that are `known`."""
        share = _RECENCY / max(1, self.folded - 1)
        scores = self._scores
        rated = [
            (math.log1p(scores[name]) + share * spot.place, name)
            for name, spot in self._spots.items()
            if name not in known
        ]
        rated.sort(reverse=True)
        return [self._spots[name] for _, name in rated[: self._most]]

    def _count(self, spots: Sequence[Spot]) -> None:
        scores = self._scores
        for spot in spots:
            scores[spot.name] = scores.get(spot.name, 0.0) + spot.weight
            self._spots[spot.name] = spot
        if len(scores) > 2 * self._most:
            self._spots = {spot.name: spot for spot in self.best(())}
            self._scores = {name: scores[name] for name in self._spots}


def is_order(group: Group) -> bool:
    """Whether what the user says in it holds for more than its own turn."""
    return _is_order(group.text)


@lru_cache(maxsize=1 << 10)
def _is_order(text: str) -> bool:
    lowered = text.lower()
    if any([word in lowered for word in _ORDERS_INSIDE]):  # noqa: C419 - a list is faster
        return True
    found = [word for word in _ORDERS if word in lowered]  # in most texts none is: see _whole
    return bool(found) and _whole(tuple(found)).search(lowered) is not None


@lru_cache(maxsize=1 << 8)
def _whole(words: tuple[str, ...]) -> re.Pattern[str]:
    """Finds one of the words that is not part of a longer one."""
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, words))})\b")


def _has_stand_in(group: Group) -> bool:
    return any(message.meta.get("synthetic") for message in group.messages)
