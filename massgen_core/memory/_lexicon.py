"""The terms of a text, as memory looks for them: stems, identifiers, pairs of characters."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import lru_cache
from typing import Final

_LONGEST: Final = 128
"""Characters of a word; what is longer is encoded data."""
_POINTS: Final = re.compile(r"[\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0670]")
"""Accents, and the vowel points that Hebrew and Arabic are mostly written without."""
_WORD: Final = re.compile(
    r"(?:[^\W_]|[\u0900-\u0963\u0966-\u0dff\u0e31-\u0e4e\u0eb1-\u0ece\u102b-\u103e\u17b4-\u17d3])+"
)
"""Letters and digits, and the vowel signs of India and Indochina that belong to their words."""
_CONTRACTED: Final = re.compile(r"(?<=\w)['\u2019](?:s|t|d|m|ll|re|ve)\b", re.IGNORECASE)
_HUMP: Final = re.compile(r"(?<=[a-z\d])(?=[A-Z])")
_UNSPACED: Final = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+"
)
"""Scripts written without blanks, or with endings: pairs of characters stand for words."""
_SAYS_NOTHING: Final = (
    "a an the and or but if so than that this these those there here of to in on at for with as by "
    "from into about is are was were am be been being it its do does did don didn doesn has have "
    "had having i me my mine we us our you your he him his she her they them their what when where "
    "who whom whose which how why will would could should can isn aren wasn weren hasn haven hadn "
    "couldn wouldn shouldn ll ve"
)
_COMMON: Final = frozenset(_SAYS_NOTHING.split())
"""English words that say nothing about the matter."""


def terms_of(text: str) -> Counter[str]:
    """How often each term is in the text; English words by their stem, accents left out.

    Examples:
        >>> sorted(terms_of("She's running the café's retryCount in Zürich"))
        ['cafe', 'count', 'retri', 'retrycount', 'run', 'zurich']
        >>> sorted(terms_of("東京タワー"))
        ['タワ', 'ワー', '京タ', '東京']
    """
    found: Counter[str] = Counter()
    for word, times in Counter(words_of(text)).items():
        for term in _terms(word):
            found[term] += times
    return found


def words_of(text: str) -> list[str]:
    """The words of a text in order, in their case, without accents and contracted endings."""
    if not text.isascii():
        plain = _POINTS.sub("", unicodedata.normalize("NFKD", text))
        text = unicodedata.normalize("NFKC", plain)
    return _WORD.findall(_CONTRACTED.sub("", text))


@lru_cache(maxsize=1 << 15)
def _terms(word: str) -> tuple[str, ...]:
    if len(word) > _LONGEST:
        return ()
    if word.isascii():
        return _ascii_terms(word)
    whole = word.casefold()
    if whole.isascii():
        return _ascii_terms(whole)
    out = []
    for run in _UNSPACED.findall(whole):
        out += [run[n : n + 2] for n in range(max(1, len(run) - 1))]
    return (*out, *(rest for rest in _UNSPACED.split(whole) if rest))


def _ascii_terms(word: str) -> tuple[str, ...]:
    pieces = [piece.lower() for piece in _HUMP.split(word)]
    if len(pieces) > 1:
        pieces.append(word.lower())
    return tuple([_stem(piece) for piece in pieces if piece not in _COMMON])


def _stem(word: str) -> str:
    """Its stem by Snowball's English algorithm (Porter 2)."""
    # loads 1 MB of tables; a stemmer holds the word it works on, so that threads must not share one
    from snowballstemmer.english_stemmer import EnglishStemmer  # noqa: PLC0415

    return str(EnglishStemmer().stemWord(word))
