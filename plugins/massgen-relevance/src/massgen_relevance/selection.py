"""Which groups stay, which leave and which come back: only numbers, nothing is read."""

from __future__ import annotations

from bisect import insort
from typing import TYPE_CHECKING, Final

from massgen_relevance.lexical import RECENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from massgen_core.context import FitContext, Group, View

_STAYS: Final = 0.5
"""What is in the view needs this share of the score that brings one back: nothing goes to and fro
because the need moved a little."""


class Selection:
    """The groups of a view, and what is done to them.

    A group *matches* with a score of at least `least`, or half of that if it is in the view. The
    *tail* is the unbroken run of groups up to the newest one. Matching groups before the tail
    together have at most `reserve` tokens when others are brought back.

    Args:
        view: Where it begins.
        ctx: What was said, and what is protected.
        reserve: Tokens that older groups may have because they match.
        least: The score that brings a group back.
    """

    def __init__(self, view: View, ctx: FitContext, reserve: int, least: float) -> None:
        self._before = {group.number: group.tokens for group in view}
        self._tokens = dict(self._before)
        self._total = view.tokens
        self._history = ctx.history
        self._recent = len(ctx.history) - RECENT
        self._reserve = reserve
        self._least = least
        self._scores: Mapping[int, float] = {}
        self._movable = [g.number for g in ctx.droppable(view) if not _stands_for_others(g)]
        self._said_by_user = {group.number for group in view if group.role == "user"}

    @property
    def out(self) -> tuple[int, ...]:
        """Numbers of the groups that leave."""
        return tuple(sorted(self._before.keys() - self._tokens.keys()))

    @property
    def back(self) -> tuple[int, ...]:
        """Numbers of the groups that come back."""
        return tuple(sorted(self._tokens.keys() - self._before.keys()))

    def score(self, scores: Mapping[int, float]) -> None:
        """Says how well groups match."""
        self._scores = scores

    def resize(self, number: int, tokens: int) -> None:
        """Says that a group will have other tokens."""
        self._total += tokens - self._tokens[number]
        self._tokens[number] = tokens

    def shrink(self, goal: int) -> None:
        """Takes the oldest out until `goal` tokens are left; of these the best matches go last."""
        if self._total <= goal:
            return
        leaving = self._oldest(self._movable, self._total - goal + self._reserve)
        spared = self._within(self._best(leaving, self._least * _STAYS), self._reserve)
        first = [number for number in leaving if number not in set(spared)]
        for number in [*first, *reversed(spared)]:
            if self._total <= goal:
                return
            self._drop(number)

    def exchange(self) -> None:
        """Brings back what matches, for older groups that do not and are larger together.

        Each round makes the view smaller, so there is a last one; after it another exchange, with
        the same need, finds nothing to do.
        """
        while self._exchange_once():
            pass

    def _exchange_once(self) -> bool:
        loose = self._loose()
        room = min(self._reserve - self._matching_before_tail(), self._sum(loose) - 1)
        away = [n for n in self._scores if n < len(self._history) and n not in self._tokens]
        back = self._within(self._best(away, self._least), room)
        if not back:
            return False
        needed = sum(self._size(number) for number in back) + 1
        for number in self._oldest(loose, needed):
            self._drop(number)
        for number in back:
            self._restore(number)
        return True

    def _loose(self) -> list[int]:
        """What may leave for others, oldest first: no match, not the user's, not the latest."""
        return [
            number
            for number in self._movable
            if number in self._tokens
            and number < self._recent
            and number not in self._said_by_user
            and self._tokens[number] <= self._reserve
            and self._scores.get(number, 0.0) < self._least * _STAYS
        ]

    def _matching_before_tail(self) -> int:
        start = max(self._tokens, default=0)
        while start - 1 in self._tokens:
            start -= 1
        older = [number for number in self._movable if number in self._tokens and number < start]
        return self._sum(self._best(older, self._least * _STAYS))

    def _best(self, numbers: Iterable[int], least: float) -> list[int]:
        """Those that match, best first, the newer of equals first."""
        found = [number for number in numbers if self._scores.get(number, 0.0) >= least]
        return sorted(found, key=lambda number: (-self._scores[number], -number))

    def _within(self, numbers: Iterable[int], room: int) -> list[int]:
        """As many as fit, in order; what is too large is passed over."""
        out = []
        for number in numbers:
            if self._size(number) <= room:
                out.append(number)
                room -= self._size(number)
        return out

    def _oldest(self, numbers: Sequence[int], tokens: int) -> list[int]:
        """The first of `numbers` that together have at least `tokens`."""
        out = []
        for number in numbers:
            if tokens <= 0:
                break
            out.append(number)
            tokens -= self._tokens[number]
        return out

    def _drop(self, number: int) -> None:
        self._total -= self._tokens.pop(number)

    def _restore(self, number: int) -> None:
        self._tokens[number] = tokens = self._history[number].tokens
        self._total += tokens
        if number not in self._movable:
            insort(self._movable, number)

    def _size(self, number: int) -> int:
        """Tokens in the view, or as it was said if it is not there."""
        return self._tokens.get(number, self._history[number].tokens)

    def _sum(self, numbers: Iterable[int]) -> int:
        return sum(self._tokens[number] for number in numbers)


def _stands_for_others(group: Group) -> bool:
    """Whether it is a text in the place of many groups, which cannot be said again."""
    return "summary" in group.messages[0].meta
