"""Finding texts by the words and identifiers they share with a query, in an index that grows."""

from __future__ import annotations

import math
import re
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_K1: Final = 0.9
_B: Final = 0.4
"""BM25 as Anserini has it (Yang, Fang, Lin: Anserini, SIGIR 2017)."""
_LONGEST: Final = 128
"""Characters of a word; what is longer is encoded data."""
_COMPOUND: Final = re.compile(r"\w+(?:[./\\:@-]+\w+)*")
_PIECE: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_WORD: Final = re.compile(r"[^\W_]+")
_UNSPACED: Final = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
"""Scripts written without blanks, or with endings: pairs of characters stand for words."""
_PLURAL: Final = re.compile(r"[a-z]{3,}(?<![siu])s")
_SAYS_NOTHING: Final = (
    "a about after all also am an and any are as at be been but by can could did do does for from "
    "had has have he her his how i if in into is it its just let like me my no not now of on or "
    "our out please she should so some that the their them then there these they this to up us use "
    "was we were what when where which who why will with would yes you your"
)
_COMMON: Final = frozenset(_SAYS_NOTHING.split())
"""English words that say nothing about the matter."""


def terms_of(text: str) -> Counter[str]:
    """How often each term is in the text: words, and identifiers whole and in their pieces.

    Examples:
        >>> sorted(terms_of("Where is the retryCount of src/payments.py?"))
        ['count', 'payment', 'py', 'retry', 'retrycount', 'src', 'src/payments.py']
    """
    found: Counter[str] = Counter()
    for word, times in Counter(_COMPOUND.findall(text)).items():
        for term in _terms(word):
            found[term] += times
    return found


class LexicalIndex:
    """Texts by number, ranked by BM25; what is added later is found as well.

    Examples:
        >>> index = LexicalIndex()
        >>> index.add(0, "The staging database listens on port 6543.")
        >>> index.add(1, "Lunch is at noon.")
        >>> index.search({"port": 1.0, "database": 1.0}).keys()
        dict_keys([0])
    """

    def __init__(self) -> None:
        self._postings: dict[str, dict[int, int]] = {}
        self._terms: dict[int, tuple[str, ...]] = {}
        self._lengths: dict[int, int] = {}
        self._length = 0

    def __len__(self) -> int:
        return len(self._lengths)

    def __contains__(self, number: int) -> bool:
        return number in self._lengths

    def add(self, number: int, text: str) -> None:
        """Adds a text, or puts it in the place of the one that has this number."""
        self._remove(number)
        counts = terms_of(text)
        for term, times in counts.items():
            self._postings.setdefault(term, {})[number] = times
        self._terms[number] = tuple(counts)
        self._lengths[number] = length = counts.total()
        self._length += length

    def frequency(self, term: str) -> int:
        """In how many texts the term is."""
        return len(self._postings.get(term, ()))

    def weight(self, term: str) -> float:
        """How much the term tells: the rarer the more."""
        texts = self.frequency(term)
        return math.log1p((len(self) - texts + 0.5) / (texts + 0.5))

    def search(self, query: Mapping[str, float]) -> dict[int, float]:
        """The texts that have a term of the query, each with a score above 0.

        Args:
            query: How much each term matters, above 0; see `terms_of`.

        Returns:
            Shares of the query: about 1 for a text of usual length that has each term once. O(texts
            that have a term).
        """
        whole = 0.0
        scores: dict[int, float] = {}
        for term, matter in query.items():
            weight = matter * self.weight(term)
            whole += weight
            for number, times in self._postings.get(term, {}).items():
                length = 1 - _B + _B * self._lengths[number] * len(self) / self._length
                gain = weight * times * (_K1 + 1) / (times + _K1 * length)
                scores[number] = scores.get(number, 0.0) + gain
        return {number: score / whole for number, score in scores.items()}

    def _remove(self, number: int) -> None:
        for term in self._terms.pop(number, ()):
            del self._postings[term][number]
            if not self._postings[term]:
                del self._postings[term]
        self._length -= self._lengths.pop(number, 0)


@lru_cache(maxsize=1 << 14)
def _terms(word: str) -> tuple[str, ...]:
    if len(word) > _LONGEST:
        return ()
    whole = word.lower()
    pieces = _ascii_pieces(word) if word.isascii() else _other_pieces(whole)
    terms = dict.fromkeys(_singular(piece) for piece in pieces)
    if len(terms) > 1 and not _UNSPACED.search(whole):
        terms[whole] = None
    return tuple([term for term in terms if term not in _COMMON and (len(term) > 1 or term > "z")])


def _ascii_pieces(word: str) -> list[str]:
    return [piece.lower() for piece in _PIECE.findall(word)]


def _other_pieces(word: str) -> list[str]:
    out: list[str] = []
    for piece in _WORD.findall(word):
        for run in _UNSPACED.findall(piece):
            out += [run[n : n + 2] for n in range(max(1, len(run) - 1))]
        out += [rest for rest in _UNSPACED.split(piece) if rest]
    return out


def _singular(word: str) -> str:
    return word[:-1] if _PLURAL.fullmatch(word) else word
