"""Feeding the log to an index, and asking it; an index that fails is noticed, left out, rebuilt."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

from massgen_core.memory._guard import guarded
from massgen_core.memory._log import head
from massgen_core.memory._meta import get_meta, put_meta
from massgen_core.memory._scope import Scope
from massgen_core.memory._stores import Change
from massgen_core.memory._table import by_numbers
from massgen_core.memory._vectors import get_vectors
from massgen_core.memory._verify import Problem

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Awaitable, Callable, Sequence

    from massgen_core.memory._record import MemoryRecord
    from massgen_core.memory._stores import MemoryStore
    from massgen_core.storage import Database

_BATCH: Final = 500
"""Log entries that an index is given at once."""
_KEY: Final = "index:"
"""Where it is noted which index was fed."""
_APPLY_SECONDS: Final = 300.0
_ASK_SECONDS: Final = 10.0


class Feed:
    """One index over the ledger: kept up with the log, asked for candidates.

    Args:
        name: Its registered name.
        store: The index.
        database: Where the ledger is.
        embedder: Whose vectors it is given; None for none.
        told: Is told why it could not help, and that it was rebuilt.

    Attributes:
        broken: Why it is left out for now; empty while it works.
    """

    def __init__(
        self,
        name: str,
        store: MemoryStore,
        database: Database,
        embedder: str | None,
        told: Callable[[str, str], None],
    ) -> None:
        self.name = name
        self.broken = ""
        self._store = store
        self._database = database
        self._embedder = embedder
        self._told = told
        self._lock = asyncio.Lock()
        self._ready = False

    async def search(
        self, query: str, vector: Sequence[float] | None, scopes: Sequence[Scope], k: int
    ) -> dict[str, float]:
        """Scores by record id, best of the scopes; nothing if the index cannot answer."""
        if not await self.catch_up():
            return {}
        best: dict[str, float] = {}
        for scope in scopes:
            work = partial(self._store.search, query, vector, scope, k)
            outcome = await guarded(work, _ASK_SECONDS)
            if outcome.value is None:
                self._fail(f"search failed: {outcome.error}")
                return {}
            for found in outcome.value:
                best[found.record_id] = max(found.score, best.get(found.record_id, found.score))
        return best

    async def catch_up(self) -> bool:
        """Whether the index has all that the log has; applies what is missing."""
        async with self._lock:
            if not self._ready and not await self._open():
                return False
            return await self._apply_missing()

    async def rebuild(self) -> bool:
        """Empties the index and applies the whole log; whether that worked."""
        async with self._lock:
            return await self._rebuilt("asked for") and await self._apply_missing()

    def mistrust(self) -> None:
        """Lets the index be checked again before it is asked: the ledger is another one."""
        self._ready = False

    async def watermark(self) -> int | None:
        """The place in the log it has reached; None if it does not answer."""
        return (await guarded(self._store.watermark, _ASK_SECONDS)).value

    async def problems(self, newest: int) -> list[Problem]:
        """What is wrong with the index, where the log ends with entry `newest`."""
        place = f"index {self.name}"
        health = await guarded(self._store.health, _APPLY_SECONDS)
        if health.value is None or not health.value.ok:
            return [Problem(place, health.error or (health.value.detail if health.value else ""))]
        mark = await self.watermark()
        return [] if mark == newest else [Problem(place, f"stands at {mark}, the log at {newest}")]

    async def close(self) -> None:
        """Closes the index."""
        await guarded(partial(_done, self._store.close), _APPLY_SECONDS)

    async def _open(self) -> bool:
        """Checks the index once: that it works, and is the one that was fed."""
        health = await guarded(self._store.health, _APPLY_SECONDS)
        if health.value is None or not health.value.ok:
            reason = health.error or (health.value.detail if health.value else "")
            return await self._rebuilt(f"it is not well: {reason}")
        known = await self._database.read(partial(get_meta, key=self._key))
        mark = await self.watermark()
        newest = (await self._database.read(head))[0]
        if known is not None and known != self._store.identity:
            return await self._rebuilt(f"it was built as {known}, is now {self._store.identity}")
        if mark is None or mark > newest or (known is None and mark):
            return await self._rebuilt("it was built from another ledger")
        if known is None:
            await self._remember_identity()
        self._ready = True
        return True

    async def _rebuilt(self, why: str) -> bool:
        outcome = await guarded(partial(_done, self._store.rebuild), _APPLY_SECONDS)
        if outcome.value is None:
            self._fail(f"{why}; rebuilding failed: {outcome.error}")
            return False
        await self._remember_identity()
        self._told(self.name, f"rebuilt: {why}")
        self._ready = True
        return True

    async def _apply_missing(self) -> bool:
        mark = await self.watermark()
        while mark is not None:
            batch = await self._database.read(partial(self._read, after=mark))
            if not batch:
                self.broken = ""
                return True
            work = partial(_done, partial(self._store.apply, batch))
            outcome = await guarded(work, _APPLY_SECONDS)
            if outcome.value is None:
                self._fail(f"applying changes failed: {outcome.error}")
                return False
            before, mark = mark, await self.watermark()
            if mark is not None and mark <= before:
                self._fail(f"its watermark stays at {mark}")
                return False
        self._fail("it does not say where it stands")
        return False

    def _read(self, conn: sqlite3.Connection, after: int) -> list[Change]:
        """The next changes of the log, each record as it is now."""
        query = "SELECT seq, record FROM memory_log WHERE seq > ? ORDER BY seq LIMIT ?"
        rows = conn.execute(query, (after, _BATCH)).fetchall()
        last = {record: seq for seq, record in rows}
        vectors = {} if self._embedder is None else get_vectors(conn, self._embedder, last)
        found = {one.seq: one for one, _ in by_numbers(conn, last) if one is not None}
        return [
            _change(seq, number, found.get(number), vectors.get(number))
            for number, seq in sorted(last.items(), key=lambda item: item[1])
        ]

    async def _remember_identity(self) -> None:
        identity = self._store.identity
        await self._database.write(partial(put_meta, key=self._key, value=identity))

    def _fail(self, why: str) -> None:
        if not self.broken:
            self._told(self.name, why)
        self.broken = why
        self._ready = False

    @property
    def _key(self) -> str:
        return f"{_KEY}{self.name}"


def forget_indexes(conn: sqlite3.Connection) -> None:
    """Let every index be rebuilt: none of them was fed by this ledger."""
    conn.execute("DELETE FROM memory_meta WHERE substr(key, 1, ?) = ?", (len(_KEY), _KEY))


def _change(
    seq: int, number: int, record: MemoryRecord | None, vector: Sequence[float] | None
) -> Change:
    """What an index is told of a record; one that is damaged is not to be found."""
    if record is None:
        return Change(seq, "remove", f"#{number}", Scope())
    if record.state != "active":
        return Change(seq, "remove", record.id, record.scope)
    return Change(seq, "put", record.id, record.scope, record.text, vector)


async def _done(work: Callable[[], Awaitable[None]]) -> bool:
    await work()
    return True
