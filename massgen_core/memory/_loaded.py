"""The records of the scopes that are asked for, held in memory and kept up with the log."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, NamedTuple

from massgen_core.memory._access import sees
from massgen_core.memory._log import head
from massgen_core.memory._ranking import Doc, ScopeIndex
from massgen_core.memory._record import STANDING
from massgen_core.memory._table import Damaged, by_numbers, in_scopes
from massgen_core.memory._vectors import get_vectors

if TYPE_CHECKING:
    import sqlite3
    from array import array
    from collections.abc import Iterable, Sequence

    from massgen_core.memory._record import MemoryRecord
    from massgen_core.memory._scope import Scope
    from massgen_core.memory._table import Found
    from massgen_core.storage import Database

_KEPT: Final = 64
"""Sets of scopes whose records are held at the same time; the least lately asked leaves."""


_AT_ONCE: Final = 64
"""Records that are taken in before other work of the event loop has its turn: 3 to 10 ms."""


class _Read(NamedTuple):
    """What the ledger said: the log's head, records, and their vectors."""

    head: int
    found: list[Found]
    vectors: dict[int, array[float]]


class Loaded:
    """An index over what some scopes cover, as of a place in the log.

    Attributes:
        index: Ranks the records by number.
        standing: Numbers of pinned records that hold whatever is asked.
        ids: Number by id.
        damaged: Records that could not be read.

    Args:
        scopes: Whose records.
        embedder: Whose vectors.
        principal: Who may see all that is in it; None for the program itself. A text lends its
            words to its neighbours' scores, so that what is private to others must not be there.
    """

    def __init__(
        self, scopes: Sequence[Scope], embedder: str | None, principal: str | None
    ) -> None:
        self.index = ScopeIndex()
        self.standing: set[int] = set()
        self.ids: dict[str, int] = {}
        self.damaged: list[Damaged] = []
        self._scopes = tuple(scopes)
        self._embedder = embedder
        self._principal = principal
        self._owners: dict[int, str] = {}
        self._vectors: set[int] = set()
        self._seq = 0
        self._lock = asyncio.Lock()

    @property
    def embedded(self) -> float:
        """Share of the records that have a vector, from 0 to 1."""
        return len(self._vectors) / max(1, len(self.index))

    def is_open_to(self, principal: str) -> bool:
        """Whether nothing in it is private to somebody else."""
        return all(owner == principal for owner in self._owners.values())

    async def catch_up(self, database: Database) -> None:
        """Takes in what the log says since the last time."""
        async with self._lock:
            read = await database.read(self._read)
            if read is None:
                return
            for place, (record, damage) in enumerate(read.found):
                if record is not None:
                    self._take(record, read.vectors.get(record.seq))
                elif damage is not None:
                    self.damaged.append(damage)
                if place % _AT_ONCE == _AT_ONCE - 1:
                    await asyncio.sleep(0)
            self._seq = read.head

    async def lacks_vectors(self) -> bool:
        """Whether records have none, once what is being read is there."""
        async with self._lock:
            return self.embedded < 1

    async def give_vectors(self, vectors: dict[int, array[float]]) -> None:
        """Takes in vectors that were made later, after the records that are just being read."""
        async with self._lock:
            for number, vector in vectors.items():
                if number in self.index:
                    self.index.set_vector(number, vector)
                    self._vectors.add(number)

    def _read(self, conn: sqlite3.Connection) -> _Read | None:
        newest, _ = head(conn)
        if newest == self._seq:
            return None
        if self._seq == 0:
            found = list(in_scopes(conn, self._scopes, "r.state = 'active'"))
            return _Read(newest, found, self._vectors_of(conn, None))
        rows = conn.execute("SELECT DISTINCT record FROM memory_log WHERE seq > ?", (self._seq,))
        numbers = [number for (number,) in rows]
        found = by_numbers(conn, numbers)
        return _Read(newest, found, self._vectors_of(conn, numbers))

    def _vectors_of(
        self, conn: sqlite3.Connection, numbers: Iterable[int] | None
    ) -> dict[int, array[float]]:
        return {} if self._embedder is None else get_vectors(conn, self._embedder, numbers)

    def _take(self, record: MemoryRecord, vector: array[float] | None) -> None:
        number = record.seq
        if self.ids.get(record.id) is not None:
            self._drop(record)
        if record.state != "active" or not any(one.covers(record.scope) for one in self._scopes):
            return
        if not sees(self._principal, record):
            return
        if record.visibility == "private":
            self._owners[number] = record.owner
        self.ids[record.id] = number
        self.index.add(doc_of(record), vector)
        if vector is not None:
            self._vectors.add(number)
        if record.pinned and record.kind in STANDING:
            self.standing.add(number)

    def _drop(self, record: MemoryRecord) -> None:
        number = self.ids.pop(record.id)
        self.index.remove(number)
        self.standing.discard(number)
        self._vectors.discard(number)
        self._owners.pop(number, None)


class LoadedScopes:
    """The indexes of the sets of scopes that were asked for lately."""

    def __init__(self, database: Database, embedder: str | None) -> None:
        self._database = database
        self._embedder = embedder
        self._kept: OrderedDict[tuple[tuple[Scope, ...], str | None], Loaded] = OrderedDict()

    async def get(self, scopes: tuple[Scope, ...], principal: str | None) -> Loaded:
        """The index over these scopes, up to date with the log.

        Who may see all of it shares it; others have one of their own.
        """
        loaded = await self._get(scopes, None)
        if principal is None or loaded.is_open_to(principal):
            return loaded
        return await self._get(scopes, principal)

    async def _get(self, scopes: tuple[Scope, ...], principal: str | None) -> Loaded:
        key = scopes, principal
        loaded = self._kept.get(key)
        if loaded is None:
            loaded = self._kept[key] = Loaded(scopes, self._embedder, principal)
        self._kept.move_to_end(key)
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        await loaded.catch_up(self._database)
        return loaded

    async def give_vectors(self, vectors: dict[int, array[float]]) -> None:
        """Takes in vectors that were made later."""
        for loaded in list(self._kept.values()):
            await loaded.give_vectors(vectors)

    async def drop_unembedded(self) -> None:
        """Forgets the indexes that lack vectors: they are made again with what is on disk."""
        for key, loaded in list(self._kept.items()):
            if await loaded.lacks_vectors():
                self._kept.pop(key, None)

    def clear(self) -> None:
        """Forgets all indexes; they are made again when they are asked for."""
        self._kept.clear()


def doc_of(record: MemoryRecord) -> Doc:
    """What ranking knows of a record; only what was said has neighbours."""
    message = record.kind == "message"
    thread = "\0".join(record.scope.values()) if message else ""
    return Doc(
        record.seq,
        record.text,
        speaker=record.speaker,
        thread=thread,
        session_no=record.session_no,
        turn_no=record.turn_no,
        time=record.happened_at,
    )
