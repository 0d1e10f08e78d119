"""How well groups match the current need, told by the vectors of an embedder."""

from __future__ import annotations

import hashlib
import math
from array import array
from itertools import islice
from operator import mul
from statistics import median
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from massgen_relevance.lexical import asked

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from massgen_core.context import FitContext, Group, View
    from massgen_core.memory import Embedder

    Purpose: TypeAlias = Literal["document", "query"]

_HEAD: Final = 2000
"""Characters of a group that are embedded: most embedders read about 512 tokens."""
_BATCH: Final = 64
"""Texts in one request to the embedder."""
_NEW: Final = 512
"""Texts that are embedded for one fit, the newest first; a long session catches up in the next."""
_KEPT: Final = 8192
"""Vectors that are kept: 12 MB with 384 dimensions. One conversation has half of them at most."""
_ENOUGH: Final = 4
"""Groups it takes to say what is usual."""


class MeaningScorer:
    """Cosine of the newest user message with each group, above what is usual in the conversation.

    Embedders differ in how alike they find any two texts, so a cosine alone says little: here the
    median of all groups counts as 0, the same text as 1. A vector depends on its text only; what
    has none yet has no score.

    Args:
        embedder: Makes the vectors.
    """

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._vectors: dict[bytes, Sequence[float]] = {}

    async def prepare(self, view: View, ctx: FitContext) -> None:
        """Makes the vectors that are missing, of `_NEW` groups at most.

        Raises:
            ValueError: The embedder gives another number of vectors than asked for.
        """
        await self._learn(asked(view), "query")
        newest = islice(reversed(ctx.history), _KEPT // 2)
        await self._learn((group.text for group in newest), "document")

    def scores(self, view: View, ctx: FitContext) -> Mapping[int, float]:
        """See `Scorer`; O(groups), nothing is waited for."""
        need = [self._vectors[key] for text in asked(view) if (key := _key(text, "query")) in self]
        if not need:
            return {}
        alike = dict(self._alike(need[0], ctx.history))
        if len(alike) < _ENOUGH:
            return {}
        usual = median(alike.values())
        room = max(1.0 - usual, 1e-6)
        return {number: (cos - usual) / room for number, cos in alike.items() if cos > usual}

    def __contains__(self, key: bytes) -> bool:
        return key in self._vectors

    def _alike(
        self, need: Sequence[float], history: Iterable[Group]
    ) -> Iterable[tuple[int, float]]:
        for group in history:
            vector = self._vectors.get(_key(group.text, "document"))
            if vector is not None:
                yield group.number, sum(map(mul, need, vector))

    async def _learn(self, texts: Iterable[str], purpose: Purpose) -> None:
        new: dict[bytes, str] = {}
        for text in texts:
            key = _key(text, purpose)
            if key not in self and text.strip():
                new[key] = text[:_HEAD]
            if len(new) == _NEW:
                break
        keys = list(new)
        for start in range(0, len(keys), _BATCH):
            batch = keys[start : start + _BATCH]
            vectors = await self._embedder.embed([new[key] for key in batch], purpose=purpose)
            for key, vector in zip(batch, vectors, strict=True):
                self._vectors[key] = _unit(vector)
        while len(self._vectors) > _KEPT:
            del self._vectors[next(iter(self._vectors))]


def _key(text: str, purpose: Purpose) -> bytes:
    head = text[:_HEAD].encode(errors="surrogatepass")
    return hashlib.blake2b(head, digest_size=16, person=purpose.encode()).digest()


def _unit(vector: Sequence[float]) -> Sequence[float]:
    length = math.sqrt(sum(value * value for value in vector))
    return array("f", [value / length if length else 0.0 for value in vector])
