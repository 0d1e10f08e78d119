"""A memory store over a library whose calls block."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ParamSpec, Protocol, TypeVar

from massgen_core.errors import StorageBusy, StorageError
from massgen_core.memory._stores import Candidate, Health

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from massgen_core.memory._scope import Scope
    from massgen_core.memory._stores import Change

_In = ParamSpec("_In")
_Out = TypeVar("_Out")


class BlockingIndex(Protocol):
    """What `ThreadedStore` makes a `MemoryStore` of: the same methods, but they block.

    They are called one after the other, from one thread, and never before `open`.
    """

    @property
    def identity(self) -> str:
        """As in `MemoryStore`."""
        ...

    def open(self) -> None:
        """Makes it ready; tried again at the next call if it fails."""
        ...

    def apply(self, batch: Sequence[Change], /) -> None:
        """As in `MemoryStore`."""
        ...

    def search(
        self, query: str, vector: Sequence[float] | None, scope: Scope, k: int, /
    ) -> Sequence[Candidate]:
        """As in `MemoryStore`."""
        ...

    def watermark(self) -> int:
        """As in `MemoryStore`."""
        ...

    def health(self) -> Health:
        """As in `MemoryStore`."""
        ...

    def rebuild(self) -> None:
        """As in `MemoryStore`."""
        ...

    def close(self) -> None:
        """Called once, and only if `open` succeeded."""
        ...


class ThreadedStore:
    """A `MemoryStore` that runs a blocking index in one thread of its own, opened at first use."""

    def __init__(self, index: BlockingIndex) -> None:
        self._index = index
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="massgen-memory-store")
        self._is_open = False
        self._closed = False

    @property
    def identity(self) -> str:
        """What the index is built with."""
        return self._index.identity

    async def apply(self, batch: Sequence[Change], /) -> None:
        """Indexes the changes; on return they are as durable as the library makes them."""
        if batch:
            await self._run(self._index.apply, batch)

    async def search(
        self, query: str, vector: Sequence[float] | None, scope: Scope, k: int
    ) -> Sequence[Candidate]:
        """At most `k` candidates of the scope, best first."""
        return await self._run(self._index.search, query, vector, scope, k) if k > 0 else ()

    async def watermark(self) -> int:
        """The highest ``seq`` up to which every change is applied."""
        return await self._run(self._index.watermark)

    async def health(self) -> Health:
        """Whether the index can be used now; why not, if it cannot even be opened."""
        try:
            return await self._run(self._index.health)
        except StorageError as exc:
            return Health(ok=False, detail=exc.message, busy=isinstance(exc, StorageBusy))

    async def rebuild(self) -> None:
        """Empties the index."""
        await self._run(self._index.rebuild)

    async def close(self) -> None:
        """Closes the index, after the calls that still run; may be called twice."""
        if not self._closed:
            self._closed = True
            await asyncio.shield(
                asyncio.get_running_loop().run_in_executor(self._thread, self._close)
            )
            self._thread.shutdown(wait=False)

    async def _run(
        self, call: Callable[_In, _Out], /, *args: _In.args, **kwargs: _In.kwargs
    ) -> _Out:
        if self._closed:
            raise StorageError("the memory store is closed")

        def opened() -> _Out:
            if not self._is_open:
                self._index.open()
                self._is_open = True
            return call(*args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._thread, opened)

    def _close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._index.close()
