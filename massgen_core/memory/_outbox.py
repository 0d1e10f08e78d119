"""What waits for extraction: written down with the messages, worked off later, lost by no kill."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from massgen_core.memory import _ledger
from massgen_core.memory._extraction import judged
from massgen_core.memory._guard import guarded
from massgen_core.memory._loaded import doc_of
from massgen_core.memory._log import head
from massgen_core.memory._ranking import ScopeIndex
from massgen_core.memory._record import STANDING
from massgen_core.memory._table import by_numbers, in_scopes
from massgen_core.storage import FileLock

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Sequence

    from massgen_core.clock import Clock
    from massgen_core.memory._extraction import Extractor, Verdict
    from massgen_core.memory._guard import Outcome
    from massgen_core.memory._record import MemoryRecord
    from massgen_core.storage import Database

GAVE_UP: Final = 6
"""Tries after which a message is left alone."""
_WORK: Final = "extract"
_TOGETHER: Final = 16
"""Messages that an extractor is shown at once."""
_CHARACTERS: Final = 12_000
"""Characters that they may have together; one that is longer is shown alone."""
_ALONE: Final = 2
"""Tries after which a message is shown alone: it may be what makes the others fail."""
_KNOWN: Final = 30
"""Known memories of each sort that an extractor is shown."""
_SECONDS: Final = 300.0
"""Seconds that an extractor may take."""
_FIRST_PAUSE: Final = 30.0
_LONGEST_PAUSE: Final = 6 * 3600.0


class Row(NamedTuple):
    """A message that waits: its record's number, and how often extraction failed."""

    record: int
    tries: int


class Waiting(NamedTuple):
    """Messages that an extractor has not seen.

    Attributes:
        due: Those that `Memory.work` would show it now.
        later: Those that failed, and are tried again later.
        given_up: Those that failed too often; ``Memory.work(again=True)`` tries them.
    """

    due: int
    later: int
    given_up: int


def waiting(conn: sqlite3.Connection, now: float) -> Waiting:
    """How many messages wait for extraction."""
    row = conn.execute(
        "SELECT total(tries < ?1 AND due <= ?2), total(tries < ?1 AND due > ?2), "
        "total(tries >= ?1) FROM memory_outbox WHERE work = ?3",
        (GAVE_UP, now, _WORK),
    ).fetchone()
    return Waiting(*map(int, row))


def enqueue(conn: sqlite3.Connection, records: Iterable[MemoryRecord], now: float) -> None:
    """Let extraction see these messages, in the transaction that writes them."""
    conn.executemany(
        "INSERT OR REPLACE INTO memory_outbox (work, record, tries, due, error) "
        "VALUES (?, ?, 0, ?, '')",
        [
            (_WORK, one.seq, now)
            for one in records
            if one.kind == "message" and one.state == "active"
        ],
    )


def due(conn: sqlite3.Connection, now: float, limit: int) -> list[Row]:
    """What is to be worked on, oldest first, what failed before last."""
    query = (
        "SELECT record, tries FROM memory_outbox WHERE work = ? AND due <= ? AND tries < ? "
        "ORDER BY tries, record LIMIT ?"
    )
    return [Row(*row) for row in conn.execute(query, (_WORK, now, GAVE_UP, limit))]


def done(conn: sqlite3.Connection, numbers: Iterable[int]) -> None:
    """Take messages off the list."""
    conn.executemany(
        "DELETE FROM memory_outbox WHERE work = ? AND record = ?",
        [(_WORK, number) for number in numbers],
    )


def failed(conn: sqlite3.Connection, rows: Iterable[Row], error: str, now: float) -> None:
    """Try these again later, each time after a longer pause."""
    conn.executemany(
        "UPDATE memory_outbox SET tries = tries + 1, due = ?, error = ? "
        "WHERE work = ? AND record = ?",
        [
            (now + min(_LONGEST_PAUSE, _FIRST_PAUSE * 4**row.tries), error, _WORK, row.record)
            for row in rows
        ],
    )


