"""Mending the ledger: what is intact stays, what can be made again is, what is lost is said."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from massgen_core.memory._access import drop_damaged_grants
from massgen_core.memory._ledger import Call
from massgen_core.memory._log import (
    GENESIS,
    OWNER,
    Change,
    Entry,
    append,
    chained,
    entries,
    entries_of,
    head,
)
from massgen_core.memory._record import LOST, MemoryRecord
from massgen_core.memory._scope import FIELDS, Scope, is_text
from massgen_core.memory._table import put, row_sum
from massgen_core.storage import add_refs

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

_GAP: Final = "lost"
"""The ``op`` of an entry that stands where one is missing."""
_ENDS: Final = frozenset({b"forget", b"purge"})
_NOTHING: Final = bytes(32)
_ERASE_AGAIN: Final = """
    UPDATE memory_log SET body = NULL, text = NULL, blob = NULL
    WHERE body IS NOT NULL AND op NOT IN ('forget', 'purge')
        AND record IN (SELECT record FROM memory_log WHERE op IN ('forget', 'purge'))
"""


@dataclass(frozen=True, slots=True)
class Mended:
    """What a repair did.

    Attributes:
        restored: Ids of records whose newest revision was damaged or missing, and that are back at
            the last intact one.
        lost: Ids of records (or ``lost-NUMBER``) of which no intact revision was left; a snapshot
            or an archive that has them brings them back.
        entries: Damaged or missing log entries.
        rows: Whether the table of records was made again.
        vectors: Damaged vectors that were thrown away, to be made again.
        grants: Damaged grants that were thrown away, to be given again.
    """

    restored: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    entries: int = 0
    rows: bool = False
    vectors: int = 0
    grants: int = 0


class _Row(NamedTuple):
    """What the table says of a record of which the log has lost the newest entry."""

    number: int
    id: str
    log: int
    rev: int
    state: str
    kind: str
    scope: Scope


def repair(conn: sqlite3.Connection, call: Call) -> Mended:
    """Make the log and its tables agree again; see `Mended`.

    Content that is damaged is taken out of the log; the records go back to their last intact
    revision, as a new entry. Where entries are missing, the table of records still knows of what.
    """
    conn.execute("REINDEX memory_log")  # it may lead to entries that are gone
    orphans = _orphans(conn)
    gaps = _fill_gaps(conn, max((row.log for row in orphans), default=0))
    damaged = [entry for entry in entries(conn) if _is_damaged(entry)]
    for entry in damaged:
        conn.execute(
            "UPDATE memory_log SET body = NULL, text = NULL, blob = NULL WHERE seq = ?",
            (entry.seq,),
        )
    _number_again(conn)
    _chain_again(conn)
    back = _back_to_intact(conn, orphans, call.now)
    if back:
        append(conn, back, actor=call.actor, now=call.now)
    _table_again(conn)
    vectors = _drop_damaged_vectors(conn)
    grants = drop_damaged_grants(conn)
    conn.execute("REINDEX")
    return Mended(
        tuple(change.record.id for change in back if change.record.state != "tombstone"),
        tuple(change.record.id for change in back if change.record.kind == LOST),
        gaps + len(damaged),
        rows=True,
        vectors=vectors,
        grants=grants,
    )


def mend(conn: sqlite3.Connection, now: float) -> Mended:
    """The same for a ledger of which only parts were read: what was forgotten is erased in them."""
    conn.execute(_ERASE_AGAIN)
    mended = repair(conn, Call("", now))
    used = "SELECT hash FROM blob WHERE id IN (SELECT blob FROM memory_log)"
    add_refs(conn, OWNER, [digest for (digest,) in conn.execute(used)])
    conn.execute("DELETE FROM blob WHERE id NOT IN (SELECT blob FROM blob_ref)")
    return mended


def erased_ids(conn: sqlite3.Connection) -> list[str]:
    """Ids of the memories that the log says were forgotten, whatever else of it is left."""
    found = (one.record_or_damage() for one in entries(conn, "l.op = 'forget'"))
    return [one.id for one in found if isinstance(one, MemoryRecord)]


def _is_damaged(entry: Entry) -> bool:
    return not entry.erased and isinstance(entry.record_or_damage(), str)


def _orphans(conn: sqlite3.Connection) -> list[_Row]:
    """Rows that match their checksum and name an entry that is gone, or another record's by now."""
    names = ", ".join(f"s.{name}" for name in FIELDS)
    query = (
        f"SELECT r.*, l.record, {names} FROM memory_record AS r "  # noqa: S608 - our own words
        "LEFT JOIN memory_log AS l ON l.seq = r.log LEFT JOIN memory_scope AS s ON s.id = r.scope"
    )
    out = []
    strict, conn.text_factory = conn.text_factory, partial(str, encoding="utf-8", errors="replace")
    try:
        for row in conn.execute(query):
            number, id_, log, rev, state, kind = row[:6]
            whose = Scope(*(value if is_text(value) else "" for value in row[13:]))
            if row[12] != number and row[11] == row_sum(row[:11]):
                out.append(_Row(number, id_, log, rev, state, kind, whose))
    finally:
        conn.text_factory = strict
    return out


