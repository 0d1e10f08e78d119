"""The upkeep of a memory: forgetting, checking, mending, rights, closing."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from massgen_core.errors import StorageError
from massgen_core.memory import _access
from massgen_core.memory._embedding import Vectorizer
from massgen_core.memory._erasure import Receipt, erasure
from massgen_core.memory._feed import Feed
from massgen_core.memory._find import find
from massgen_core.memory._guard import guarded
from massgen_core.memory._ledger import Call
from massgen_core.memory._loaded import LoadedScopes
from massgen_core.memory._log import head
from massgen_core.memory._repair import Mended, repair
from massgen_core.memory._scope import scope_of
from massgen_core.memory._stores import Embedder, MemoryStore, QueryExpander, Reranker
from massgen_core.memory._usage import Usage
from massgen_core.memory._verify import MemoryReport, verify

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable

    from massgen_core.clock import Clock
    from massgen_core.memory._access import Grant, Right
    from massgen_core.memory._erasure import Journals
    from massgen_core.memory._scope import ScopeLike
    from massgen_core.storage import Database

_CLOSE_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Plugins:
    """What helps a memory to find things; all of it may fail without anything being lost.

    Attributes:
        embedder: Makes vectors.
        stores: Indexes by name.
        reranker: Judges the best candidates once more.
        expander: Words queries in other ways.
    """

    embedder: Embedder | None = None
    stores: Mapping[str, MemoryStore] = field(default_factory=dict)
    reranker: Reranker | None = None
    expander: QueryExpander | None = None


class Keeping:
    """What a `Memory` is made of, and what keeps it in order."""

    def __init__(
        self,
        database: Database,
        plugins: Plugins,
        clock: Clock,
        told: Callable[[str, str], None],
        journals: Journals | None = None,
    ) -> None:
        self._database = database
        self._journals = journals
        self._plugins = plugins
        self._clock = clock
        self._told = told
        identity = None if plugins.embedder is None else plugins.embedder.identity
        self._loaded = LoadedScopes(database, identity)
        self._usage = Usage(database)
        self._vectorizer = Vectorizer(database, plugins.embedder, self._loaded, told)
        self._feeds = [
            Feed(name, store, database, identity, told) for name, store in plugins.stores.items()
        ]

    async def forget(
        self,
        record_ids: str | Iterable[str],
        *,
        scope: ScopeLike | None = None,
        principal: str | None = None,
    ) -> Receipt:
        """Erases memories, and what was derived from them, from everything this memory writes to.

        Ledger, vectors and journals in this file, and the indexes: their bytes are overwritten, and
        no deleted text is left in the write-ahead log. A tombstone says that there was something.

        Args:
            record_ids: One id, or several.
            scope: Where they must be; anywhere if omitted.
            principal: Who asks.

        Returns:
            What was erased, and where it still is.

        Raises:
            RecordNotFound: One is not in the scope; nothing was erased.
        """
        wanted = [record_ids] if isinstance(record_ids, str) else list(dict.fromkeys(record_ids))
        call = self._call(principal)

        def write(conn: sqlite3.Connection) -> Receipt:
            records = [find(conn, one, scope, principal, right="write") for one in wanted]
            return erasure(conn, records, call, self._journals)

        receipt = await self._database.write(write)
        emptied = await self._database.checkpoint()
        for feed in self._feeds:
            await feed.catch_up()
        behind = tuple(feed.name for feed in self._feeds if feed.broken)
        return replace(receipt, behind=behind, log_emptied=emptied)

    async def verify(self) -> MemoryReport:
        """What is wrong on disk, and which index lags; damage is reported, never raised."""
        report = await self._database.read(verify)
        newest, _ = await self._database.read(head)
        problems = list(report.problems)
        for feed in self._feeds:
            problems += await feed.problems(newest)
        return replace(report, problems=tuple(problems))

    async def repair(self) -> Mended:
        """Mends what `verify` found, after the file was copied aside; rebuilds broken indexes.

        Raises:
            StorageError: The copy cannot be written.
        """
        if (await self._database.read(verify)).ok:
            mended = Mended()
        else:
            await self._database.copy_aside(self._clock)
            mended = await self._database.write(partial(repair, call=self._call(None)))
            self._loaded.clear()
        for feed in self._feeds:
            if not await feed.catch_up():
                await feed.rebuild()
        self._vectorizer.fill_later()
        return mended

    async def grant(
        self, principal: str, scope: ScopeLike, rights: Iterable[Right] = ("read",)
    ) -> Grant:
        """Gives a principal rights to a scope and all narrower ones, in the place of earlier ones.

        Raises:
            InvalidArgument: There is no such right.
        """
        give = partial(
            _access.grant, principal=principal, scope=scope_of(scope), rights=tuple(rights)
        )
        return await self._database.write(give)

    async def revoke(self, principal: str, scope: ScopeLike | None = None) -> int:
        """Takes a principal's rights to exactly this scope back, or all; how many it were."""
        whole = None if scope is None else scope_of(scope)
        take = partial(_access.revoke, principal=principal, scope=whole)
        return await self._database.write(take)

    async def grants(self, principal: str | None = None) -> list[Grant]:
        """The grants of one principal, or all of them."""
        return await self._database.read(partial(_access.grants, principal=principal))

    async def settle(self) -> None:
        """Returns when all vectors are made and all indexes have all that the log has."""
        await self._vectorizer.fill()
        for feed in self._feeds:
            await feed.catch_up()

    async def aclose(self) -> None:
        """Finishes what was asked for and closes everything; more calls do nothing."""
        await self._vectorizer.aclose()
        with contextlib.suppress(StorageError):  # uses are statistics; closing must not fail
            await self._usage.flush()
        plugins = self._plugins
        for feed in self._feeds:
            await feed.close()
        for plugin in (plugins.embedder, plugins.reranker, plugins.expander):
            if plugin is not None:
                await guarded(plugin.close, _CLOSE_SECONDS)
        await self._database.aclose()

    def _call(self, principal: str | None) -> Call:
        return Call(principal or "", self._clock.now())