def retry(conn: sqlite3.Connection, now: float) -> int:
    """Let everything be tried now, what was given up among it; how many that were not due."""
    return conn.execute(
        "UPDATE memory_outbox SET tries = 0, due = ? WHERE work = ? AND (due > ? OR tries >= ?)",
        (now, _WORK, now, GAVE_UP),
    ).rowcount


_Chunk: TypeAlias = "Sequence[tuple[Row, MemoryRecord]]"


class _Known(NamedTuple):
    """The active derived memories of an owner, as of an entry of the log."""

    records: dict[int, MemoryRecord]
    head: int


class Worker:
    """Works the outbox off, one process at a time.

    Args:
        database: Where the ledger is.
        extractor: Proposes memories; without one nothing is done.
        clock: Says what is due.
        told: Is told what failed and what was refused.
    """

    def __init__(
        self,
        database: Database,
        extractor: Extractor | None,
        clock: Clock,
        told: Callable[[str, str], None],
    ) -> None:
        self._database = database
        self._extractor = extractor
        self._clock = clock
        self._told = told
        self._lock = asyncio.Lock()

    async def work(self, limit: int) -> tuple[int, list[MemoryRecord]]:
        """How many messages were worked on, and what was written to the ledger."""
        if self._extractor is None or self._database.read_only:
            return 0, []
        path = self._database.path
        between = FileLock(path.with_name(f"{path.name}.extraction"))
        async with self._lock:
            if not between.acquire():
                return 0, []  # another process is at it
            try:
                return await self._work(self._extractor, limit)
            finally:
                between.release(remove=True)

    async def _work(self, extractor: Extractor, limit: int) -> tuple[int, list[MemoryRecord]]:
        rows = await self._database.read(partial(due, now=self._clock.now(), limit=limit))
        chunks = await self._database.read(partial(_chunks, rows=rows))
        gone = {row.record for row in rows} - {row.record for some in chunks for row, _ in some}
        if gone:
            await self._database.write(partial(done, numbers=gone))
        written: list[MemoryRecord] = []
        for chunk in chunks:
            written += await self._chunk(extractor, chunk)
        return len(rows), written

    async def _chunk(self, extractor: Extractor, chunk: _Chunk) -> list[MemoryRecord]:
        messages = [record for _, record in chunk]
        known = await self._database.read(partial(_read_known, like=messages[0]))
        shown = await asyncio.to_thread(_shown, known.records.values(), messages)
        outcome = await proposed(extractor, messages, shown)
        now = self._clock.now()
        rows = [row for row, _ in chunk]
        if outcome.value is None:
            await self._database.write(partial(failed, rows=rows, error=outcome.error, now=now))
            last = max(row.tries for row in rows) + 1
            given_up = f" (try {last}, the last)" if last >= GAVE_UP else f" (try {last})"
            self._told("extractor", f"{len(rows)} messages: {outcome.error}{given_up}")
            return []
        take = partial(
            _take,
            proposals=outcome.value,
            messages=messages,
            known=known,
            call=_ledger.Call(extractor.identity, now),
        )
        verdict, written = await self._database.write(take)
        if verdict.refused:
            self._told("extractor", f"refused {len(verdict.refused)}: {verdict.refused[0]}")
        return written


async def proposed(
    extractor: Extractor, messages: Sequence[MemoryRecord], known: Sequence[MemoryRecord]
) -> Outcome[list[object]]:
    """What an extractor proposes, or why it does not."""

    async def ask() -> list[object]:
        return list(await extractor.extract(messages, known))

    return await guarded(ask, _SECONDS)


def audience(record: MemoryRecord) -> tuple[str, str]:
    """Who may see a record of a scope; what differs in it is never mixed."""
    private = record.visibility == "private"
    return record.visibility, record.owner if private else ""


def together(records: Iterable[MemoryRecord], most: int = _TOGETHER) -> list[list[MemoryRecord]]:
    """Messages in the portions that an extractor is shown, in their order, `most` at once.

    Only what has one scope, one audience and one trust is shown together: a model may use one
    message and name another as its source, and nothing would be private or doubtful any more.
    """
    by_key: dict[object, list[MemoryRecord]] = defaultdict(list)
    for one in records:
        by_key[one.scope, audience(one), one.trust, one.expires_at is None].append(one)
    return [portion for some in by_key.values() for portion in _portions(some, most)]