def _fill_gaps(conn: sqlite3.Connection, last: int) -> int:
    """Entries that say that one is missing, up to number `last` at least; how many."""
    present = {seq for (seq,) in conn.execute("SELECT seq FROM memory_log")}
    missing = sorted(set(range(1, max(head(conn)[0], last) + 1)) - present)
    conn.executemany(
        "INSERT INTO memory_log VALUES (?, ?, 0, '', ?, 0, 0, NULL, NULL, NULL, ?, ?)",
        [(seq, seq, _GAP, _NOTHING, _NOTHING) for seq in missing],
    )
    return len(missing)


def _number_again(conn: sqlite3.Connection) -> None:
    """Give every entry columns of the right type, and the numbers that follow from its record."""
    numbers: dict[str, int] = {}
    revisions: dict[str, int] = {}
    for entry in list(entries(conn)):
        batch, number = _whole(entry.batch, entry.seq), _whole(entry.record, entry.seq)
        rev, at = _whole(entry.rev, 1), _real(entry.at)
        record = entry.record_or_damage()
        if not isinstance(record, str):
            first = entry.seq if entry.op == b"create" else number
            number = numbers.setdefault(record.id, first)
            rev = max(rev, revisions.get(record.id, 0) + 1)
            revisions[record.id] = rev
        if (batch, at, number, rev) != (entry.batch, entry.at, entry.record, entry.rev):
            conn.execute(
                "UPDATE memory_log SET batch = ?, at = ?, record = ?, rev = ? WHERE seq = ?",
                (batch, at, number, rev, entry.seq),
            )


def _whole(value: object, otherwise: int) -> int:
    return value if isinstance(value, int) else otherwise


def _real(value: object) -> float:
    return value if isinstance(value, float) else 0.0


def _chain_again(conn: sqlite3.Connection) -> None:
    prev = GENESIS
    for entry in list(entries(conn)):
        hashed = chained(prev, entry)
        if hashed != entry.hash:
            conn.execute("UPDATE memory_log SET hash = ? WHERE seq = ?", (hashed, entry.seq))
        prev = hashed


def _back_to_intact(conn: sqlite3.Connection, orphans: Sequence[_Row], now: float) -> list[Change]:
    """What becomes of the records whose newest entry is gone, or says nothing any more."""
    gone = {row.number: row for row in orphans}
    empty = {number for number, entry in _newest(conn).items() if entry.erased}
    changes = []
    for number in sorted((gone.keys() | empty) - {0}):
        found = entries_of(conn, number)
        row = gone.get(number) or _row_of(conn, number)
        if found and found[-1].seq >= row.log and not found[-1].erased:
            continue  # an older revision was damaged: nothing changes for the record
        rev = 1 + max([row.rev, *(entry.rev for entry in found)])
        stone = MemoryRecord(
            id=row.id,
            text="",
            scope=row.scope,
            seq=number,
            rev=rev,
            state="tombstone",
            recorded_at=now,
        )
        forgotten = _ENDS.intersection(entry.op for entry in found)
        intact = [
            one for entry in found if isinstance(one := entry.record_or_damage(), MemoryRecord)
        ]
        if forgotten or (row.state == "tombstone" and row.kind != LOST):
            op = "purge" if forgotten == {b"purge"} else "forget"
            changes.append(Change(op, replace(stone, kind=row.kind or "message")))
        elif intact:
            changes.append(Change("repair", replace(intact[-1], rev=rev)))
        else:
            changes.append(Change("repair", replace(stone, kind=LOST)))
    return changes


def _row_of(conn: sqlite3.Connection, number: int) -> _Row:
    """What the table says of a record, as far as it can be read."""
    query = "SELECT CAST(id AS BLOB) FROM memory_record WHERE number = ?"
    row = conn.execute(query, (number,)).fetchone()
    name = row[0].decode("utf-8", "replace") if row and isinstance(row[0], bytes) else ""
    return _Row(number, name or f"lost-{number}", 0, 0, "", "", Scope())


def _newest(conn: sqlite3.Connection) -> dict[int, Entry]:
    """The newest entry of each record that there is one of."""
    return {entry.record: entry for entry in entries(conn) if entry.op != _GAP.encode()}


def _table_again(conn: sqlite3.Connection) -> None:
    newest = _newest(conn)
    conn.execute("DELETE FROM memory_record")
    conn.execute("DELETE FROM memory_scope")
    records = [(entry.record_or_damage(), entry.seq) for entry in newest.values()]
    put(conn, [(one, seq) for one, seq in records if isinstance(one, MemoryRecord)])


def _drop_damaged_vectors(conn: sqlite3.Connection) -> int:
    rows = conn.execute("SELECT embedder, record, data, sum FROM memory_vector")
    bad = [
        (embedder, record)
        for embedder, record, data, sum_ in rows
        if not isinstance(data, bytes) or zlib.crc32(data) != sum_
    ]
    conn.executemany("DELETE FROM memory_vector WHERE embedder = ? AND record = ?", bad)
    return len(bad)
