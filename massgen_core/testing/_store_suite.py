"""What the suites of memory stores have in common."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, ClassVar

from massgen_core.testing._memory_model import Model, toy_vector
from massgen_core.testing._suite import Suite

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from massgen_core.memory import MemoryStore


class StoreSuite(Suite):
    """What the suites of memory stores have in common.

    Attributes:
        dimensions: Of the vectors that changes and searches come with.
    """

    vocabulary: ClassVar[frozenset[str]] = frozenset(
        {"durable", "files", "threads", "vectors", "words"}
    )
    dimensions: ClassVar[int] = 16

    @abstractmethod
    def store(self, folder: Path) -> MemoryStore:
        """A store as a user would get it, with its index in `folder`.

        The same folder gives the same index, each new folder an empty one. It is called in other
        processes too, so it must not need fixtures.
        """

    @asynccontextmanager
    async def opened(self, folder: Path) -> AsyncIterator[MemoryStore]:
        """A store that is closed at the end."""
        store = self.store(folder)
        try:
            yield store
        finally:
            await store.close()

    def model(self) -> Model:
        """What the store is compared with."""
        return Model(self.dimensions)

    def vector(self, text: str) -> list[float]:
        """A vector that only this text has."""
        return toy_vector(text, self.dimensions)