def _portions(records: Iterable[MemoryRecord], most: int) -> list[list[MemoryRecord]]:
    out: list[list[MemoryRecord]] = []
    room = 0
    for one in records:
        if not out or len(out[-1]) == most or len(one.text) > room:
            out.append([])
            room = _CHARACTERS
        out[-1].append(one)
        room -= len(one.text)
    return out


def _chunks(conn: sqlite3.Connection, rows: Sequence[Row]) -> list[_Chunk]:
    """The messages of these rows that are still there, as they are shown together."""
    by_number = {row.record: row for row in rows}
    found = [one for one, _ in by_numbers(conn, by_number) if one is not None]
    records = [one for one in found if one.state == "active"]
    alone = [one for one in records if by_number[one.seq].tries >= _ALONE]
    others = [one for one in records if by_number[one.seq].tries < _ALONE]
    portions = [*together(others), *([one] for one in alone)]
    return [[(by_number[one.seq], one) for one in portion] for portion in portions]


def _read_known(conn: sqlite3.Connection, like: MemoryRecord) -> _Known:
    """The derived memories of the owner of a message, for the same audience."""
    found = in_scopes(conn, [like.scope.lasting], "r.state = 'active' AND r.kind <> 'message'")
    records = {one.seq: one for one, _ in found if one is not None}
    return _Known(
        {number: one for number, one in records.items() if audience(one) == audience(like)},
        head(conn)[0],
    )


def _caught_up(conn: sqlite3.Connection, known: _Known, like: MemoryRecord) -> list[MemoryRecord]:
    """The same as of now: what was written while the extractor worked counts."""
    records = dict(known.records)
    rows = conn.execute("SELECT DISTINCT record FROM memory_log WHERE seq > ?", (known.head,))
    for one, _ in by_numbers(conn, [number for (number,) in rows]):
        if one is None:
            continue
        records.pop(one.seq, None)
        derived = one.state == "active" and one.kind != "message"
        if derived and like.scope.lasting.covers(one.scope) and audience(one) == audience(like):
            records[one.seq] = one
    return list(records.values())


def _shown(known: Iterable[MemoryRecord], messages: Sequence[MemoryRecord]) -> list[MemoryRecord]:
    """Of what is known: standing memories, what is most like the messages, and the newest."""
    records = {one.seq: one for one in known}
    index = ScopeIndex()
    for one in records.values():
        index.add(doc_of(one))
    query = " ".join(one.text for one in messages)[:_CHARACTERS]
    like = [records[ranked.number] for ranked in index.search(query, k=_KNOWN)]
    standing = [one for one in records.values() if one.pinned and one.kind in STANDING]
    newest = list(records.values())[: -_KNOWN - 1 : -1]  # a contradiction may share no word
    return list({one.seq: one for one in (*standing[-_KNOWN:], *like, *newest)}.values())


def _take(
    conn: sqlite3.Connection,
    proposals: Sequence[object],
    messages: Sequence[MemoryRecord],
    known: _Known,
    call: _ledger.Call,
) -> tuple[Verdict, list[MemoryRecord]]:
    """Write down what is accepted, and take the messages off the list; all of it or nothing.

    A message that was changed meanwhile stays on the list, and nothing is taken from it.
    """
    now = {one.seq: one for one, _ in by_numbers(conn, [one.seq for one in messages]) if one}
    same = {
        one.seq
        for one in messages
        if one.seq in now and now[one.seq].content_hash == one.content_hash
    }
    verdict = judged(
        proposals,
        {now[number].id: now[number] for number in same},
        _caught_up(conn, known, messages[0]),
        producer=call.actor,
        now=call.now,
    )
    _, written = _ledger.create(conn, verdict.news, call)
    done(conn, [one.seq for one in messages if one.seq in same or one.seq not in now])
    return verdict, written
