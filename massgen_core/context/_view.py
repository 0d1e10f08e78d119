"""The view: the immutable sequence of groups a model would see, with prefix sums."""
# ruff: noqa: SLF001 - a view builds the next view

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from massgen_core.context._groups import Group
    from massgen_core.messages import Message


class View:
    """An immutable sequence of `Group`, ordered by number.

    `push` is O(1): views share one growing list, each knows how much of it is its own, and only a
    view that is not the newest copies it. Finding a cut is a bisection over prefix sums.

    Attributes:
        tokens: Sum of all groups' tokens.
        turns: How many user messages it holds.
    """

    __slots__ = ("_closed", "_last", "_size", "_sums", "tokens", "turns")

    def __init__(self, groups: Iterable[Group] = ()) -> None:
        closed = list(groups)
        self.turns = [group.messages[0].role for group in closed].count("user")
        self._last: Group | None = closed.pop() if closed else None
        self._closed = closed
        self._size = len(closed)
        self._sums = list(accumulate([group.tokens for group in closed], initial=0))
        self.tokens = self._sums[-1] + (self._last.tokens if self._last else 0)

    def __len__(self) -> int:
        return self._size + (self._last is not None)

    def __getitem__(self, index: int) -> Group:
        size = len(self)
        if index < 0:
            index += size
        if not 0 <= index < size:
            raise IndexError(f"group {index} of a view of {size}")
        if index < self._size or self._last is None:
            return self._closed[index]
        return self._last

    def __iter__(self) -> Iterator[Group]:
        groups = self._closed[: self._size]
        if self._last is not None:
            groups.append(self._last)
        return iter(groups)

    def __repr__(self) -> str:
        return f"View({len(self)} groups, {self.tokens} tokens)"

    @property
    def last(self) -> Group | None:
        """The newest group; None in an empty view."""
        return self._last

    @property
    def messages(self) -> list[Message]:
        """All messages in order."""
        return [message for group in self for message in group.messages]

    def tokens_before(self, index: int) -> int:
        """Tokens of the groups before `index`, 0 <= index <= len; O(1)."""
        return self._sums[index] if index <= self._size else self.tokens

    def cut(self, tokens: int) -> int:
        """Index of the first group of the longest tail that has at most `tokens`; O(log n)."""
        if self._last is None or self._last.tokens > tokens:
            return len(self)
        return bisect_left(self._sums, self.tokens - tokens, hi=self._size + 1)

    def extends(self, earlier: View) -> bool:
        """Whether all groups of `earlier` but its last stand here too, at the same places; O(1).

        True only for views that came from it by `push` and `with_last`.
        """
        return self._closed is earlier._closed and self._size >= earlier._size

    def tokens_since_change(self, before: View) -> int:
        """Tokens from the first group on that `before` does not have in its place; O(n).

        That is what a provider cannot read from its prompt cache after `before` was sent.
        """
        same = 0
        for new, old in zip(self, before, strict=False):
            if new is not old:
                break
            same += 1
        return self.tokens - self.tokens_before(same)

    def push(self, group: Group) -> View:
        """The view with one more group at its end; O(1). Its number must be the highest."""
        groups, sums, size, last = self._closed, self._sums, self._size, self._last
        if last is not None:
            if len(groups) != size:  # another view grew the shared lists
                groups, sums = groups[:size], sums[: size + 1]
            groups.append(last)
            sums.append(self.tokens)
            size += 1
        view = View.__new__(View)
        view._closed, view._sums, view._size, view._last = groups, sums, size, group
        view.tokens = self.tokens + group.tokens
        view.turns = self.turns + (group.messages[0].role == "user")
        return view

    def with_last(self, group: Group) -> View:
        """The view with another group in the place of the newest; O(1)."""
        if self._last is None:
            return self.push(group)
        view = View.__new__(View)
        view._closed, view._sums, view._size = self._closed, self._sums, self._size
        view._last = group
        view.tokens = self.tokens + group.tokens - self._last.tokens
        view.turns = self.turns
        return view
