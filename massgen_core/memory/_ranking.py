"""Which memories of one scope answer a query best: by words, by neighbours, by meaning if given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from heapq import nsmallest
from typing import TYPE_CHECKING, Final

from massgen_core.memory import _parts as parts
from massgen_core.memory._dense import Meaning, Vectors
from massgen_core.memory._lexicon import terms_of
from massgen_core.memory._texts import Doc, Texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from massgen_core.memory._dense import Floats

__all__ = ["Doc", "Ranked", "ScopeIndex", "passage_of"]

_CANDIDATES: Final = 1_000
"""Texts with the best words that are looked at closely, with their neighbours; and half as many of
the best by meaning. Scopes with fewer matches are ranked whole."""
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
        candidates: How many of the best by words are looked at closely; by meaning, half of it.

    Example:
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
        words = texts.matches(terms, wanted)
        meaning = self._meaning(vector)
        stores = {f"store:{name}": parts.foreign(texts, scores) for name, scores in extra.items()}
        centres = set(parts.best(words, texts.numbers, wanted)).union(*stores.values())
        if meaning:
            centres.update(meaning.best(texts.numbers, wanted // 2))
        slots = self._with_neighbours(centres)
        found: dict[str, Mapping[int, float]] = {
            **parts.by_words(texts, terms, words, slots),
            **(meaning.parts(slots) if meaning else {}),
            **stores,
        }
        totals = parts.totals(found.values(), slots)
        found["sitting"] = parts.sittings(texts, totals)
        found["speaker"] = parts.speakers(texts, terms, slots)
        found["date"] = parts.dates(texts, query, slots)
        for name in ("sitting", "speaker", "date"):
            for slot, score in found[name].items():
                totals[slot] += score
        return self._ranked(found, totals, k)

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

    def _with_neighbours(self, centres: Iterable[int]) -> list[int]:
        before, after = self._texts.threads.before, self._texts.threads.after
        near = {side for slot in centres for side in (before[slot], slot, after[slot])}
        return sorted(near - {0}, key=self._texts.numbers.__getitem__)

    def _ranked(
        self, found: Mapping[str, Mapping[int, float]], totals: Mapping[int, float], k: int
    ) -> list[Ranked]:
        numbers = self._texts.numbers
        winners = nsmallest(k, totals, key=lambda slot: (-totals[slot], numbers[slot]))
        return [
            Ranked(
                numbers[slot],
                totals[slot],
                {name: part[slot] for name, part in found.items() if part.get(slot)},
            )
            for slot in winners
        ]

    def _moved(self, slots: Sequence[int]) -> None:
        if self._vectors is not None:
            self._vectors.moved(slots)
