"""Who said what, and whom a question names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from massgen_core.memory._lexicon import terms_of

if TYPE_CHECKING:
    from collections.abc import Iterable


class Speakers:
    """Names of speakers, found by any of their words.

    Examples:
        >>> speakers = Speakers()
        >>> speakers.add("Ada Lovelace")
        >>> speakers.add("Grace Hopper")
        >>> sorted(speakers.named(["ada", "engin"]))
        ['Ada Lovelace']
    """

    def __init__(self) -> None:
        self._texts: dict[str, int] = {}
        self._called: dict[str, set[str]] = {}

    def add(self, name: str) -> None:
        """Counts one more text of a speaker; an empty name is nobody."""
        if not name:
            return
        self._texts[name] = self._texts.get(name, 0) + 1
        if self._texts[name] == 1:
            for term in terms_of(name):
                self._called.setdefault(term, set()).add(name)

    def remove(self, name: str) -> None:
        """Counts one text less; a speaker without texts is forgotten."""
        if not name:
            return
        self._texts[name] -= 1
        if not self._texts[name]:
            del self._texts[name]
            for term in terms_of(name):
                self._called[term].discard(name)

    def named(self, terms: Iterable[str]) -> set[str]:
        """The speakers that a query's terms name; none if that is everybody: it tells nothing."""
        found = set().union(*(self._called.get(term, ()) for term in terms))
        return found if len(found) < len(self._texts) else set()
