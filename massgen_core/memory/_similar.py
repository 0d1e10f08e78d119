"""Texts that say the same: equal but for case and punctuation, or one a bit longer than another."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from massgen_core.memory._record import MemoryRecord

_SHARE: Final = 0.8
"""Words of the longer text that the shorter one must have."""
_TURNS: Final = frozenset(
    {
        *("not", "no", "never", "none", "nor", "without", "neither", "cannot", "nobody", "nothing"),
        *("hardly", "barely", "except", "unless", "only", "former", "formerly", "ex", "used"),
        *("anymore", "longer", "until", "before", "after", "instead", "or", "if", "almost"),
        *("maybe", "perhaps", "might", "could", "would", "should", "wants", "plans"),
    }
)
"""Words that turn the meaning of a text: with one of them more, it says something else."""
_MARKS: Final = ".,;:!\"'()[]{}`*_\u2026\u00ab\u00bb\u201c\u201d\u201e\u2018\u2019\u201a"
"""What may stand around a word without changing it; ``C++``, ``-5`` and a question stay."""


class Words(NamedTuple):
    """A text as it is compared: its words in order, in lower case, without punctuation."""

    words: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> Words:
        """The words of a text, as they are compared."""
        plain = unicodedata.normalize("NFKC", text).casefold().split()
        return cls(tuple(each.strip(_MARKS) or each for each in plain) or ("",))

    def within(self, other: Words) -> bool:
        """Whether `other` says all that this text says, and hardly more.

        All words of this text stand in the other one in the same order, they are at least 80 % of
        its words, and what it has beside them is no number and turns no meaning. Word order and
        numbers make this stricter than shared words would: a wrong "same" loses a memory.
        """
        mine, theirs = self.words, other.words
        if len(mine) < _SHARE * len(theirs):
            return False
        room = len(theirs) - len(mine)
        more: list[str] = []
        place = 0
        for word in theirs:
            if place < len(mine) and mine[place] == word:
                place += 1
            elif len(more) == room:
                return False
            else:
                more.append(word)
        return place == len(mine) and not any(map(_turns, more))


def same(one: Words, other: Words) -> bool:
    """Whether one of the texts says all that the other one says."""
    return one.within(other) or other.within(one)


def groups(records: Iterable[tuple[Hashable, MemoryRecord]]) -> list[list[MemoryRecord]]:
    """Records that say the same as the longest of their group, it first; only groups of several.

    Args:
        records: Each with a key; only those of the same key are compared.
    """
    by_key: dict[Hashable, list[MemoryRecord]] = defaultdict(list)
    for key, record in records:
        by_key[key].append(record)
    return [group for some in by_key.values() for group in _groups(some)]


def _groups(records: list[MemoryRecord]) -> list[list[MemoryRecord]]:
    """The longest first: each joins the first group whose longest text says all that it says."""
    texts = sorted(
        ((Words.of(one.text), one) for one in records),
        key=lambda pair: (-len(pair[0].words), pair[1].seq),
    )
    leaders: list[tuple[Words, list[MemoryRecord]]] = []
    having: dict[str, list[int]] = defaultdict(list)
    for words, record in texts:
        places = min((having.get(word, []) for word in words.words), key=len, default=[])
        found = next((place for place in places if words.within(leaders[place][0])), None)
        if found is not None:
            leaders[found][1].append(record)
            continue
        for word in set(words.words):
            having[word].append(len(leaders))
        leaders.append((words, [record]))
    return [group for _, group in leaders if len(group) > 1]


def _turns(word: str) -> bool:
    negated = word.endswith(("n't", "n\u2019t"))
    return negated or word in _TURNS or any(map(str.isdigit, word))
