"""Making vectors: after the text is on disk, again later where that failed, never in its way."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

from massgen_core.memory._guard import guarded
from massgen_core.memory._loaded import doc_of
from massgen_core.memory._ranking import passage_of
from massgen_core.memory._table import by_numbers
from massgen_core.memory._vectors import (
    count_missing,
    missing_vectors,
    packed,
    put_vectors,
    unpacked,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from massgen_core.memory._loaded import LoadedScopes
    from massgen_core.memory._record import MemoryRecord
    from massgen_core.memory._stores import Embedder
    from massgen_core.storage import Database

_BATCH: Final = 64
"""Texts that are embedded and stored at a time: what an interruption makes undone."""
_SECONDS: Final = 60.0
"""Seconds that a batch may take."""
_PAUSES: Final = (1.0, 5.0, 30.0, 120.0)
"""Seconds to wait after a failure before the embedder is asked again."""


class Vectorizer:
    """Keeps the vectors of one embedder complete.

    Args:
        database: Where the ledger is.
        embedder: Makes them; without one nothing is done.
        loaded: Is given what was made.
        told: Is told when the embedder fails.
    """

    def __init__(
        self,
        database: Database,
        embedder: Embedder | None,
        loaded: LoadedScopes,
        told: Callable[[str, str], None],
    ) -> None:
        self._database = database
        self._embedder = embedder
        self._loaded = loaded
        self._told = told
        self._filling: asyncio.Task[None] | None = None
        self._asked: tuple[str, Sequence[float]] | None = None
        self._lock = asyncio.Lock()  # what is missing is made once, not by two at a time

    async def embed(self, records: Sequence[MemoryRecord]) -> None:
        """Makes the vectors of records that were just written; what fails is made later."""
        if self._embedder is None or self._database.read_only:
            return
        active = [one for one in records if one.state == "active"]
        for start in range(0, len(active), _BATCH):
            if not await self._make(active[start : start + _BATCH]):
                self.fill_later()
                return

    def fill_later(self) -> None:
        """Starts to make what is missing, in the background; nothing if that is under way."""
        if self._embedder is None or self._database.read_only:
            return
        if self._filling is None or self._filling.done():
            self._filling = asyncio.create_task(self._keep_filling())

    async def fill(self, progress: Callable[[int], None] = lambda _: None) -> bool:
        """Makes all that is missing; whether that worked.

        Args:
            progress: Told how many were made so far.
        """
        if self._embedder is None or self._database.read_only:
            return True
        async with self._lock:
            return await self._fill(self._embedder, progress)

    async def _fill(self, embedder: Embedder, progress: Callable[[int], None]) -> bool:
        done = last = 0
        while True:
            find = partial(missing_vectors, embedder=embedder.identity, limit=_BATCH, after=last)
            numbers = await self._database.read(find)
            if not numbers:
                return True
            found = await self._database.read(partial(by_numbers, numbers=numbers))
            records = [one for one, _ in found if one is not None]  # what is damaged has no text
            if records and not await self._make(records):
                return False
            last = numbers[-1]
            done += len(records)
            progress(done)

    async def missing(self) -> int:
        """How many records have no vector yet."""
        if self._embedder is None:
            return 0
        return await self._database.read(partial(count_missing, embedder=self._embedder.identity))

    async def of_query(self, query: str) -> Sequence[float] | None:
        """The vector of a question; None if there is none."""
        if self._embedder is None or not query.strip():
            return None
        if self._asked is not None and self._asked[0] == query:
            return self._asked[1]
        vectors = await self._packed(self._embedder, [query], "query")
        if vectors is None:
            return None
        self._asked = query, unpacked(vectors[0])  # the indexes ask for it, then the ranking
        return self._asked[1]

    async def aclose(self) -> None:
        """Stops what runs in the background; what is missing is made when it is opened again."""
        if self._filling is not None:
            self._filling.cancel()
            await asyncio.gather(self._filling, return_exceptions=True)

    async def _keep_filling(self) -> None:
        for pause in (0.0, *_PAUSES):
            await asyncio.sleep(pause)
            if await self.fill():
                await self._loaded.drop_unembedded()  # another process may have made them
                return

    async def _make(self, records: Sequence[MemoryRecord]) -> bool:
        assert self._embedder is not None  # noqa: S101 - asked only with one
        embedder = self._embedder
        texts = [passage_of(doc_of(one)) for one in records]
        data = await self._packed(embedder, texts, "document")
        if data is None:
            return False
        pairs = list(zip(records, data, strict=True))
        store = partial(put_vectors, embedder=embedder.identity, pairs=pairs)
        stored = await self._database.write(store)
        await self._loaded.give_vectors(
            {one.seq: unpacked(raw) for one, raw in pairs if one.seq in stored}
        )
        return True

    async def _packed(
        self, embedder: Embedder, texts: Sequence[str], purpose: Literal["document", "query"]
    ) -> list[bytes] | None:
        """One checked vector per text; None, which is told, if the embedder does not give them."""

        async def ask() -> list[bytes]:
            vectors = await embedder.embed(texts, purpose=purpose)
            if len(vectors) != len(texts):
                raise ValueError(f"{len(vectors)} vectors for {len(texts)} texts")
            return [packed(vector, embedder.dimensions) for vector in vectors]

        outcome = await guarded(ask, _SECONDS)
        if outcome.value is None:
            self._told("embedder", outcome.error)
        return outcome.value
