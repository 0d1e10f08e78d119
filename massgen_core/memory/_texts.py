"""The texts of one scope by slot: their words, their neighbours, and what else ranking looks at."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Final

from massgen_core.memory._dates import month_of, spelled
from massgen_core.memory._lexicon import terms_of
from massgen_core.memory._postings import Postings
from massgen_core.memory._speakers import Speakers
from massgen_core.memory._threads import Threads
from massgen_core.memory._weights import K1, B

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from collections.abc import Set as AbstractSet

_NEVER: Final = -1
_TAIL: Final = 200
"""Characters at the end of a text in which a question mark makes it one that asks."""
_ASKS: Final = ("?", "\uff1f", "\u061f")
_TELLING: Final = 0.1
"""Share of the rarest term's weight below which a term does not count for windows: it saves a fifth
of the time, and costs LoCoMo no more than 0.1 points of recall at 10."""
_COMMON: Final = 3
"""A term that more texts have than one in so many of those to score is only looked for near these;
for a rarer one it takes less time to look everywhere."""
_ENOUGH: Final = 4
"""Times the texts wanted; when so many have a rarer term, common terms find no further ones."""


@dataclass(frozen=True, slots=True)
class Doc:
    """What ranking knows of a record.

    Attributes:
        number: Unique; the order of creation, and of records with the same score.
        text: What it says.
        speaker: Who said it; empty for nobody.
        thread: The conversation it belongs to; a text without one stands alone.
        session_no: Number of the sitting inside the thread: neighbours are of one sitting.
        turn_no: Its place in the sitting; those without follow, by number.
        time: When it was said, in seconds since the epoch (UTC).
    """

    number: int
    text: str
    speaker: str = ""
    thread: str = ""
    session_no: int | None = None
    turn_no: int | None = None
    time: float | None = None

    @property
    def sitting(self) -> tuple[str, int | None] | None:
        """The thread and the sitting in it; None for a text that stands alone."""
        return (self.thread, self.session_no) if self.thread else None


class Texts:
    """Documents by slot. A slot is a small number from 1 that a removed document gives back."""

    def __init__(self) -> None:
        self.slots: dict[int, int] = {}
        self.numbers = array("q", (0,))
        self.threads = Threads()
        self.asks = bytearray(1)
        self.months = array("i", (_NEVER,))
        self.speakers: list[str] = [""]
        self.known_speakers = Speakers()
        self._postings = Postings()
        self._lengths = array("i", (0,))
        self._spans = array("i", (0,))
        self._length = self._span = 0
        self._free: list[int] = []

    def add(self, doc: Doc) -> int:
        """Adds a document whose number is new; returns its slot. O(terms)."""
        counts = terms_of(" ".join((spelled(doc.time), doc.speaker, doc.text)))
        slot = self._take()
        self.slots[doc.number] = slot
        self.numbers[slot] = doc.number
        self.asks[slot] = any(mark in doc.text[-_TAIL:] for mark in _ASKS)
        month = month_of(doc.time)
        self.months[slot] = _NEVER if month is None else month
        self.speakers[slot] = doc.speaker
        self.known_speakers.add(doc.speaker)
        self._postings.add(slot, counts)
        self._lengths[slot] = counts.total()
        self._length += self._lengths[slot]
        self.threads.link(slot, doc.sitting, turn=doc.turn_no, number=doc.number)
        self._measure(self.threads.window(slot))
        return slot

    def remove(self, slot: int) -> None:
        """Removes the document of a slot. O(terms)."""
        around = self.threads.window(slot)
        self.threads.unlink(slot)
        self._postings.remove(slot)
        self._length -= self._lengths[slot]
        self._lengths[slot] = 0
        self._measure(around)
        self.known_speakers.remove(self.speakers[slot])
        self.speakers[slot] = ""
        self.asks[slot] = 0
        self.months[slot] = _NEVER
        del self.slots[self.numbers[slot]]
        self._free.append(slot)

    def has(self, slot: int, terms: Collection[str]) -> bool:
        """Whether the text of a slot has one of some terms."""
        return any(True for term in terms for _ in self._postings.of(term, (slot,)))

    def matches(self, terms: Sequence[str], wanted: int) -> dict[int, float]:
        """BM25 of the texts that have a term, by slot.

        Once far more texts than wanted have one of the rarer terms, the common ones only add to
        their scores (the strategy *continue* of Moffat and Zobel: Self-Indexing Inverted Files,
        TOIS 1996).
        """
        scores: dict[int, float] = {}
        of, lengths = scores.get, self._lengths
        base, slope = K1 * (1 - B), self._slope(self._length)
        for term in sorted(terms, key=lambda term: (self._postings.frequency(term), term)):
            weight = self._rarity(self._postings.frequency(term))
            among = scores if len(scores) >= _ENOUGH * wanted else None
            for slot, times in self._postings.of(term, among):
                gain = weight * times / (times + base + slope * lengths[slot])
                scores[slot] = of(slot, 0.0) + gain
        return scores

    def windows(self, terms: Sequence[str], slots: Collection[int]) -> dict[int, float]:
        """BM25 of some slots' texts together with the two before and the two after, where above 0.

        In how many windows a term is, is estimated: as many texts as a window has, times the texts
        that have the term. A term that nearly all have tells them not apart, and is left out. What
        it says of other slots is of no use: it may not know all of their windows.
        """
        scores: dict[int, float] = {}
        spans, base, inside = self._spans, K1 * (1 - B), None
        slope, texts = self._slope(self._span), self._span / max(1, self._length)
        having = {term: self._postings.frequency(term) for term in sorted(terms)}
        rarity = {term: self._rarity(min(len(self.slots), texts * n)) for term, n in having.items()}
        least = max(rarity.values(), default=0.0) * _TELLING
        for term, weight in rarity.items():
            if weight < least:
                continue
            if inside is None and having[term] * _COMMON > len(slots):
                inside = self.threads.windows(slots)
            for slot, times in self._around(term, inside).items():
                gain = weight * times / (times + base + slope * spans[slot])
                scores[slot] = scores.get(slot, 0.0) + gain
        return scores

    def _around(self, term: str, inside: AbstractSet[int] | None) -> Counter[int]:
        """How often the windows have a term, by slot, if it is looked for inside some texts."""
        before, after = self.threads.before, self.threads.after
        at = [slot for slot, times in self._postings.of(term, inside) for _ in range(times)]
        back, on = list(map(before.__getitem__, at)), list(map(after.__getitem__, at))
        far = map(before.__getitem__, back), map(after.__getitem__, on)
        return Counter(chain(at, back, on, *far))

    def _take(self) -> int:
        if self._free:
            return self._free.pop()
        for column in (self.numbers, self.months, self._lengths, self._spans):
            column.append(0)
        self.asks.append(0)
        self.speakers.append("")
        return len(self.numbers) - 1

    def _measure(self, slots: Sequence[int]) -> None:
        for slot in slots:
            if slot:
                window = self.threads.window(slot)
                span = sum(self._lengths[near] for near in window)
                self._span += span - self._spans[slot]
                self._spans[slot] = span

    def _rarity(self, having: float) -> float:
        return math.log1p((len(self.slots) - having + 0.5) / (having + 0.5))

    def _slope(self, total: int) -> float:
        """What a word of a text's length adds to BM25's denominator."""
        return K1 * B * len(self.slots) / max(1, total)
