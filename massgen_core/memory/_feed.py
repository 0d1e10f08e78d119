"""Feeding the log to an index, and asking it; an index that fails is noticed, left out, rebuilt."""

from __future__ import annotations

import asyncio
from functools import partial
from operator import index
from typing import TYPE_CHECKING, Final

from massgen_core.memory._guard import close, guarded
from massgen_core.memory._log import head
from massgen_core.memory._meta import drop_meta, get_meta, put_meta
from massgen_core.memory._scope import Scope
from massgen_core.memory._stores import Change, Health
from massgen_core.memory._table import by_numbers
from massgen_core.memory._vectors import count_missing, get_vectors
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
_CATCH_UP_SECONDS: Final = 30.0
"""Seconds that a search waits for changes to be applied."""


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
        busy: Whether that is only because somebody else has it open.
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
        self.busy = False
        self._store = store
        self._database = database
        self._embedder = embedder
        self._told = told
        self._lock = asyncio.Lock()
        self._ready = False
        self._catching: asyncio.Task[bool] | None = None
        self._behind = False
        self._late: int | None = None
        """The place in the log after which changes were applied whose vectors come later."""

    async def search(
        self, query: str, vector: Sequence[float] | None, scopes: Sequence[Scope], k: int
    ) -> dict[str, float]:
        """Scores by record id, best of the scopes; nothing if the index cannot answer."""
        if not await self._soon_caught_up():
            return {}
        best: dict[str, float] = {}
        for scope in scopes:
            outcome = await guarded(partial(self._found, query, vector, scope, k), _ASK_SECONDS)
            if outcome.value is None:
                self._fail(f"search failed: {outcome.error}")
                return {}
            for record_id, score in outcome.value:
                best[record_id] = max(score, best.get(record_id, score))
        return best

    async def _found(
        self, query: str, vector: Sequence[float] | None, scope: Scope, k: int
    ) -> list[tuple[str, float]]:
        found = await self._store.search(query, vector, scope, k)
        return [(str(one.record_id), float(one.score)) for one in found]

    async def catch_up(self) -> bool:
        """Whether the index has all that the log has; applies what is missing."""
        async with self._lock:
            if not self._ready and not await self._open():
                return False
            return await self._apply_missing() and await self._apply_late()

    async def _soon_caught_up(self) -> bool:
        """As `catch_up`, but what takes long, e.g. a model that reads each text, goes on meanwhile.

        Later searches do not wait until it is done.
        """
        if self._catching is None or self._catching.done():
            self._catching = asyncio.create_task(self.catch_up())
            self._behind = False
        patience = 0 if self._behind else _CATCH_UP_SECONDS
        done, _ = await asyncio.wait([self._catching], timeout=patience)
        self._behind = not done
        if self._behind:
            self._say("it is still catching up with the log")
            return False
        return not self._catching.cancelled() and self._catching.result()  # closed meanwhile

    async def rebuild(self) -> bool:
        """Empties the index and applies the whole log; whether that worked."""
        async with self._lock:
            return await self._rebuilt("asked for") and await self._apply_missing()

    def mistrust(self) -> None:
        """Lets the index be checked again before it is asked: the ledger is another one."""
        self._ready = False

    async def watermark(self) -> int | None:
        """The place in the log it has reached; None if it does not answer."""

        async def ask() -> int:
            return index(await self._store.watermark())

        return (await guarded(ask, _ASK_SECONDS)).value

    async def _health(self) -> Health:
        found = await self._store.health()
        return Health(bool(found.ok), str(found.detail), bool(found.busy))

    async def problems(self, newest: int) -> list[Problem]:
        """What is wrong with the index after catching up with the log, which ends at `newest`.

        Nothing if somebody else has it open.
        """
        place = f"index {self.name}"
        if not await self.catch_up():
            return [] if self.busy else [Problem(place, self.broken)]
        health = await guarded(self._health, _APPLY_SECONDS)
        if health.value is None or not health.value.ok:
            return [Problem(place, health.error or (health.value.detail if health.value else ""))]
        mark = await self.watermark()
        if mark is None or mark < newest:
            return [Problem(place, f"stands at {mark}, the log at {newest}")]
        return []

    async def close(self) -> None:
        """Closes the index; what it has not caught up with yet waits in the log."""
        if self._catching is not None:
            self._catching.cancel()
            await asyncio.gather(self._catching, return_exceptions=True)
        await close(self.name, self._store, self._told, _APPLY_SECONDS)

    async def _open(self) -> bool:
        """Checks the index once: that it works, and is the one that was fed."""
        health = await guarded(self._health, _APPLY_SECONDS)
        self.busy = health.value is not None and health.value.busy
        if health.value is None or not health.value.ok:
            reason = health.error or (health.value.detail if health.value else "")
            if self.busy:
                self._fail(reason)
                return False
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
        late = await self._database.read(partial(get_meta, key=self._late_key))
        self._late = None if late is None else int(late)
        self._ready = True
        return True

    async def _rebuilt(self, why: str) -> bool:
        outcome = await guarded(partial(_done, self._store.rebuild), _APPLY_SECONDS)
        if outcome.value is None:
            self._fail(f"{why}; rebuilding failed: {outcome.error}")
            return False
        await self._remember_identity()
        await self._set_late(None)
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
            if self._late is None and any(map(self._lacks_vector, batch)):
                await self._set_late(mark)
            failure = await self._applied(batch)
            before, mark = mark, await self.watermark()
            if mark is not None and mark <= before:  # else there was progress at least
                self._fail(failure or f"its watermark stays at {mark}")
                return False
        self._fail("it does not say where it stands")
        return False

    async def _apply_late(self) -> bool:
        """Applies once more what had no vector, as soon as all vectors are made."""
        if self._late is None or self._embedder is None:
            return True
        if await self._database.read(partial(count_missing, embedder=self._embedder)):
            return True
        after = self._late
        while batch := await self._database.read(partial(self._read, after=after)):
            if failure := await self._applied(batch):
                self._fail(failure)
                return False
            after = batch[-1].seq
        await self._set_late(None)
        return True

    async def _applied(self, batch: Sequence[Change]) -> str:
        """Why the batch could not be applied as a whole; nothing if it was."""
        work = partial(_done, partial(self._store.apply, batch))
        outcome = await guarded(work, _APPLY_SECONDS)
        return "" if outcome.value else f"applying changes failed: {outcome.error}"

    def _lacks_vector(self, change: Change) -> bool:
        return self._embedder is not None and change.op == "put" and change.vector is None

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

    async def _set_late(self, after: int | None) -> None:
        """Kept in the ledger, so that the end of the process does not lose it."""
        if after is None:
            await self._database.write(partial(drop_meta, key=self._late_key))
        else:
            await self._database.write(partial(put_meta, key=self._late_key, value=str(after)))
        self._late = after

    def _fail(self, why: str) -> None:
        self._say(why)
        self._ready = False

    def _say(self, why: str) -> None:
        if not self.broken:
            self._told(self.name, why)
        self.broken = why

    @property
    def _key(self) -> str:
        return f"{_KEY}{self.name}"

    @property
    def _late_key(self) -> str:
        return f"late:{self.name}"


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
