"""Which memories of one scope answer a query best: by words, by neighbours, by meaning if given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from heapq import nlargest
from typing import TYPE_CHECKING, Final

from massgen_core.memory import _parts as parts
from massgen_core.memory._dense import Meaning, Vectors
from massgen_core.memory._lexicon import terms_of
from massgen_core.memory._texts import Doc, Texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from massgen_core.memory._dense import Floats

__all__ = ["Doc", "Ranked", "ScopeIndex", "passage_of"]

_CANDIDATES: Final = 1_000
"""Texts that are looked at closely, with their neighbours: those with the best words; a third of
them by meaning instead, where there are vectors. Scopes with fewer matches are ranked whole."""
_NOTHING: Final[Mapping[str, Mapping[int, float]]] = {}


@dataclass(frozen=True, slots=True)
class Ranked:
    """A record that was found.

    Attributes:
        number: Of its `Doc`.
        score: Higher is better; comparable within one search only.
        reasons: The parts of the score by name, without those that are 0; they sum to it.
    """

    number: int
    score: float
    reasons: Mapping[str, float]


def passage_of(doc: Doc) -> str:
    """What to embed for a record: its text with the speaker; a date only dilutes the meaning."""
    return f"{doc.speaker}: {doc.text}" if doc.speaker else doc.text


class ScopeIndex:
    """The records of one scope, ranked for a query; what is added or removed counts at once.

    A text is found by its words (BM25), more so if the texts around it match as well, if it follows
    a question that does, or if the query names its speaker or its month. Each part is scaled to at
    most 1 before it is weighed, as fusion by score beats fusion by rank (Bruch, Gai, Ingber: An
    Analysis of Fusion Functions, TOIS 2023).

    Args:
        candidates: How many are looked at closely; with vectors, a third of them by meaning.

    Examples:
        >>> index = ScopeIndex()
        >>> index.add(Doc(1, "Where do you keep the tea?", "Ada", "kitchen", 1, 1))
        >>> index.add(Doc(2, "In the blue tin.", "Grace", "kitchen", 1, 2))
        >>> index.add(Doc(3, "It rains.", "Ada", "kitchen", 1, 3))
        >>> [found.number for found in index.search("tea keep", k=2)]
        [1, 2]
    """

    def __init__(self, *, candidates: int = _CANDIDATES) -> None:
        self._candidates = candidates
        self._texts = Texts()
        self._vectors: Vectors | None = None

    def __len__(self) -> int:
        return len(self._texts.slots)

    def __contains__(self, number: int) -> bool:
        return number in self._texts.slots

    def add(self, doc: Doc, vector: Sequence[float] | None = None) -> None:
        """Adds a document, or puts it in the place of the one that has this number. O(terms).

        Raises:
            InvalidArgument: If the vector does not fit the others.
            PackageMissing: If there is a vector and numpy is not installed.
        """
        unit = None if vector is None else self._unit(vector)  # first, as it may raise
        self.remove(doc.number)
        slot = self._texts.add(doc)
        self._moved(self._texts.threads.window(slot))
        if unit is not None:
            self._put(slot, *unit)

    def remove(self, number: int) -> None:
        """Removes a document; nothing happens if there is none of this number. O(terms)."""
        slot = self._texts.slots.get(number)
        if slot is None:
            return
        around = self._texts.threads.window(slot)
        self._texts.remove(slot)
        if self._vectors is not None:
            self._vectors.drop(slot)
            self._vectors.moved(around)
            if not self._vectors:  # others may be of another embedder, and length
                self._vectors = None

    def set_vector(self, number: int, vector: Sequence[float]) -> None:
        """Gives a document its vector, or another one.

        Raises:
            KeyError: If there is no document of this number.
            InvalidArgument: If the vector is not as long as the first one, or not finite.
            PackageMissing: If numpy is not installed.
        """
        self._put(self._texts.slots[number], *self._unit(vector))

    def search(
        self,
        query: str,
        *,
        vector: Sequence[float] | None = None,
        extra: Mapping[str, Mapping[int, float]] = _NOTHING,
        k: int,
    ) -> list[Ranked]:
        """The best documents, best first; those of the same score by number.

        Args:
            query: A question, or any text.
            vector: Its embedding, if documents have theirs.
            extra: Scores of other indexes by their names, by number; higher is better. Numbers that
                are not here and scores that are not finite are ignored.
            k: How many at most.

        Raises:
            InvalidArgument: If the vector is not as long as those of the documents.
        """
        texts, terms = self._texts, list(terms_of(query))
        wanted = max(self._candidates, 2 * k)
        meaning = self._meaning(vector)
        by_meaning = max(k, wanted // 3) if meaning else 0
        words = texts.matches(terms, wanted - by_meaning)
        stores = {f"store:{name}": parts.foreign(texts, scores) for name, scores in extra.items()}
        centres = set(parts.best(words, texts.numbers, wanted - by_meaning)).union(*stores.values())
        if meaning:
            centres.update(meaning.best(texts.numbers, by_meaning))
        slots = self._with_neighbours(centres)
        found: dict[str, Sequence[float]] = {
            **parts.by_words(texts, terms, words, slots),
            **(meaning.parts(slots) if meaning else {}),
            **{name: parts.scores_of(scores, slots) for name, scores in stores.items()},
        }
        totals = list(map(sum, zip(*found.values(), strict=True)))
        more = {
            "sitting": parts.sittings(texts, slots, totals),
            "speaker": parts.speakers(texts, terms, slots),
            "date": parts.dates(texts, query, slots),
        }
        more = {name: part for name, part in more.items() if part}
        totals = list(map(sum, zip(totals, *more.values(), strict=True)))
        return self._ranked(found | more, slots, totals, k)

    def _unit(self, vector: Sequence[float]) -> tuple[Vectors, Floats]:
        vectors = self._vectors or Vectors(len(vector))
        return vectors, vectors.unit(vector)

    def _put(self, slot: int, vectors: Vectors, unit: Floats) -> None:
        vectors.put(slot, unit)
        vectors.moved(self._texts.threads.window(slot))
        self._vectors = vectors or None

    def _meaning(self, vector: Sequence[float] | None) -> Meaning | None:
        if vector is None or self._vectors is None:
            return None
        return self._vectors.meaning(vector, self._texts.threads, bytes(self._texts.asks))

    def _with_neighbours(self, centres: set[int]) -> list[int]:
        before, after = self._texts.threads.before, self._texts.threads.after
        near = centres.union([before[slot] for slot in centres], [after[slot] for slot in centres])
        return list(near - {0})

    def _ranked(
        self,
        found: Mapping[str, Sequence[float]],
        slots: Sequence[int],
        totals: Sequence[float],
        k: int,
    ) -> list[Ranked]:
        numbers = self._texts.numbers
        limit = min(nlargest(k, totals), default=0.0)
        winners = [place for place, total in enumerate(totals) if total >= limit]
        winners.sort(key=lambda place: (-totals[place], numbers[slots[place]]))
        return [
            Ranked(
                numbers[slots[place]],
                totals[place],
                {name: part[place] for name, part in found.items() if part[place]},
            )
            for place in winners[:k]
        ]

    def _moved(self, slots: Sequence[int]) -> None:
        if self._vectors is not None:
            self._vectors.moved(slots)
