"""Which texts have a term and how often, kept in arrays that grow and shrink term by term."""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_SHIFT: Final = 16
_MOST: Final = (1 << _SHIFT) - 1
"""An occurrence is one number: the slot of the text, and in its low bits how often."""


class Postings:
    """The occurrences of every term, ordered by slot; a slot is the small number of a text.

    Examples:
        >>> postings = Postings()
        >>> postings.add(3, {"port": 2, "tea": 1})
        >>> list(postings.of("port"))
        [(3, 2)]
    """

    def __init__(self) -> None:
        self._lists: dict[str, array[int]] = {}
        self._terms: dict[int, tuple[str, ...]] = {}

    def add(self, slot: int, counts: Mapping[str, int]) -> None:
        """Adds a text; its slot must be free. O(terms), and a copy of memory if it is no new slot.

        Args:
            slot: Its place.
            counts: How often it has each term.
        """
        self._terms[slot] = tuple([sys.intern(term) for term in counts])
        for term, times in counts.items():
            posting = slot << _SHIFT | min(times, _MOST)
            found = self._lists.get(term)
            if found is None:
                self._lists[sys.intern(term)] = array("Q", (posting,))
            elif found[-1] < posting:
                found.append(posting)
            else:
                found.insert(bisect_left(found, posting), posting)

    def remove(self, slot: int) -> None:
        """Removes the text of a slot. O(terms), and a copy of memory."""
        for term in self._terms.pop(slot):
            found = self._lists[term]
            del found[bisect_left(found, slot << _SHIFT)]
            if not found:
                del self._lists[term]

    def frequency(self, term: str) -> int:
        """How many texts have the term."""
        return len(self._lists.get(term, ()))

    def of(self, term: str, among: Collection[int] | None = None) -> list[tuple[int, int]]:
        """Slots that have the term, and how often; of all texts or among some of them."""
        found = self._lists.get(term, ())
        if among is None:
            return [(posting >> _SHIFT, posting & _MOST) for posting in found]
        if len(found) < _SEARCH_COST * len(among):
            return [
                (slot, posting & _MOST) for posting in found if (slot := posting >> _SHIFT) in among
            ]
        places = [(slot, bisect_left(found, slot << _SHIFT)) for slot in among]
        return [
            (slot, found[place] & _MOST)
            for slot, place in places
            if place < len(found) and found[place] >> _SHIFT == slot
        ]


_SEARCH_COST: Final = 4
"""Steps through a list of occurrences that take as long as looking one slot up in it."""
