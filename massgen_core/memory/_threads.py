"""What was said before and after: texts linked in the order of their conversation."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection

_NONE: Final = 0
"""The slot before the first and after the last; it links to itself, so that walks need no test."""
_LAST: Final = (1 << 63) - 1
"""Turn number of a text that has none: it follows those that have one."""

Sitting = tuple[str, int | None]
"""A thread and the number of one sitting in it."""


class Threads:
    """Links of slots inside a sitting, in the order of turn number, then of the text's number.

    Slots start at 1 and may come in any order.

    Examples:
        >>> threads = Threads()
        >>> threads.link(1, ("talk", 1), turn=7, number=1)
        >>> threads.link(2, ("talk", 1), turn=3, number=2)
        >>> threads.before[1], threads.after[1]
        (2, 0)
    """

    def __init__(self) -> None:
        self.before = array("i", (_NONE,))
        self.after = array("i", (_NONE,))
        self.sitting = array("i", (_NONE,))
        self._turns = array("q", (_NONE,))
        self._numbers = array("q", (_NONE,))
        self._sittings: dict[Sitting, tuple[int, array[int]]] = {}
        self._names: dict[int, Sitting] = {}
        self._made = 0

    def link(self, slot: int, name: Sitting | None, *, turn: int | None, number: int) -> None:
        """Puts a slot in its place. O(log n), and a copy of memory if it is not the last.

        Args:
            slot: Its place in the arrays.
            name: Its sitting; None for a text that stands alone.
            turn: Its number in the sitting.
            number: Orders texts without a turn number, and those with the same.
        """
        self._reserve(slot)
        self._turns[slot] = _LAST if turn is None else max(-_LAST, min(turn, _LAST))
        self._numbers[slot] = number
        if name is None:
            self.sitting[slot] = -slot
            return
        self.sitting[slot], members = self._members(name)
        place = bisect_left(members, self._key(slot), key=self._key)
        before = members[place - 1] if place else _NONE
        after = members[place] if place < len(members) else _NONE
        members.insert(place, slot)
        self._join(before, slot)
        self._join(slot, after)

    def unlink(self, slot: int) -> None:
        """Takes a slot out; its neighbours become each other's."""
        name = self._names.get(self.sitting[slot])
        if name is not None:
            _, members = self._sittings[name]
            del members[bisect_left(members, self._key(slot), key=self._key)]
            if not members:
                del self._sittings[name], self._names[self.sitting[slot]]
        self._join(self.before[slot], self.after[slot])
        self.before[slot] = self.after[slot] = self.sitting[slot] = _NONE

    def window(self, slot: int) -> tuple[int, int, int, int, int]:
        """The slot with the two before and the two after it; 0 where there is none."""
        before, after = self.before[slot], self.after[slot]
        return self.before[before], before, slot, after, self.after[after]

    def windows(self, slots: Collection[int]) -> set[int]:
        """All slots in the windows of some; 0 among them where a window is cut short."""
        before, after = self.before, self.after
        back, on = {before[slot] for slot in slots}, {after[slot] for slot in slots}
        far = {before[slot] for slot in back}
        return far.union(slots, back, on, {after[slot] for slot in on})

    def _reserve(self, slot: int) -> None:
        missing = slot + 1 - len(self.before)
        for column in (self.before, self.after, self.sitting, self._turns, self._numbers):
            column.extend([_NONE] * missing)

    def _members(self, name: Sitting) -> tuple[int, array[int]]:
        if name not in self._sittings:
            self._made += 1
            self._names[self._made] = name
            self._sittings[name] = self._made, array("i")
        return self._sittings[name]

    def _key(self, slot: int) -> tuple[int, int]:
        return self._turns[slot], self._numbers[slot]

    def _join(self, before: int, after: int) -> None:
        if before:
            self.after[before] = after
        if after:
            self.before[after] = before
